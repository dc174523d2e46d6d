//! What `helium salvage`, `helium backup` and `helium verify` have in common: a new volume, and
//! progress of work that the store does.

use std::fs::Metadata;

use heliumdb::{
    Error, ErrorKind, Volume,
    upkeep::{Phase, Progress as Step},
};

use crate::{
    failure::{Code, Failure, Result},
    fresh::Fresh,
    interrupt,
    progress::Progress,
    target,
    volume::{self, Access},
};

/// What becomes of a new volume when the work that fills it fails: a copy that is not finished, which nothing
/// takes for a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// What it holds may be all that there is: it stays, for salvage.
    Stays,
    /// It is of no use: it goes, if it was not there before.
    Goes,
}

/// Makes the volume `name`, which must not be there with anything in it, and lets `work` fill it from
/// `source`.
pub fn into_new<R>(
    source: &str,
    name: &str,
    half: Half,
    work: impl FnOnce(&Volume) -> Result<R>,
) -> Result<R> {
    refuse_same(source, name)?;
    let fresh = Fresh::of(name);
    let mut is_ours = false;
    let mut options = Access::Create.options();
    options.receive_copy = true;
    let done = volume::with_options(name, &options, |target| {
        if !target.datastores().is_empty() {
            return Err(
                Failure::new(Code::Exists, format!("{name} has datastores in it already"))
                    .advise("Name a volume that is not there yet, or is empty."),
            );
        }
        is_ours = true;
        work(target)
    });
    if is_ours && half == Half::Goes && done.is_err() {
        fresh.remove();
    }
    done
}

/// A volume cannot be copied to devices that it is on.
fn refuse_same(source: &str, to_volume: &str) -> Result<()> {
    let (from, to) = (target::devices(source)?, target::devices(to_volume)?);
    let is_read = |to: &Metadata| from.iter().any(|(_, from)| target::is_same(from, to));
    match to.iter().find(|(_, to)| is_read(to)) {
        Some(_) => Err(Failure::new(
            Code::Usage,
            format!("{source} cannot be copied to {to_volume}: that is the volume itself"),
        )
        .advise("Name a volume that is not there yet.")),
        None => Ok(()),
    }
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

/// A failure on the way, which leaves `target` half full if it stays.
pub fn explain(why: Error, target: &str, half: Half) -> Failure {
    let part = format!(
        "{target} holds only a part of the items, and does not open: the same command makes it again."
    );
    match (why.kind(), half) {
        (ErrorKind::Cancelled, Half::Stays) => interrupt::stopped().advise(part),
        (ErrorKind::Cancelled, Half::Goes) => interrupt::stopped(),
        (ErrorKind::VolumeFull, Half::Stays) => volume::no_room(why).also(&part),
        (ErrorKind::VolumeFull, Half::Goes) => volume::no_room(why),
        (_, Half::Stays) => Failure::from(why).also(&part),
        (_, Half::Goes) => why.into(),
    }
}
