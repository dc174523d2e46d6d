//! What the installed command is asked for itself: its manual pages and its completions; and pages for the header
//! and its structures, which are he(3).

use crate::calls;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
    files.extend(calls::pages()?);
    for name in WORDS {
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
