//! `helium load`.
//!
//! Invariant: nothing is loaded of input that was cut off or has a mistake in it: all of it is read and checked
//! before its first item goes in, unless items were asked for as they come.

mod gathered;
pub mod input;

use std::{
    collections::HashMap,
    ffi::OsString,
    io::BufRead,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    sync::atomic::Ordering::Relaxed,
};

use helium_remote::When;
use heliumdb::DatastoreOptions;
use serde_json::json;

use crate::{
    failure::{self, Code, Failure, Result},
    formats::{Columns, Delimiter, Entry, Format, Head, Shape, Source, bad_line},
    interrupt,
    output::Output,
    progress::Progress,
    text, volume,
    writing::{self, Place, Store},
};
use gathered::Gathered;
use input::Input;

/// Items between two looks at how far it is.
const STEP_ITEMS: u64 = 256;

/// Arguments of `helium load`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  helium load fruit.he dump.jsonl
  helium load fruit.he -d colors table.csv --key-column fruit --value-column color
  mdb_dump -s colors folder | helium load fruit.he")]
pub struct Load {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The file; standard input if it is left out or -
    file: Option<PathBuf>,
    /// Put items into this datastore, whatever the file says; it is made if it is not there
    #[arg(short, long, value_name = "NAME")]
    datastore: Option<OsString>,
    /// The format; found out from the file's name or its first line if left out
    #[arg(short, long, value_enum)]
    format: Option<Format>,
    /// Fail at the first key that is there already
    #[arg(long)]
    insert: bool,
    /// Load items as they are read, without waiting for the end of the input and checking it first:
    /// those before a mistake stay
    #[arg(long)]
    as_it_comes: bool,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    delimiter: Delimiter,
    /// Keys and values of TSV are in hexadecimal, as `scan --hex` prints them
    #[arg(short = 'x', long)]
    hex: bool,
}

impl Load {
    /// Puts every item of the file into its datastore; durable when it returns.
    pub fn run(self, output: Output) -> Result<()> {
        let path = self.file.as_deref();
        let mut input = Input::open(path.filter(|path| path.as_os_str() != "-"))?;
        if !self.as_it_comes {
            input = input.kept()?;
            self.check(&mut input)
                .map_err(|why| match why.code() {
                    Code::Interrupted => why,
                    _ => why.context(&input.name),
                })
                .map_err(|why| why.also("Nothing of it was loaded."))?;
        }
        let (name, bytes, read) = (input.name.clone(), input.len, input.read.clone());
        let source = self.source(&mut input).map_err(|why| why.context(&name))?;
        writing::with(&self.volume, |to| {
            let _publisher = to.publish("helium load");
            let mut loading = Loading::new(&self, &to, source);
            let progress = match bytes {
                Some(bytes) => Progress::bytes("loading", bytes),
                None => Progress::endless("loading items"),
            };
            let done = loading.run(&|items| match bytes {
                None => progress.at(items),
                Some(_) if !items.is_multiple_of(STEP_ITEMS) => {}
                Some(_) => {
                    progress.at(read.load(Relaxed));
                    progress.say(format!("loading {} items", text::count(items)));
                }
            });
            drop(progress);
            loading.end(&to, &name, done, output)
        })
    }

    /// Reads all of the input, so that nothing is loaded of one that was cut off or has a mistake in it.
    fn check(&self, input: &mut Input) -> Result<()> {
        let progress = Progress::bytes("checking", input.len.unwrap_or_default());
        let read = input.read.clone();
        let mut source = self.source(input)?;
        let mut homed = self.datastore.is_some();
        for items in 0_u64.. {
            interrupt::check()?;
            if items.is_multiple_of(STEP_ITEMS) {
                progress.at(read.load(Relaxed));
            }
            let Some(entry) = source.next()? else { break };
            let line = source.line();
            entry.check().map_err(|why| bad_line(line, why))?;
            match entry {
                Entry::Datastore(_) => homed = true,
                Entry::Item {
                    datastore: None, ..
                } if !homed => return Err(homeless(line)),
                Entry::Item { .. } => {}
            }
        }
        Ok(())
    }

    fn source<'a>(&self, input: &'a mut Input) -> Result<Box<dyn Source + 'a>> {
        let mut input = input.reader()?;
        let head = input.fill_buf().map_err(failure::input)?;
        let path = self.file.as_deref();
        let format = self.format.unwrap_or_else(|| Format::guess(path, head));
        let shape = Shape {
            delimiter: self.delimiter,
            hex: self.hex,
        };
        format.source(Box::new(input), &self.columns, shape)
    }
}

/// Where items go.
struct Loading<'a> {
    args: &'a Load,
    to: &'a Place<'a>,
    source: Box<dyn Source + 'a>,
    datastores: HashMap<Vec<u8>, Store>,
    /// The datastore of items that name none.
    current: Option<Store>,
    items: u64,
    /// Items that go in together, and are not counted yet.
    gathered: Gathered,
}

impl<'a> Loading<'a> {
    fn new(args: &'a Load, to: &'a Place<'a>, source: Box<dyn Source + 'a>) -> Self {
        Self {
            args,
            to,
            source,
            datastores: HashMap::new(),
            current: None,
            items: 0,
            gathered: Gathered::default(),
        }
    }

    fn run(&mut self, tell: &dyn Fn(u64)) -> Result<()> {
        let done = self.take_all(tell);
        // Whatever ended it: what came before goes in.
        let put = self.put_gathered();
        done.and(put)
    }

    fn take_all(&mut self, tell: &dyn Fn(u64)) -> Result<()> {
        loop {
            tell(self.items + self.gathered.len());
            interrupt::check()?;
            let entry = self.source.next();
            // A wait for input that Ctrl-C ended is no bad input.
            interrupt::check()?;
            match entry? {
                None => return self.begin_asked(),
                Some(entry) => self.take(entry)?,
            }
        }
    }

    fn take(&mut self, entry: Entry) -> Result<()> {
        match entry {
            Entry::Datastore(head) => {
                let Some(asked) = &self.args.datastore else {
                    self.current = Some(self.make(&head)?);
                    return Ok(());
                };
                if self.current.is_none() {
                    let name = asked.as_bytes().to_vec();
                    self.current = Some(self.make(&Head { name, ..head })?);
                }
                Ok(())
            }
            Entry::Item {
                datastore,
                key,
                value,
            } => {
                self.begin_asked()?;
                let datastore = match datastore {
                    Some(name) if self.args.datastore.is_none() => self.make(&plain(name))?,
                    _ => self
                        .current
                        .clone()
                        .ok_or_else(|| homeless(self.source.line()))?,
                };
                let line = self.source.line();
                // Who waits for more input is to see what has come.
                if !self.args.insert && !self.args.as_it_comes {
                    self.gathered.push(datastore, key, value, line);
                    return match self.gathered.is_full() {
                        true => self.put_gathered(),
                        false => Ok(()),
                    };
                }
                let when = match self.args.insert {
                    true => When::Absent,
                    false => When::Always,
                };
                let put = datastore.put(&key, &value, when);
                put.map_err(|why| Failure::from(why).context(format_args!("line {line}")))?;
                self.items += 1;
                Ok(())
            }
        }
    }

    /// Puts in what was gathered.
    fn put_gathered(&mut self) -> Result<()> {
        self.gathered.put(self.to, &mut self.items)
    }

    /// Begins with the datastore that the arguments name, if they do and nothing was said of it.
    fn begin_asked(&mut self) -> Result<()> {
        if let (Some(name), None) = (&self.args.datastore, &self.current) {
            self.current = Some(self.make(&plain(name.as_bytes().to_vec()))?);
        }
        Ok(())
    }

    /// The datastore of that name, made if it is not there.
    fn make(&mut self, head: &Head) -> Result<Store> {
        if let Some(known) = self.datastores.get(&head.name) {
            return Ok(known.clone());
        }
        let mut options = DatastoreOptions::default();
        options.attributes.clone_from(&head.attributes);
        options.compress = head.compress;
        options.unordered = head.unordered;
        let found = self.to.make(&head.name, &options);
        let found = found.map_err(|why| {
            let name = OsString::from_vec(head.name.clone());
            Failure::from(why).context(format_args!("datastore {}", name.display()))
        })?;
        self.datastores.insert(head.name.clone(), found.clone());
        Ok(found)
    }

    /// Makes what was loaded durable, whatever ended it, and says so.
    fn end(self, to: &Place<'_>, name: &str, done: Result<()>, output: Output) -> Result<()> {
        let flushed = {
            let _progress = Progress::waiting("making it durable");
            to.flush()
        };
        let loaded = match (self.items, &flushed) {
            (0, _) => "No item was loaded before it.".to_owned(),
            (_, Err(why)) => {
                format!("The items before it may not be durable: {why}; loading again puts them there once more.")
            }
            (1, Ok(())) => "The item before it is in the volume, durably; loading again puts it there once more."
                .to_owned(),
            (items, Ok(())) => format!(
                "The {} items before it are in the volume, durably; loading again puts them there once more.",
                text::count(items)
            ),
        };
        done.map_err(|why| match why.code() {
            Code::Interrupted => interrupt::stopped().also(&loaded),
            _ => why.context(name).also(&loaded),
        })?;
        flushed?;
        let json = json!({"items": self.items, "datastores": self.datastores.len()});
        output.print(&json, || {
            format!(
                "{} into {}",
                text::things(self.items, "item"),
                text::things(self.datastores.len() as u64, "datastore")
            )
        })
    }
}

fn homeless(line: u64) -> Failure {
    let what = format!("line {line}: nothing says which datastore the item belongs to");
    Failure::new(Code::Usage, what).advise("Name it: --datastore NAME.")
}

/// Of a datastore of which nothing is known but its name.
fn plain(name: Vec<u8>) -> Head {
    Head {
        name,
        ..Head::default()
    }
}
