//! `helium batch`.
//!
//! Invariant: all changes are done, durably, in one step, or none of them is: whatever is wrong with one of them, and
//! whatever ends the command. What a batch has beyond the memory of a transaction waits in the log.

use std::{collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

use helium_remote::When;
use heliumdb::{Error, ErrorKind};
use serde_json::json;

use super::load::input::Input;
use crate::{
    failure::{Code, Failure, Result},
    formats::{Change, ChangeKind, changes::Changes},
    interrupt,
    output::Output,
    progress::Progress,
    text, volume,
    writing::{self, Place, Step, Store},
};

/// Arguments of `helium batch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A change is a line of words, quoted if they have blanks in them:
  put DATASTORE KEY VALUE
  insert DATASTORE KEY VALUE     the key must not be there
  replace DATASTORE KEY VALUE    the key must be there
  rm DATASTORE KEY               the key must be there
  rm -f DATASTORE KEY            whether or not it is there

or an object as in JSON Lines, with {\"change\":\"insert\"} and so on for what is not put.

In words \\n, \\t, \\\\ and \\x00 mean what they mean in the output of scan; # begins a remark.

Example:
  printf 'put colors apple red\\nrm colors pear\\n' | helium batch fruit.he"
)]
pub struct Batch {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The file; standard input if it is left out or -
    file: Option<PathBuf>,
}

#[derive(Default)]
struct Done {
    put: u64,
    removed: u64,
}

impl Batch {
    /// Does what the lines say, in their order.
    pub fn run(self, output: Output) -> Result<()> {
        let path = self.file.as_deref();
        let mut input = Input::open(path.filter(|path| path.as_os_str() != "-"))?;
        let name = input.name.clone();
        let mut changes = Changes::new(input.reader()?);
        writing::with(&self.volume, |to| {
            let _publisher = to.publish("helium batch");
            let done = all(&to, &mut changes).map_err(|why| {
                let why = match why.code() {
                    Code::Interrupted => why,
                    _ => why.context(&name),
                };
                match why.is_of(ErrorKind::OutcomeUnknown) {
                    true => why,
                    false => why.also("Nothing of it was done."),
                }
            })?;
            output.print(&json!({"put": done.put, "removed": done.removed}), || {
                format!(
                    "{} put, {} removed",
                    text::things(done.put, "item"),
                    text::count(done.removed)
                )
            })
        })
    }
}

fn all(to: &Place<'_>, changes: &mut Changes<'_>) -> Result<Done> {
    let progress = Progress::endless("changes");
    let mut txn = to.begin()?;
    let mut datastores = HashMap::new();
    let mut done = Done::default();
    loop {
        interrupt::check()?;
        let change = changes.next();
        // A wait for input that Ctrl-C ended is no bad input.
        interrupt::check()?;
        let Some(change) = change? else { break };
        let said = one(to, &mut txn, &mut datastores, &change);
        said.map_err(|why| why.context(format_args!("line {}", changes.line())))?;
        match change.kind {
            ChangeKind::Remove { .. } => done.removed += 1,
            _ => done.put += 1,
        }
        progress.at(done.put + done.removed);
    }
    drop(progress);
    let _progress = Progress::waiting("making it durable");
    txn.commit()?;
    Ok(done)
}

fn one(
    to: &Place<'_>,
    txn: &mut Step,
    datastores: &mut HashMap<Vec<u8>, Store>,
    change: &Change,
) -> Result<()> {
    let datastore = match datastores.get(&change.datastore) {
        Some(known) => known.clone(),
        None => {
            let found = to.store(OsStr::from_bytes(&change.datastore))?;
            datastores.insert(change.datastore.clone(), found.clone());
            found
        }
    };
    let (key, value) = (&change.key, &change.value);
    let changed = match change.kind {
        ChangeKind::Put => txn.put(&datastore, key, value, When::Always),
        ChangeKind::Insert => txn.put(&datastore, key, value, When::Absent),
        ChangeKind::Replace => txn.put(&datastore, key, value, When::Present),
        ChangeKind::Remove { force } => txn
            .delete(&datastore, key)
            .and_then(|was_there| Error::item_not_found_unless(was_there || force)),
    };
    changed.map_err(|why| {
        let kind = why.kind();
        let failure = Failure::from(why).context(format_args!("the key {}", text::shown(key)));
        match (kind, change.kind) {
            (ErrorKind::ItemNotFound, ChangeKind::Remove { .. }) => {
                failure.advise("`rm -f` does not mind keys that are not there.")
            }
            _ => failure,
        }
    })
}
