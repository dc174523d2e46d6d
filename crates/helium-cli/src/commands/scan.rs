//! `helium scan`.

use std::{ffi::OsString, io::Write, ops::Bound};

use heliumdb::ErrorKind;
use serde_json::{Map, Value};

use crate::{
    failure::{self, Failure, Result},
    interrupt, json,
    output::{self, Output},
    reading::{self, Place, Range, Through},
    text::{self, Encoding},
};

/// Bytes of a value that a terminal shows.
const SHOWN_BYTES: usize = 240;

/// Arguments of `helium scan`.
#[derive(Debug, clap::Args)]
pub struct Scan {
    /// The volume
    volume: String,
    /// The datastore
    datastore: OsString,
    /// Only keys from this one on
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// Only keys before this one
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
    /// Only keys that start with this
    #[arg(short, long, value_name = "START", conflicts_with_all = ["from", "to"])]
    prefix: Option<OsString>,
    /// From the last one back
    #[arg(short, long)]
    reverse: bool,
    /// No more than this many
    #[arg(short = 'n', long, value_name = "ITEMS")]
    limit: Option<u64>,
    /// Only keys
    #[arg(short, long)]
    keys: bool,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    through: Through,
}

type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Scan {
    /// Prints the items, a line each: key, tab, value; or JSON Lines.
    pub fn run(self, output: Output) -> Result<()> {
        let bounds = self.bounds()?;
        reading::with(&self.volume, self.through, output, |from| {
            self.print(from, bounds, output)
        })
    }

    fn bounds(&self) -> Result<Bounds> {
        let read = |key: &Option<OsString>| {
            key.as_ref()
                .map(|key| self.encoding.read("key", key))
                .transpose()
        };
        if let Some(prefix) = read(&self.prefix)? {
            let behind = behind(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
            return Ok((Bound::Included(prefix), behind));
        }
        let from = read(&self.from)?.map_or(Bound::Unbounded, Bound::Included);
        let to = read(&self.to)?.map_or(Bound::Unbounded, Bound::Excluded);
        Ok((from, to))
    }

    fn print(&self, mut from: Place<'_>, bounds: Bounds, output: Output) -> Result<()> {
        let is_all = bounds == (Bound::Unbounded, Bound::Unbounded) && !self.reverse;
        let store = from.store(&self.datastore)?;
        let limit = self.limit.unwrap_or(u64::MAX);
        let items = match is_all && store.info.unordered {
            // Of a datastore without order this is all that can be had: its keys are with its values.
            true => from.items(&store),
            false => from.range(
                &store,
                Range {
                    bounds,
                    backward: self.reverse,
                    keys: self.keys,
                    limit,
                },
            ),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let cut = output.is_terminal();
        let mut out = output.writer();
        for item in items.take(limit) {
            interrupt::check()?;
            let (key, value) = item.map_err(explain)?;
            let line = match output.json {
                true => self.json(&key, &value),
                false => self.text(&key, &value, cut),
            };
            writeln!(out, "{line}").map_err(failure::output)?;
        }
        output::finish(out)
    }

    fn json(&self, key: &[u8], value: &[u8]) -> String {
        let mut fields = Map::new();
        fields.insert("key".into(), text::to_json(key));
        if !self.keys {
            fields.insert("value".into(), text::to_json(value));
        }
        json::line(&Value::Object(fields))
    }

    fn text(&self, key: &[u8], value: &[u8], cut: bool) -> String {
        let key = self.encoding.show(key);
        if self.keys {
            return key;
        }
        match value.get(..SHOWN_BYTES) {
            Some(start) if cut && value.len() > SHOWN_BYTES => {
                format!(
                    "{key}\t{}... ({})",
                    self.encoding.show(start),
                    text::size(value.len() as u64)
                )
            }
            _ => format!("{key}\t{}", self.encoding.show(value)),
        }
    }
}

fn explain(why: heliumdb::Error) -> Failure {
    let is_unordered = why.kind() == ErrorKind::Unsupported;
    let failure = Failure::from(why);
    match is_unordered {
        true => failure.advise(
            "Without --from, --to, --prefix and --reverse all items are printed, in no order.",
        ),
        false => failure,
    }
}

/// The first key behind all that start with `prefix`.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix.get(..=last)?.to_vec();
    *behind.last_mut()? += 1;
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn what_is_behind_a_prefix() {
        assert_eq!(behind(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(behind(b"\xff"), None);
        assert_eq!(behind(b""), None);
    }
}
