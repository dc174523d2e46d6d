//! The commands, each with its arguments.

pub mod backup;
pub mod batch;
mod bounds;
pub mod compact;
pub mod completions;
mod copying;
pub mod count;
pub mod create;
pub mod datastores;
pub mod dump;
pub mod items;
pub mod load;
pub mod look;
pub mod remove;
pub mod salvage;
pub mod scan;
#[cfg(feature = "server")]
pub mod server;
pub mod shell;
mod sizes;
mod users_file;
pub mod verify;

use std::io::{IsTerminal, Write, stderr, stdin};

use crate::{
    args::Command,
    failure::{self, Code, Failure, Result},
    interrupt,
    output::Output,
    text,
};

/// Does what `command` says.
pub fn run(command: Command, output: Output) -> Result<()> {
    match command {
        Command::Create(create) => create.run(output),
        Command::Ls(ls) => ls.run(output),
        Command::Stat(stat) => stat.run(output),
        Command::Get(get) => get.run(output),
        Command::Put(put) => put.run(output),
        Command::Rm(rm) => rm.run(output),
        Command::Scan(scan) => scan.run(output),
        Command::Count(count) => count.run(output),
        Command::Batch(batch) => batch.run(output),
        Command::Load(load) => load.run(output),
        Command::Dump(dump) => dump.run(output),
        Command::Rename(rename) => rename.run(output),
        Command::Drop(drop) => drop.run(output),
        Command::Truncate(truncate) => truncate.run(output),
        Command::Verify(verify) => verify.run(output),
        Command::Salvage(salvage) => salvage.run(output),
        Command::Backup(backup) => backup.run(output),
        Command::Compact(compact) => compact.run(output),
        Command::Bench(bench) => bench.run(output),
        Command::Top(top) => top.run(output),
        Command::Shell(shell) => shell.run(output),
        #[cfg(feature = "server")]
        Command::Server(server) => server.run(output),
        Command::Completions(completions) => completions.run(output),
        Command::Man(man) => man.run(output),
    }
}

/// Whether to go on without asking.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Consent {
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

impl Consent {
    /// Whether [`Consent::ask`] asks.
    pub fn would_ask(self) -> bool {
        !self.yes && stdin().is_terminal() && stderr().is_terminal()
    }

    /// Asks a person whether to do what cannot be undone; scripts mean what they say.
    pub fn ask(self, question: &str) -> Result<()> {
        if !self.would_ask() {
            return Ok(());
        }
        write!(stderr(), "{} [y/N] ", text::plain(question))
            .map_err(|why| failure::system("cannot ask", why))?;
        match interrupt::line()?.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(Code::Failed, "nothing was done")),
        }
    }
}
