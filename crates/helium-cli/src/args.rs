//! What can be asked for: the commands, their arguments, and what the help says of them.

use clap::{Parser, Subcommand};

use crate::{bench, commands, failure::CODES, top, volume::Caches};

/// Makes, reads, fills, checks and measures Helium volumes.
///
/// A VOLUME is a file or a block device, named by its path (data.he, /dev/nvme0n1), several of
/// them with commas between (a.he,b.he; a comma in a path is \,), or a URL (he://./a.he;
/// he://./_268435456 is so many bytes of memory, he://host:41000/fruit a server's).
/// It holds named datastores of ordered items.
#[derive(Debug, Parser)]
#[command(name = "helium", version, arg_required_else_help = true, after_help = START, after_long_help = after())]
#[command(subcommand_required = true, disable_help_subcommand = true)]
pub struct Args {
    /// Print results as JSON, and failures too (on standard error)
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    pub caches: Caches,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// For who sees the command for the first time.
const START: &str = "A first volume:
  helium create fruit.he colors            a file, and a datastore in it
  helium put fruit.he colors apple red
  helium scan fruit.he colors
  helium load fruit.he -d colors more.csv  CSV with a header key,value; or JSON Lines

`helium COMMAND --help` says what a command takes.";

fn after() -> String {
    format!(
        "Exit codes:\n{CODES}\n\nExamples:\n  \
         helium create fruit.he colors\n  \
         helium put fruit.he colors apple red\n  \
         helium scan fruit.he colors\n  \
         helium dump fruit.he > fruit.jsonl\n\n\
         The switches --perf, --stat and --test of earlier releases are bench, stat and verify."
    )
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a volume, datastores in it, or both
    Create(commands::create::Create),
    /// List the datastores of a volume
    Ls(commands::look::Ls),
    /// Figures of a volume
    Stat(commands::look::Stat),
    /// Print the value of a key
    Get(commands::items::Get),
    /// Set the value of a key
    Put(commands::items::Put),
    /// Remove items: some, those of a range, or those that start alike
    Rm(commands::remove::Rm),
    /// Print items in the order of their keys
    Scan(commands::scan::Scan),
    /// Count items
    Count(commands::count::Count),
    /// Do several changes in one step, all of them or none
    Batch(commands::batch::Batch),
    /// Read items from a file, or from standard input
    Load(commands::load::Load),
    /// Write datastores to a file, or to standard output
    Dump(commands::dump::Dump),
    /// Give a datastore another name
    Rename(commands::datastores::Rename),
    /// Remove datastores and all their items
    Drop(commands::datastores::Drop),
    /// Remove all items of datastores
    Truncate(commands::datastores::Truncate),
    /// Read every item and check it
    Verify(commands::verify::Verify),
    /// Copy what can be read of a damaged volume to a new one
    Salvage(commands::salvage::Salvage),
    /// Copy a volume to a new one
    Backup(commands::backup::Backup),
    /// Move items together, so that the space of dead ones is free
    Compact(commands::compact::Compact),
    /// Measure: Helium's own order of work, and the YCSB mixes
    Bench(bench::Bench),
    /// Show what goes on in a volume that some process has open
    Top(top::Top),
    /// Type commands on a volume that stays open
    Shell(commands::shell::Shell),
    /// Serve volumes to other processes and machines, in the protocol of Redis
    #[cfg(feature = "server")]
    Server(commands::server::Server),
    /// Print a script that completes helium's arguments in a shell
    Completions(commands::completions::Completions),
    /// Write the manual pages
    Man(commands::completions::Man),
}
