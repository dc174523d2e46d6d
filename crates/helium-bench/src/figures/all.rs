//! All modes, one after the other, and their figures put into the page where people read them.
//!
//! The page has a place for each section between two comments; what is between them is replaced,
//! all else is left alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::Options;

/// What to run.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Only these sections, with commas between them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Put the figures into this page: docs/measurements.md.
    #[arg(long)]
    page: Option<PathBuf>,
}

/// A section, and the program beside this one that measures it, with its arguments.
struct Section {
    name: &'static str,
    program: &'static str,
    arguments: &'static str,
    /// Those for a smaller size, of a program that knows no scale.
    small: &'static str,
}

/// A mode of this program.
const fn mode(name: &'static str) -> Section {
    section(name, FIGURES, name, "")
}

const fn section(
    name: &'static str,
    program: &'static str,
    arguments: &'static str,
    small: &'static str,
) -> Section {
    Section {
        name,
        program,
        arguments,
        small,
    }
}

const FIGURES: &str = "helium-figures";

const SECTIONS: &[Section] = &[
    mode("machine"),
    section(
        "store",
        "helium-bench",
        "--runs 3 --seconds 1 --latencies",
        "--items 20000 --runs 1 --seconds 0.1 --latencies",
    ),
    section("reads", "helium-reads", "", "--items 20000"),
    mode("index"),
    mode("caches"),
    mode("hot"),
    mode("scans"),
    mode("wiredtiger-scans"),
    mode("compression"),
    mode("reopening"),
    mode("checkpoints"),
    mode("services"),
    mode("space"),
    section(
        "wiredtiger",
        "wiredtiger-bench",
        "--runs 1 --seconds 2",
        "--items 20000 --runs 1 --seconds 0.1",
    ),
];

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    for section in SECTIONS {
        let is_wanted = |name: &String| name == section.name;
        if !arguments.only.is_empty() && !arguments.only.iter().any(is_wanted) {
            continue;
        }
        eprintln!("{} ...", section.name);
        let (started, figures) = (Instant::now(), section.run(options)?);
        let seconds = started.elapsed().as_secs_f64();
        println!("\n## {} ({seconds:.0} s)\n\n{figures}", section.name);
        if let Some(page) = &arguments.page {
            put(page, section.name, &figures)?;
        }
    }
    eprintln!("{:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

impl Section {
    /// What it prints.
    fn run(&self, options: &Options) -> Result<String> {
        let mut command = Command::new(std::env::current_exe()?.with_file_name(self.program));
        let arguments = if self.program == FIGURES {
            command.args(["--scale", &options.scale.to_string()]);
            self.arguments
        } else if options.scale < 1.0 {
            self.small
        } else {
            self.arguments
        };
        command.args(arguments.split_whitespace());
        if let Some(folder) = &options.folder {
            command.arg("--folder").arg(folder);
        }
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let done = command
            .output()
            .with_context(|| format!("run {}, which is built with this", self.program))?;
        ensure!(done.status.success(), "{} failed", self.name);
        Ok(String::from_utf8(done.stdout)?)
    }
}

/// Replaces what the page has between the section's two comments.
fn put(page: &Path, section: &str, figures: &str) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
    let [begin, end] = ["begin", "end"].map(|edge| format!("<!-- {edge} {section} -->"));
    let place = || Some((text.find(&begin)? + begin.len(), text.find(&end)?));
    let (from, to) = place().with_context(|| format!("the page has no place for {section}"))?;
    ensure!(
        from <= to,
        "the page's place for {section} ends before it begins"
    );
    let text = format!("{}\n{}\n{}", &text[..from], figures.trim(), &text[to..]);
    Ok(fs::write(page, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_of_a_section_changes() -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        let (page, start) = (file.path(), "a\n<!-- begin x -->\nold\n<!-- end x -->\nb");
        fs::write(page, start)?;
        assert!(put(page, "y", "new").is_err());
        put(page, "x", "| new |\n")?;
        let new = "a\n<!-- begin x -->\n| new |\n<!-- end x -->\nb";
        assert_eq!(fs::read_to_string(page)?, new);
        put(page, "x", "| new |")?;
        assert_eq!(fs::read_to_string(page)?, new);
        Ok(())
    }
}
