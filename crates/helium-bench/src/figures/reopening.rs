//! How long a volume takes to open after a clean close, and after its process was killed.
//!
//! Processes of their own open it and write to it, and are killed for real; between two openings
//! the volume does not change.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use heliumdb::{Datastore, Volume, VolumeOptions};

use super::{
    Options, Place, fill, key,
    setup::{STORE, median, open},
};

const VALUE_BYTES: usize = 200;
/// Has no divisor in common with numbers of items that people choose.
const STEP: u64 = 7919;
const MIB: f64 = (1 << 20) as f64;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Number of items.
    #[arg(long, default_value_t = 10_000_000)]
    items: u64,
    /// Openings of each kind, of which the medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Be the process that opens it, or the one that writes so many items.
    #[arg(long, hide = true)]
    child: Option<String>,
    /// The volume's file.
    #[arg(long, hide = true)]
    path: Option<PathBuf>,
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let items = options.scaled(arguments.items);
    if let (Some(task), Some(path)) = (&arguments.child, &arguments.path) {
        let volume = match task.as_str() {
            "open" => timed_open(path)?,
            "write for ever" => write(&open(path, &VolumeOptions::default())?, items, u64::MAX)?,
            count => write(&open(path, &without_checkpoints())?, items, count.parse()?)?,
        };
        std::thread::sleep(Duration::from_secs(600));
        drop(volume);
        return Ok(());
    }
    Parent {
        options,
        arguments,
        items,
        place: Place::new(options.folder.as_deref())?,
    }
    .run()
}

/// Nothing in the background that would change what there is to read at the next opening.
fn without_checkpoints() -> VolumeOptions {
    let mut how = VolumeOptions::default();
    how.checkpoint_log_bytes = Some(u64::MAX);
    how.clean_dirty_pct = 100;
    how
}

fn timed_open(path: &std::path::Path) -> Result<Volume> {
    let started = Instant::now();
    let volume = open(path, &without_checkpoints())?;
    let seconds = started.elapsed().as_secs_f64();
    let items = volume.datastore(STORE)?.len();
    let stats = volume.stats();
    println!(
        "{seconds} {} {} {items}",
        stats.recovered_items, stats.checkpoint_bytes
    );
    Ok(volume)
}

/// Writes `count` items again, and says how many bytes that made when they are durable.
fn write(volume: &Volume, items: u64, count: u64) -> Result<Volume> {
    let store = volume.datastore(STORE)?;
    if count == u64::MAX {
        println!("0");
    }
    let mut value = [9; VALUE_BYTES];
    for n in 0..count {
        let key = key((n % items) * STEP % items);
        value[..16].copy_from_slice(&key);
        value[16..24].copy_from_slice(&n.to_le_bytes());
        store.put(key, value)?;
    }
    volume.flush()?;
    println!("{}", volume.stats().user_bytes);
    Ok(volume.clone())
}

/// What was written before the kill is there.
fn check(store: &Datastore, items: u64, written: u64) -> Result<()> {
    let mut value = Vec::new();
    for n in 0..written {
        let key = key(n * STEP % items);
        let found = store.get_into(key, &mut value)?;
        ensure!(
            found && value[..16] == key && value[16..24] == n.to_le_bytes(),
            "what was made durable before the kill is gone"
        );
    }
    Ok(())
}

/// Who has the others started and killed.
struct Parent<'a> {
    options: &'a Options,
    arguments: &'a Arguments,
    items: u64,
    place: Place,
}

/// An opening.
struct Opened {
    seconds: f64,
    replayed_items: f64,
    page_bytes: f64,
}

impl Parent<'_> {
    fn run(&self) -> Result<()> {
        let items = self.items;
        let started = Instant::now();
        let volume = self.place.open(&VolumeOptions::default())?;
        fill(&volume.create_datastore(STORE)?, items, VALUE_BYTES)?;
        volume.flush()?;
        println!(
            "{items} items of {VALUE_BYTES} bytes, loaded in {:.1} s, the last flush included",
            started.elapsed().as_secs_f64()
        );
        println!();
        println!(
            "| after | opens in, page cache empty | filled | items replayed | MiB replayed | seconds for each 256 MiB of them, beyond a clean close, page cache empty | filled |"
        );
        println!("|---|---|---|---|---|---|---|");
        let mut closing = self.close(volume)?;
        let clean = self.row("a clean close", None, 0.0)?;
        let mut pages = 0.0;
        for mib in [256, 1024] {
            let count = self.options.scaled((mib << 20) / 256).min(items);
            let (child, bytes) = self.start(&count.to_string())?;
            kill(child)?;
            let title = format!("a kill with {:.0} MiB behind the checkpoint", bytes / MIB);
            let item_bytes = bytes / count as f64;
            pages = self.row(&title, Some(&clean), item_bytes)?.1.page_bytes;
            let volume = self.place.open(&VolumeOptions::default())?;
            check(&volume.datastore(STORE)?, items, count)?;
            closing = self.close(volume)?;
        }
        let (child, _) = self.start("write for ever")?;
        let seconds = 20.0 * self.options.scale.min(1.0);
        std::thread::sleep(Duration::from_secs_f64(seconds));
        kill(child)?;
        let title =
            format!("a kill in the middle of {seconds:.0} s of writing, as options are by default");
        self.row(&title, Some(&clean), 256.0)?;
        println!();
        println!(
            "Pages of the checkpoint: {:.0} MiB. Closing, its checkpoint included: {closing:.2} s.",
            pages / MIB
        );
        Ok(())
    }

    fn close(&self, volume: Volume) -> Result<f64> {
        let started = Instant::now();
        volume.close()?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Opens it some times without and with the page cache.
    fn row(
        &self,
        title: &str,
        clean: Option<&(Opened, Opened)>,
        item_bytes: f64,
    ) -> Result<(Opened, Opened)> {
        let mut runs = (Vec::new(), Vec::new());
        for _ in 0..self.arguments.runs {
            self.place.evict()?;
            runs.0.push(self.open_once()?);
            runs.1.push(self.open_once()?);
        }
        let (cold, warm) = (middle(&runs.0), middle(&runs.1));
        let mib = cold.replayed_items * item_bytes / MIB;
        let [cold_each, warm_each] = match clean {
            Some((clean_cold, clean_warm)) if mib > 0.0 => [
                (cold.seconds - clean_cold.seconds) / mib * 256.0,
                (warm.seconds - clean_warm.seconds) / mib * 256.0,
            ]
            .map(|seconds| format!("{seconds:.2}")),
            _ => ["-".to_owned(), "-".to_owned()],
        };
        println!(
            "| {title} | {:.2} s | {:.2} s | {:.0} | {mib:.0} | {cold_each} | {warm_each} |",
            cold.seconds, warm.seconds, cold.replayed_items
        );
        Ok((cold, warm))
    }

    /// Opens it in another process, which is killed then, so that it is left as it was.
    fn open_once(&self) -> Result<Opened> {
        let mut child = self.spawn("open")?;
        let figures = line(&mut child)?;
        kill(child)?;
        let figures: Vec<f64> = figures
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [seconds, replayed_items, page_bytes, items] = figures[..] else {
            anyhow::bail!("the process that opens it said {figures:?}");
        };
        ensure!(items as u64 == self.items, "{items} items are there");
        Ok(Opened {
            seconds,
            replayed_items,
            page_bytes,
        })
    }

    /// Starts a process that writes; returns once it has said how many bytes it wrote.
    fn start(&self, task: &str) -> Result<(Child, f64)> {
        let mut child = self.spawn(task)?;
        let bytes = line(&mut child)?.trim().parse()?;
        Ok((child, bytes))
    }

    fn spawn(&self, task: &str) -> Result<Child> {
        let items = self.arguments.items.to_string();
        let mut command =
            self.options
                .again(&["reopening", "--items", &items, "--child", task, "--path"])?;
        command.arg(self.place.path()).stdout(Stdio::piped());
        Ok(command.spawn()?)
    }
}

fn middle(runs: &[Opened]) -> Opened {
    let of = |figure: fn(&Opened) -> f64| median(runs.iter().map(figure).collect());
    Opened {
        seconds: of(|opened| opened.seconds),
        replayed_items: of(|opened| opened.replayed_items),
        page_bytes: of(|opened| opened.page_bytes),
    }
}

fn line(child: &mut Child) -> Result<String> {
    let output = child.stdout.take().context("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(!line.is_empty(), "the other process failed");
    Ok(line)
}

/// As `kill -9` does it.
fn kill(mut child: Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}
