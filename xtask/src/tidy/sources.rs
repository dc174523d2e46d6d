//! Rules on source files.

use super::{Complaint, tree::Tree};

/// Longest source file, in lines.
const LINES_MAX: usize = 600;

/// Every source file starts with the sentence that says what it is for.
pub fn module_docs(tree: &Tree) -> Vec<Complaint> {
    tree.of_kind("rs")
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| format!("{path}: does not start with a module doc (`//!`)"))
        .collect()
}

/// No source file grows beyond what one can hold in one's head.
pub fn lengths(tree: &Tree) -> Vec<Complaint> {
    tree.of_kind("rs")
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines; {LINES_MAX} are the limit"))
        .collect()
}

/// Nothing says that it is to be finished later.
pub fn unfinished(tree: &Tree) -> Vec<Complaint> {
    // Put together here, so that this file does not complain of itself.
    let marks = ["to", "unimpleme", "FIX", "TO", "XX"];
    let ends = ["do!(", "nted!(", "ME", "DO", "X"];
    let marks: Vec<String> = marks
        .iter()
        .zip(ends)
        .map(|(mark, end)| format!("{mark}{end}"))
        .collect();
    let files = tree.of_kind("rs").chain(tree.of_kind("md"));
    files
        .flat_map(|(path, text)| {
            text.lines()
                .enumerate()
                .map(move |(at, line)| (path, at + 1, line))
        })
        .filter_map(|(path, at, line)| {
            let mark = marks.iter().find(|mark| line.contains(mark.as_str()))?;
            Some(format!("{path}:{at}: {mark}"))
        })
        .collect()
}

/// Every crate takes its workspace's lints, unless it is a workspace of its own.
pub fn lints(tree: &Tree) -> Vec<Complaint> {
    tree.of_kind("toml")
        .filter(|(path, text)| path.ends_with("Cargo.toml") && text.contains("[package]"))
        .filter(|(_, text)| !text.contains("[workspace]"))
        .filter(|(_, text)| !text.contains("[lints]\nworkspace = true"))
        .map(|(path, _)| format!("{path}: does not take the workspace's lints"))
        .collect()
}
