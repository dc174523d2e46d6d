//! What `helium salvage`, `helium backup` and `helium verify` have in common: a new volume, and
//! progress of work that the store does.

use heliumdb::{Error, ErrorKind, Phase, Progress as Step, Volume};

use crate::{
    failure::{Code, Failure, Result},
    interrupt,
    progress::Progress,
    volume::{self, Access},
};

/// Makes the volume `name`, which must not be there with anything in it, and lets `work` fill it.
pub fn into_new<R>(name: &str, work: impl FnOnce(&Volume) -> Result<R>) -> Result<R> {
    volume::with(name, Access::Create, |target| {
        if !target.datastores().is_empty() {
            return Err(
                Failure::new(Code::Exists, format!("{name} has datastores in it already"))
                    .advise("Name a volume that is not there yet, or is empty."),
            );
        }
        work(target)
    })
}

/// Shows the steps of long work, and stops them when asked.
#[derive(Default)]
pub struct Steps {
    shown: Option<(Phase, Progress)>,
}

impl Steps {
    /// It has come so far; whether to go on.
    pub fn at(&mut self, step: &Step) -> bool {
        let known = self
            .shown
            .as_ref()
            .filter(|(phase, _)| *phase == step.phase);
        if known.is_none() {
            // The old display goes before the new one comes.
            self.shown = None;
            self.shown = Some((step.phase, display(step)));
        }
        if let Some((_, progress)) = &self.shown {
            progress.at(step.done);
        }
        !interrupt::asked()
    }
}

fn display(step: &Step) -> Progress {
    match step.phase {
        Phase::Records => Progress::bytes("reading the log for transactions", step.total),
        Phase::Items => Progress::bytes("reading the log for items", step.total),
        Phase::Checking => Progress::items("checking", step.total),
        _ => Progress::items("copying", step.total),
    }
}

/// A failure on the way; Ctrl-C leaves `target` half full.
pub fn explain(why: Error, target: &str) -> Failure {
    if why.kind() == ErrorKind::Cancelled {
        return interrupt::stopped().advise(format!("{target} holds only a part of the items."));
    }
    why.into()
}
