//! `helium bench`: Helium's own order of work, and the YCSB mixes.
//!
//! [`work`] is what the threads do, [`zipf`] which items they like best, [`report`] and [`plot`]
//! what came of it. Everything happens in a datastore of its own, which is removed at the end.

mod keys;
mod plot;
pub mod report;
mod run;
mod work;
mod zipf;

use std::{ffi::OsString, path::PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};

use heliumdb::{ErrorKind, Volume};

use crate::{
    failure::{self, Code, Failure, Result},
    interrupt,
    output::Output,
    target,
    text::{self, parse_size},
    volume::{self, Access},
};
use run::Setting;
use work::Work;

/// What the datastore is called.
const DATASTORE: &[u8] = b"helium-bench";

/// Arguments of `helium bench`.
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// The volume, which is made if it is not there; a file in this folder, for as long as it
    /// takes, if left out
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: Option<String>,
    /// Operations of each thread in each piece of work
    #[arg(short, long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    operations: u64,
    /// Threads; as many as there are processors if left out
    #[arg(short, short_alias = 'T', long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Measure with one thread, with two, with three and so on, up to this many
    #[arg(long, value_name = "THREADS", conflicts_with = "threads", value_parser = clap::value_parser!(u16).range(1..=1024))]
    up_to_threads: Option<u16>,
    /// Give the space of what was removed back to the devices before anything is measured
    #[arg(long)]
    trim: bool,
    /// Size of values
    #[arg(short, long = "value", default_value = "128", value_name = "SIZE", value_parser = parse_value)]
    value_bytes: u64,
    /// What to do: several may be named with commas between
    #[arg(short, long, value_enum, value_delimiter = ',', default_value = "all")]
    work: Vec<Set>,
    /// Draw the results, as SVG
    #[arg(long, value_name = "FILE.svg", value_parser = OsStringValueParser::new().try_map(parse_plot))]
    plot: Option<PathBuf>,
    /// What random numbers start from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Pieces of work that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Set {
    /// Everything
    All,
    /// Insert, sequential read, random read, delete
    Helium,
    /// Load, then an update of every item
    Update,
    /// Load, then reads in no order
    RandomRead,
    /// YCSB A: half reads, half updates
    A,
    /// YCSB B: 95 % reads, 5 % updates
    B,
    /// YCSB C: reads
    C,
    /// YCSB D: 95 % reads of what is new, 5 % inserts
    D,
    /// YCSB E: 95 % scans of up to 100 items, 5 % inserts
    E,
    /// YCSB F: half reads, half reads that write back
    F,
}

fn parse_value(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size if size <= heliumdb::limits::VALUE_BYTES_MAX as u64 => Ok(size),
        _ => Err(format!(
            "values have at most {} bytes",
            heliumdb::limits::VALUE_BYTES_MAX
        )),
    }
}

fn parse_plot(name: OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match path.extension() {
        Some(ending) if !ending.eq_ignore_ascii_case("svg") => {
            Err("pictures are SVG: let the name end in .svg".to_owned())
        }
        _ => Ok(path),
    }
}

impl Bench {
    /// Measures, and prints what came of it.
    pub fn run(self, output: Output) -> Result<()> {
        if let Some(path) = &self.plot {
            // Measuring takes long: what keeps the picture from being written is said before.
            target::check(path, self.volume.as_deref())?;
        }
        let temporary = match self.volume {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("helium-bench-")
                    .tempfile_in(".")
                    .map_err(|why| {
                        failure::system("cannot make a file for the volume in this folder", why)
                    })?,
            ),
        };
        let name = match (&self.volume, &temporary) {
            (Some(volume), _) => volume.clone(),
            (None, Some(file)) => heliumdb::device::text_of(file.path()),
            (None, None) => String::new(),
        };
        volume::with(&name, Access::Create, |open| self.measure(open, output))
    }

    fn measure(&self, open: &Volume, output: Output) -> Result<()> {
        let _publisher = volume::publish(open, "helium bench");
        let datastore = open.create_datastore(DATASTORE).map_err(|why| {
            let exists = why.kind() == ErrorKind::DatastoreExists;
            let failure = Failure::from(why);
            match exists {
                true => failure.advise("A measurement was cut short: `helium drop VOLUME helium-bench` removes what it left."),
                false => failure,
            }
        })?;
        let threads = self.threads();
        let measured = self.trim(open).and_then(|()| {
            let mut measured = Vec::new();
            for (round, threads) in threads.iter().enumerate() {
                if round > 0 {
                    // Each number of threads does the same work.
                    open.truncate_datastore(datastore.id())?;
                }
                let setting = Setting {
                    datastore: datastore.clone(),
                    threads: *threads,
                    operations: self.operations,
                    value_bytes: self.value_bytes as usize,
                    seed: self.seed,
                };
                for work in self.pieces() {
                    measured.push(setting.run(work)?);
                }
            }
            Ok(measured)
        });
        open.drop_datastore(datastore.id())?;
        interrupt::check()?;
        let measured = measured?;
        report::print(self, &measured, output)?;
        match &self.plot {
            None => Ok(()),
            Some(path) => {
                let cannot = |why: &dyn std::fmt::Display| {
                    let message = format!("cannot draw {}: {why}", path.display());
                    Failure::new(Code::Failed, message)
                };
                let picture = plot::draw(&self.title(&threads), &measured);
                let picture = picture.map_err(|why| cannot(&why))?;
                target::write(path, target::PUBLIC, self.volume.as_deref(), |file| {
                    file.write_all(picture.as_bytes())
                        .map_err(|why| cannot(&why))
                })
            }
        }
    }

    /// What is written and read.
    fn subject(&self) -> String {
        format!("16-byte keys, {} values", text::size(self.value_bytes))
    }

    /// The numbers of threads that are measured with, one after the other.
    fn threads(&self) -> Vec<u64> {
        if let Some(most) = self.up_to_threads {
            return (1..=u64::from(most)).collect();
        }
        let all = || std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        vec![self.threads.map_or_else(all, u64::from)]
    }

    fn trim(&self, open: &Volume) -> Result<()> {
        if self.trim {
            open.compact(&mut |_| interrupt::check().is_ok())?;
            interrupt::check()?;
        }
        Ok(())
    }

    fn title(&self, threads: &[u64]) -> String {
        let threads = match threads {
            [one] => text::things(*one, "thread"),
            several => format!("1 to {} threads", several.last().copied().unwrap_or(1)),
        };
        format!(
            "helium {} bench: {}, {} x {} operations",
            env!("CARGO_PKG_VERSION"),
            self.subject(),
            threads,
            text::count(self.operations)
        )
    }

    /// The pieces of work in their order. The mixes share one load.
    fn pieces(&self) -> Vec<Work> {
        let wants = |set| self.work.contains(&set) || self.work.contains(&Set::All);
        let mut pieces = Vec::new();
        if wants(Set::Helium) {
            pieces.extend([
                Work::Insert,
                Work::SequentialRead,
                Work::RandomRead,
                Work::Delete,
            ]);
        }
        for (set, work) in [
            (Set::Update, Work::Update),
            (Set::RandomRead, Work::RandomRead),
        ] {
            // What everything is has both already.
            if self.work.contains(&set) {
                pieces.extend([Work::Load, work]);
            }
        }
        let mixes = [Set::A, Set::B, Set::C, Set::D, Set::E, Set::F]
            .into_iter()
            .zip([Work::A, Work::B, Work::C, Work::D, Work::E, Work::F]);
        let mixes: Vec<Work> = mixes
            .filter(|(set, _)| wants(*set))
            .map(|(_, work)| work)
            .collect();
        if !mixes.is_empty() {
            pieces.push(Work::Load);
            pieces.extend(mixes);
        }
        pieces
    }
}
