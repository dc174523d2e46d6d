//! `cargo xtask shape`: how a crate is built in the large, in figures.
//!
//! They are for comparing: the same figures before and after the structure is changed. All of them
//! are of production code, as its text says it: items under `#[cfg(test)]`, files called `tests.rs`
//! and folders called `tests` are left out, and macros are not expanded.

mod imports;
mod lengths;
mod names;
mod source;
#[cfg(test)]
mod tests;
mod types;

use crate::step;
use anyhow::Result;
use clap::Args;
use std::fmt::Write;

pub use imports::arrows;
pub use lengths::{LINES_MAX, functions};
pub use source::Package;

/// What to measure.
#[derive(Args)]
pub struct Shape {
    /// Folder of the crate, from the root
    #[arg(default_value = "crates/heliumdb")]
    package: String,
    /// How many of the largest types to list
    #[arg(long, default_value_t = 10)]
    types: usize,
}

impl Shape {
    /// Measures and prints.
    pub fn run(&self) -> Result<()> {
        let package = Package::read(&step::root().join(&self.package))?;
        print!("{}", self.report(&package));
        Ok(())
    }

    fn report(&self, package: &Package) -> String {
        let mut text = String::new();
        let lines: Vec<usize> = package.files.iter().map(|file| file.lines).collect();
        let functions = functions(package);
        let long = functions.iter().filter(|function| function.is_long());
        let names = names::twice(package);
        let circles = imports::circles(package);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{} files, {} lines, the median file {}",
            lines.len(),
            lines.iter().sum::<usize>(),
            median(lines)
        );
        let _ = writeln!(
            text,
            "{} functions, {} of them longer than {} lines",
            functions.len(),
            long.count(),
            lengths::LINES_MAX
        );
        let _ = writeln!(
            text,
            "{} type names stand for more than one type: {}",
            names.len(),
            names::list(&names)
        );
        let _ = writeln!(
            text,
            "\n{:30} {:>6} {:>8} {:>7} {:>6}",
            "largest types", "fields", "not own", "methods", "files"
        );
        for kind in types::largest(package, self.types) {
            let _ = writeln!(
                text,
                "{:30} {:>6} {:>8} {:>7} {:>6}",
                kind.name, kind.fields, kind.shared, kind.methods, kind.files
            );
        }
        let _ = writeln!(
            text,
            "\ncircles of files that import each other: {}",
            circles.len()
        );
        for circle in circles {
            let _ = writeln!(
                text,
                "{:>4} files, {:>6} lines: {}",
                circle.files,
                circle.lines,
                circle.folders.join(", ")
            );
        }
        text
    }
}

fn median(mut numbers: Vec<usize>) -> usize {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}
