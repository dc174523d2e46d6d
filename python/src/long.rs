//! Long work: it tells how far it is, and the user may interrupt it.

use std::time::{Duration, Instant};

use heliumdb::{
    Error, ErrorKind,
    upkeep::{Phase, Progress},
};
use pyo3::prelude::*;

use crate::errors::Failure;

/// How often the user is heard.
const PERIOD: Duration = Duration::from_millis(100);

/// Who hears of the progress of long work, and may stop it.
pub struct Listener {
    progress: Option<Py<PyAny>>,
    next: Instant,
    /// Why the work is to end.
    stopped: Option<PyErr>,
}

impl Listener {
    /// `progress` is called with a word, what is done and how much there is, and stops the work by returning `False`.
    pub fn new(progress: Option<Py<PyAny>>) -> Self {
        Self {
            progress,
            next: Instant::now() + PERIOD,
            stopped: None,
        }
    }

    /// Until when work may go on before it comes back.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Says how far the work is; false if it is to end.
    pub fn hears(&mut self, step: &Progress) -> bool {
        if Instant::now() < self.next && step.done < step.total {
            return true;
        }
        let heard = Python::attach(|py| -> PyResult<bool> {
            py.check_signals()?;
            let Some(progress) = &self.progress else {
                return Ok(true);
            };
            let answer = progress.call1(py, (word(step.phase), step.done, step.total))?;
            Ok(!answer.bind(py).is(pyo3::types::PyBool::new(py, false)))
        });
        self.next = Instant::now() + PERIOD;
        heard.unwrap_or_else(|why| {
            self.stopped = Some(why);
            false
        })
    }

    /// Looks whether the user wants it to end, for work that does not say how far it is.
    pub fn check(&mut self) -> Result<(), Failure> {
        if Instant::now() >= self.next {
            Python::attach(|py| py.check_signals())?;
            self.next = Instant::now() + PERIOD;
        }
        Ok(())
    }

    /// What came of the work: a failure of Python's is why it was stopped.
    pub fn outcome<R>(self, done: Result<R, Error>) -> Result<R, Failure> {
        match (done, self.stopped) {
            (Err(why), Some(stopped)) if why.kind() == ErrorKind::Cancelled => Err(stopped.into()),
            (done, _) => Ok(done?),
        }
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Records => "records",
        Phase::Items => "items",
        Phase::Copying => "copying",
        Phase::Checking => "checking",
        _ => "working",
    }
}
