//! The tree's own files, read once: what is built, hidden or git's stays out.

use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs, path::Path};

/// Text files by their path from the root, with `/` between folders.
#[derive(Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

/// Kinds of file that the rules read.
const KINDS: [&str; 3] = ["rs", "md", "toml"];

impl Tree {
    /// Reads the tree below `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add_folder(root, "")?;
        Ok(tree)
    }

    /// A tree of the given files.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(own).collect(),
        }
    }

    /// The text of the file at `path`; empty for kinds that no rule reads.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Path and text of the files whose name ends in `.kind`, in order of their paths.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| kind_of(path) == Some(kind))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Whether there is a file or a folder with files at `path`.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path)
            || self
                .files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(name, _)| name.starts_with(&folder))
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !skips(&name) {
                    self.add_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else {
                let text = self.read_text(&entry.path(), &path)?;
                self.files.insert(path, text);
            }
        }
        Ok(())
    }

    fn read_text(&self, file: &Path, path: &str) -> Result<String> {
        match kind_of(path) {
            Some(kind) if KINDS.contains(&kind) => {
                fs::read_to_string(file).with_context(|| path.to_owned())
            }
            _ => Ok(String::new()),
        }
    }
}

/// Folders that are not the tree's own text; `.cargo` and `.ci` are.
fn skips(folder: &str) -> bool {
    folder == "target" || folder.starts_with('.') && folder != ".cargo" && folder != ".ci"
}

fn kind_of(path: &str) -> Option<&str> {
    path.rsplit('/')
        .next()?
        .rsplit_once('.')
        .map(|(_, kind)| kind)
}
