//! Lines that a person types and edits.
//!
//! Invariant: what is kept of them is readable by the user only; that it cannot be kept keeps nobody from typing.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
};

use rustyline::{
    Completer, Config, Context, Editor as Rustyline, Helper, Highlighter, Hinter, Validator,
    completion::Completer as Completing, error::ReadlineError, history::DefaultHistory,
};

use super::complete;
use crate::{
    failure::{self, Result},
    interrupt,
};

const PROMPT: &str = "helium> ";
/// Lines that are kept.
const LINES_KEPT: usize = 1000;

/// See the module.
pub struct Editor {
    editor: Rustyline<Names, DefaultHistory>,
    kept: Option<PathBuf>,
}

#[derive(Helper, Hinter, Highlighter, Validator, Completer)]
struct Names {
    #[rustyline(Completer)]
    completing: OfVolume,
}

struct OfVolume(String);

impl Completing for OfVolume {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, mut all) = complete::candidates(&self.0, line, at);
        if let [only] = &mut all[..] {
            only.push(' ');
        }
        Ok((start, all))
    }
}

impl Editor {
    /// Of lines about this volume.
    pub fn new(volume: String) -> Result<Self> {
        let config = Config::builder()
            .history_ignore_space(true)
            .max_history_size(LINES_KEPT)
            .map(|config| config.auto_add_history(true).build())
            .map_err(cannot)?;
        let mut editor = Rustyline::with_config(config).map_err(cannot)?;
        editor.set_helper(Some(Names {
            completing: OfVolume(volume),
        }));
        let kept = file();
        if let Some(kept) = &kept {
            // There may be none yet.
            let _ = editor.load_history(kept);
        }
        Ok(Self { editor, kept })
    }

    /// The next line; `None` at the end.
    pub fn line(&mut self) -> Result<Option<String>> {
        loop {
            match self.editor.readline(PROMPT) {
                Ok(line) => {
                    // The key for Ctrl-C is none here: a signal at the prompt came from elsewhere, and means the shell.
                    interrupt::check()?;
                    self.keep();
                    return Ok(Some(line));
                }
                // What was begun is given up.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(why) => return Err(cannot(why)),
            }
        }
    }

    fn keep(&mut self) {
        let Some(kept) = &self.kept else { return };
        if self.editor.append_history(kept).is_ok() {
            let _ = fs::set_permissions(kept, fs::Permissions::from_mode(0o600));
        }
    }
}

fn cannot(why: ReadlineError) -> failure::Failure {
    failure::system("cannot read what is typed", std::io::Error::other(why))
}

/// `$XDG_STATE_HOME/helium/history`, or where that would be.
fn file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = match set("XDG_STATE_HOME") {
        Some(state) => PathBuf::from(state),
        None => PathBuf::from(set("HOME")?).join(".local/state"),
    };
    let folder = state.join("helium");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .ok()?;
    Some(folder.join("history"))
}
