//! The `helium` command: makes, reads, fills, checks and measures Helium volumes.
//!
//! [`args`] says what there is, [`commands`] does it, [`formats`] is how items go out and come in,
//! [`mod@bench`] measures. What went wrong is a [`failure::Failure`] until `main` prints it.

mod allocator;
mod args;
mod bench;
mod commands;
mod failure;
mod formats;
mod fresh;
mod interrupt;
mod json;
mod old;
mod output;
mod progress;
mod reading;
mod served;
mod target;
mod text;
mod top;
mod volume;
mod words;
mod writing;

use std::process::ExitCode;

use clap::Parser;

use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    allocator::fit_address_space();
    let arguments = match old::translate(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(why) => return report(&why, false),
    };
    let json = arguments.iter().any(|argument| argument == "--json");
    allocator::speak_json(json);
    let has_unprintable = arguments.iter().any(|argument| {
        let text = argument.to_string_lossy();
        !text.chars().all(heliumdb::printable::is_printable)
    });
    let args = match args::Args::try_parse_from(arguments) {
        Ok(args) => args,
        // Help and version are errors to it as well.
        Err(why) if why.use_stderr() && json => return report(&Failure::from(why), true),
        Err(why) if json && why.kind() == clap::error::ErrorKind::DisplayVersion => {
            let version = serde_json::json!({"version": env!("CARGO_PKG_VERSION")});
            return end(Output { json }.print(&version, String::new), true);
        }
        // What it quotes of the arguments may be anything.
        Err(why) if why.use_stderr() && has_unprintable => {
            eprint!("{}", text::plain_lines(&why.render().to_string()));
            return ExitCode::from(failure::Code::Usage as u8);
        }
        Err(why) => why.exit(),
    };
    let output = Output { json: args.json };
    volume::set_caches(args.caches);
    end(
        interrupt::listen(args.json).and_then(|()| commands::run(args.command, output)),
        args.json,
    )
}

fn end(done: failure::Result<()>, json: bool) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(why) if why.is_broken_pipe() => ExitCode::SUCCESS,
        Err(why) => report(&why, json),
    }
}

fn report(why: &Failure, json: bool) -> ExitCode {
    why.tell(json);
    ExitCode::from(why.code() as u8)
}
