//! `helium get` and `helium put`.

use std::{
    ffi::OsString,
    io::{Read, Write},
    path::PathBuf,
};

use helium_remote::When;
use heliumdb::limits::VALUE_BYTES_MAX;
use serde_json::json;

use crate::{
    failure::{self, Code, Failure, Result},
    interrupt,
    output::{self, Output},
    reading::{self, Through},
    text::{self, Encoding},
    volume, writing,
};

/// Arguments of `helium get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  helium get fruit.he colors apple")]
pub struct Get {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The datastore
    datastore: OsString,
    /// The key
    key: OsString,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    through: Through,
}

impl Get {
    /// Prints the value: its bytes as they are, unless a terminal would have to show them.
    pub fn run(self, output: Output) -> Result<()> {
        let key = self.encoding.read("key", &self.key)?;
        reading::with(&self.volume, self.through, output, |mut from| {
            let store = from.store(&self.datastore)?;
            let Some(value) = from.get(&store, &key)? else {
                return Err(no_item(&store.info.name, &key));
            };
            if output.json || output.is_terminal() || self.encoding.hex {
                let json = json!({"key": text::to_json(&key), "value": text::to_json(&value)});
                return output.print(&json, || self.encoding.show(&value));
            }
            let mut out = output.writer();
            out.write_all(&value).map_err(failure::output)?;
            output::finish(out)
        })
    }
}

/// What there is to say of a key that is not there.
pub fn no_item(datastore: &[u8], key: &[u8]) -> Failure {
    Failure::new(
        Code::NotFound,
        format!(
            "the datastore {} has no item with the key {}",
            text::shown(datastore),
            text::shown(key)
        ),
    )
}

/// Arguments of `helium put`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  helium put fruit.he colors apple red
  helium put fruit.he pictures apple --file apple.jpg")]
pub struct Put {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The datastore
    datastore: OsString,
    /// The key
    key: OsString,
    /// The value; without it, it is read from standard input
    value: Option<OsString>,
    /// Read the value from this file
    #[arg(short, long, value_name = "FILE", conflicts_with = "value")]
    file: Option<PathBuf>,
    /// Fail if the key is there
    #[arg(long)]
    insert: bool,
    /// Fail if the key is not there
    #[arg(long, conflicts_with = "insert")]
    replace: bool,
    #[command(flatten)]
    encoding: Encoding,
}

impl Put {
    /// Sets the value, durably.
    pub fn run(self, output: Output) -> Result<()> {
        let key = self.encoding.read("key", &self.key)?;
        let value = self.value()?;
        writing::with(&self.volume, |to| {
            let store = to.store(&self.datastore)?;
            let when = match (self.insert, self.replace) {
                (true, _) => When::Absent,
                (_, true) => When::Present,
                _ => When::Always,
            };
            store.put(&key, &value, when).map_err(|why| {
                let what = format!("the key {}", self.encoding.show(&key));
                Failure::from(why).context(what)
            })?;
            to.flush()?;
            output.print(
                &json!({"key": text::to_json(&key), "value_bytes": value.len()}),
                String::new,
            )
        })
    }

    fn value(&self) -> Result<Vec<u8>> {
        if let Some(value) = &self.value {
            return self.encoding.read("value", value);
        }
        let (name, input): (_, Box<dyn Read>) = match &self.file {
            Some(path) => {
                let file = std::fs::File::open(path);
                let name = path.display().to_string();
                let file =
                    file.map_err(|why| failure::system(format_args!("cannot read {name}"), why))?;
                (name, Box::new(file))
            }
            None => ("standard input".to_owned(), Box::new(interrupt::input()?)),
        };
        let mut value = Vec::new();
        let limit = VALUE_BYTES_MAX as u64 + 1;
        let read = input.take(limit).read_to_end(&mut value);
        interrupt::check()?;
        read.map_err(|why| failure::system(format_args!("cannot read {name}"), why))?;
        Ok(value)
    }
}
