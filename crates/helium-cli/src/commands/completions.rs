//! `helium completions` and `helium man`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::{
    args::Args,
    failure::{self, Result},
    output::{self, Output},
    target,
};

/// Arguments of `helium completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub fn run(self, output: Output) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), "helium", &mut script);
        if output.json {
            let script = String::from_utf8_lossy(&script);
            let shell = self.shell.to_string();
            return output.print(&json!({"shell": shell, "script": script}), String::new);
        }
        let mut out = output.writer();
        out.write_all(&script).map_err(failure::output)?;
        output::finish(out)
    }
}

/// Arguments of `helium man`.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The folder they go to; it is made if it is not there
    folder: PathBuf,
}

impl Man {
    /// Writes helium.1 and a page for each command.
    pub fn run(self, output: Output) -> Result<()> {
        let complain = |why| {
            failure::system(
                format_args!("cannot write to {}", self.folder.display()),
                why,
            )
        };
        fs::create_dir_all(&self.folder).map_err(complain)?;
        pages(&self.folder)?;
        let folder = self.folder.to_string_lossy();
        output.print(&json!({"folder": folder}), String::new)
    }
}

/// When what the pages say was changed last: a page that was made again is the same.
const DATE: &str = "2026-11-30";

/// Writes all pages.
fn pages(folder: &Path) -> Result<()> {
    let mut command = Args::command();
    command.build();
    page(&command, folder)?;
    command
        .get_subcommands()
        .try_for_each(|command| page(command, folder))
}

fn page(command: &clap::Command, folder: &Path) -> Result<()> {
    let man = clap_mangen::Man::new(command.clone())
        .date(DATE)
        .source(concat!("helium ", env!("CARGO_PKG_VERSION")))
        .manual("Helium");
    let mut text = Vec::new();
    man.render(&mut text).map_err(failure::output)?;
    // A blank line is a break by itself.
    let text = String::from_utf8_lossy(&text).replace("\n.br\n\n.br\n", "\n.sp\n");
    let path = folder.join(man.get_filename());
    target::write(&path, target::PUBLIC, None, |file| {
        file.write_all(text.as_bytes())
            .map_err(|why| failure::system(format_args!("cannot write {}", path.display()), why))
    })
}
