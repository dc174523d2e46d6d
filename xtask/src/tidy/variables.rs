//! The environment's variables: one table has all of them, and says how much the long tests do.

use super::{Complaint, tree::Tree};
use crate::build::SCALE;
use std::collections::{BTreeMap, BTreeSet};

const DOCUMENT: &str = "docs/testing.md";
const PREFIX: &str = "HELIUM_";
/// These files are about names, and read none.
const OWN: &str = "xtask/src/tidy/";

/// What is named anywhere is in the table, and what is in the table is read.
pub fn are_in_the_table(tree: &Tree) -> Vec<Complaint> {
    let rows = rows(tree);
    let mut complaints = Vec::new();
    let mut read = BTreeSet::new();
    for (path, text) in tree.of_kind("rs").chain(tree.of_kind("md")) {
        if path.starts_with(OWN) {
            continue;
        }
        for (before, name) in names(text) {
            if !rows.contains_key(name) {
                complaints.push(format!(
                    "{path}: `{name}` is not in the table of {DOCUMENT}"
                ));
            }
            if path.ends_with(".rs") && before.ends_with('"') {
                read.insert(name);
            }
        }
    }
    let unread = rows.keys().filter(|name| !read.contains(*name));
    complaints.extend(unread.map(|name| format!("{DOCUMENT}: nothing reads `{name}`")));
    complaints
}

/// What `cargo xtask test` sets is what the table says.
pub fn are_set_as_the_table_says(tree: &Tree) -> Vec<Complaint> {
    let set: BTreeMap<&str, &str> = SCALE.into_iter().collect();
    let mut complaints = Vec::new();
    for (name, row) in rows(tree) {
        let said: String = row.chars().filter(|c| *c != ',').collect();
        let done = set.get(name).copied().unwrap_or_default();
        if said != done {
            complaints.push(format!(
                "{DOCUMENT}: says \"{row}\" where `cargo xtask test` sets {name} to \"{done}\""
            ));
        }
    }
    complaints
}

/// The table's names, each with what its row says of `cargo xtask test`.
fn rows(tree: &Tree) -> BTreeMap<&str, &str> {
    let lines = tree.text(DOCUMENT).unwrap_or_default().lines();
    lines
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let name = cells.next()?.trim().trim_end_matches('`');
            let full = cells.nth(1)?.trim();
            name.starts_with(PREFIX).then_some((name, full))
        })
        .collect()
}

/// The names in a text, each with what stands before it.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices(PREFIX).filter_map(|(at, _)| {
        let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let (before, rest) = text.split_at(at);
        let name = rest.split(|c| !is_part(c)).next()?;
        let is_whole = !before.ends_with(is_part) && name.len() > PREFIX.len();
        is_whole.then_some((before, name))
    })
}
