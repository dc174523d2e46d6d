//! What the installed command is asked for itself: its manual pages and its completions; and a
//! page for each call of the library.
//!
//! Invariant: every call that a header declares has a page.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The calls of the library, whose pages are he(3).
const CALLS: [&str; 32] = [
    "he_close",
    "he_commit",
    "he_delete",
    "he_delete_lookup",
    "he_discard",
    "he_enumerate",
    "he_exists",
    "he_insert",
    "he_is_read_only",
    "he_is_transaction",
    "he_is_valid",
    "he_iter_close",
    "he_iter_next",
    "he_iter_open",
    "he_iterate",
    "he_lookup",
    "he_merge",
    "he_next",
    "he_open",
    "he_perror",
    "he_prev",
    "he_remove",
    "he_remove_volume",
    "he_rename",
    "he_replace",
    "he_stats",
    "he_strerror",
    "he_transaction",
    "he_transaction_datastore",
    "he_truncate",
    "he_update",
    "he_version",
];

/// What else people ask for and find there: the header and its structures.
const WORDS: [&str; 3] = ["he.h", "he_env", "he_item"];

/// Where shells look for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/helium"),
    ("zsh", "share/zsh/site-functions/_helium"),
    ("fish", "share/fish/vendor_completions.d/helium.fish"),
];

/// Files and their contents, by where they go below the prefix.
pub fn all(helium: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for name in CALLS.into_iter().chain(WORDS) {
        let page = format!("share/man/man3/{name}.3");
        files.push((page.into(), b".so man3/he.3\n".to_vec()));
    }
    for (shell, to) in COMPLETIONS {
        files.push((to.into(), said(helium, &["completions", shell])?));
    }
    let folder = helium.with_file_name("helium-man");
    let pages = folder.to_str().context("the target folder is no text")?;
    said(helium, &["man", pages])?;
    for page in fs::read_dir(&folder)? {
        let page = page?;
        let to = Path::new("share/man/man1").join(page.file_name());
        files.push((to, fs::read(page.path())?));
    }
    fs::remove_dir_all(&folder)?;
    Ok(files)
}

fn said(helium: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(helium)
        .args(arguments)
        .output()
        .with_context(|| format!("run {}", helium.display()))?;
    if !output.status.success() {
        bail!(
            "helium {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::CALLS;
    use crate::step;

    #[test]
    fn every_call_of_every_header_has_a_page() {
        for version in ["2.2", "2.8", "3.x"] {
            let header = step::root().join(format!("crates/libhe/include/{version}/he.h"));
            let header = std::fs::read_to_string(header).unwrap();
            let code = header.lines().filter(|line| line.ends_with(");"));
            let mut calls = 0;
            for line in code.filter(|line| !line.starts_with([' ', '\t', '#', '/'])) {
                let Some((before, _)) = line.split_once('(') else {
                    continue;
                };
                let call = before.rsplit([' ', '*']).next().unwrap_or_default();
                if !call.is_empty() && !call.starts_with("he_transaction_v") {
                    assert!(CALLS.contains(&call), "{call} of {version} has no page");
                    calls += 1;
                }
            }
            assert!(calls > 20, "{version} declares {calls} calls");
        }
    }
}
