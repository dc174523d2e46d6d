//! Checks that keep the tree honest: what the documents say of it is true of it.
//!
//! Each rule is a pure function from the tree's files to complaints, so that the
//! rules are tested without a tree.

mod documents;
mod shape;
mod sources;
mod tasks;
#[cfg(test)]
mod tests;
mod tree;
mod variables;

use crate::{shape::Package, step};
use anyhow::{Result, bail};
use std::fs;
use tree::Tree;

/// A complaint: the file, and what is wrong with it.
type Complaint = String;

const RULES: [fn(&Tree) -> Vec<Complaint>; 13] = [
    sources::module_docs,
    sources::lengths,
    sources::unfinished,
    sources::lints,
    documents::map_names_what_exists,
    documents::map_is_complete,
    documents::links,
    documents::decisions_are_numbered,
    documents::licences_are_there,
    documents::words_are_used,
    tasks::are_the_examples,
    variables::are_in_the_table,
    variables::are_set_as_the_table_says,
];

/// Applies every rule to the workspace.
pub fn tidy() -> Result<()> {
    step::step("tidy", || {
        let tree = Tree::read(step::root())?;
        let mut complaints: Vec<Complaint> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
        complaints.extend(shapes()?);
        for complaint in &complaints {
            eprintln!("    {complaint}");
        }
        match complaints.len() {
            0 => Ok(()),
            count => bail!("{count} complaints"),
        }
    })
}

/// Makes the page of the commonest tasks of the examples.
pub fn write_tasks() -> Result<()> {
    let tree = Tree::read(step::root())?;
    fs::write(step::root().join(tasks::PAGE), tasks::page(&tree))?;
    Ok(())
}

/// What the rules on the code's shape say of every crate.
fn shapes() -> Result<Vec<Complaint>> {
    let mut folders = vec![step::root().join("python")];
    for entry in fs::read_dir(step::root().join("crates"))? {
        folders.push(entry?.path());
    }
    let mut complaints = Vec::new();
    for folder in folders {
        let package = Package::read(&folder)?;
        complaints.extend(shape::lengths(&package));
        if folder.ends_with("heliumdb") {
            complaints.extend(shape::layers(&package));
        }
    }
    Ok(complaints)
}
