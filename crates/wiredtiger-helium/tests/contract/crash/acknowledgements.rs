//! What was acknowledged, one file per writer: a line with the number of every deed that was
//! done, written after the call that did it returned.
//!
//! A kill may cut the last line short; such a line says nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{catalog, deeds};

/// All writers: the threads with transactions, and the one that changes the catalog.
pub const WRITERS: usize = deeds::THREADS + 1;
const LINE_BYTES: usize = 21;

/// The acknowledgements of one writer.
pub struct Acknowledgements {
    file: File,
    last: u64,
}

impl Acknowledgements {
    pub fn open(folder: &Path, writer: usize) -> Self {
        let path = path(folder, writer);
        let file = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap();
        let bytes = file.metadata().unwrap().len();
        file.set_len(bytes - bytes % LINE_BYTES as u64).unwrap();
        let last = last(&path);
        Self { file, last }
    }

    /// The last number of each writer.
    pub fn of_all(folder: &Path) -> [u64; WRITERS] {
        std::array::from_fn(|writer| last(&path(folder, writer)))
    }

    /// The last one.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Writes down that `number` was done.
    pub fn add(&mut self, number: u64) {
        self.file.write_all(line(number).as_bytes()).unwrap();
        self.last = number;
    }

    /// What was found counts as acknowledged from now on: somebody saw it.
    pub fn adopt(&mut self, found: u64) {
        if found != self.last {
            self.add(found);
        }
    }
}

fn path(folder: &Path, writer: usize) -> PathBuf {
    let name = match writer {
        catalog::WRITER => "acknowledged-catalog".to_owned(),
        thread => format!("acknowledged-{thread}"),
    };
    folder.join(name)
}

fn line(number: u64) -> String {
    format!("{number:0width$}\n", width = LINE_BYTES - 1)
}

/// The last whole line.
fn last(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n')
        .rfind(|line| line.len() == LINE_BYTES)
        .map_or(0, |line| line.trim_end().parse().unwrap())
}
