//! Rules on the documents: the map, the links, the decisions and the licences.

use super::{Complaint, tree::Tree};
use std::collections::BTreeSet;

const MAP: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Code map";
const DECISIONS: &str = "docs/decisions/";
const WORDS: &str = "docs/glossary.md";
/// Whose words these are.
const STORE: &str = "crates/heliumdb/src/";

/// Every place that the code map names exists.
pub fn map_names_what_exists(tree: &Tree) -> Vec<Complaint> {
    let Some(map) = code_map(tree) else {
        return vec![format!("{MAP}: has no section `{HEADING}`")];
    };
    places(map)
        .filter(|place| !tree.has(place))
        .map(|place| format!("{MAP}: names {place}, which does not exist"))
        .collect()
}

/// Every crate, and every folder of modules directly below a crate's `src`, is on the code map.
pub fn map_is_complete(tree: &Tree) -> Vec<Complaint> {
    let mapped: BTreeSet<&str> = code_map(tree).map(places).into_iter().flatten().collect();
    let mut wanted = BTreeSet::new();
    for (path, _) in tree.of_kind("rs") {
        if let Some((package, module)) = path.split_once("/src/") {
            wanted.insert(package.to_owned());
            if let Some((folder, _)) = module.split_once('/') {
                wanted.insert(format!("{package}/src/{folder}"));
            }
        }
    }
    wanted
        .iter()
        .filter(|place| !mapped.contains(place.as_str()))
        .map(|place| format!("{MAP}: `{place}` is not in the code map"))
        .collect()
}

/// Every link from a document to a file of the tree leads somewhere.
pub fn links(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.of_kind("md") {
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or(target);
            let elsewhere = target.contains(':') || target.contains(char::is_whitespace);
            if !target.is_empty() && !elsewhere && !tree.has(&resolve(path, target)) {
                complaints.push(format!("{path}: links to {target}, which does not exist"));
            }
        }
    }
    complaints
}

/// Decisions are numbered without gaps and say what was rejected.
pub fn decisions_are_numbered(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let decisions = tree
        .of_kind("md")
        .filter(|(path, _)| path.starts_with(DECISIONS));
    for (number, (path, text)) in (1..).zip(decisions) {
        if !path.starts_with(&format!("{DECISIONS}{number:04}-")) {
            complaints.push(format!("{path}: the next decision is number {number:04}"));
        }
        if !text.contains("## Rejected") {
            complaints.push(format!("{path}: has no section `## Rejected`"));
        }
    }
    complaints
}

/// The words that the glossary explains are used by the store's code.
pub fn words_are_used(tree: &Tree) -> Vec<Complaint> {
    let sources = tree
        .of_kind("rs")
        .filter(|(path, _)| path.starts_with(STORE));
    let code: Vec<String> = sources
        .map(|(_, text)| text.to_lowercase().replace('_', " "))
        .collect();
    let rows = tree.text(WORDS).into_iter().flat_map(str::lines);
    rows.filter_map(|row| row.strip_prefix("| *")?.split(" | ").next())
        .flat_map(|words| words.split(", "))
        .map(|word| word.trim_matches('*').trim_start_matches("to "))
        .filter(|word| !code.iter().any(|text| text.contains(word)))
        .map(|word| format!("{WORDS}: nothing in {STORE} is called \"{word}\""))
        .collect()
}

/// The licences that the crates name are there in full.
pub fn licences_are_there(tree: &Tree) -> Vec<Complaint> {
    ["LICENSE-APACHE", "LICENSE-MIT", "README.md"]
        .iter()
        .filter(|path| !tree.has(path))
        .map(|path| format!("{path}: is missing"))
        .collect()
}

fn code_map(tree: &Tree) -> Option<&str> {
    let (_, section) = tree.text(MAP)?.split_once(HEADING)?;
    Some(section.split("\n## ").next().unwrap_or(section))
}

/// What the map has in backticks and is a place: it has a slash, or starts a row of the table.
fn places(map: &str) -> impl Iterator<Item = &str> {
    map.lines().flat_map(|line| {
        let row = line.starts_with("| `");
        let quoted = line.split('`').skip(1).step_by(2).enumerate();
        quoted
            .filter(move |(nth, text)| text.contains('/') || row && *nth == 0)
            .map(|(_, place)| place.trim_end_matches('/'))
    })
}

/// `target` as seen from the file at `path`, from the root.
fn resolve(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
