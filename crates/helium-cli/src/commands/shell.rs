//! `helium shell`: commands on a volume that stays open.
//!
//! A line is what stands behind `helium` on a command line, without the volume: it goes through the same arguments and
//! the same commands. In a terminal lines can be edited, are kept, and are completed; elsewhere they are a script,
//! which ends at the first that fails.

mod complete;
mod edit;

use std::{
    ffi::OsString,
    io::{BufReader, IsTerminal, stdin, stdout},
    os::unix::ffi::OsStringExt,
};

use clap::{CommandFactory, Parser};

use crate::{
    args::Args,
    commands,
    failure::{Code, Failure, Result},
    formats::lines::Lines,
    interrupt::{self, Interruptible},
    output::Output,
    served, text,
    volume::{self, Access},
    words,
};
use edit::Editor;

/// Commands that are about one volume that is there: what stands behind them follows the volume's name.
const COMMANDS: [&str; 17] = [
    "backup", "batch", "compact", "count", "create", "drop", "dump", "get", "load", "ls", "put",
    "rename", "rm", "scan", "stat", "truncate", "verify",
];

/// Arguments of `helium shell`.
#[derive(Debug, clap::Args)]
#[command(after_help = "In it a line is a command without the volume, as in
  put colors apple \"dark red\"
  scan colors --prefix a
`help` lists what there is, `help COMMAND` says more, `exit` or Ctrl-D ends it. The tab key
completes commands, their options and the names of datastores. Lines are kept for the next time,
but for those that begin with a blank. From a file or a pipe, the first line that fails ends it.

Example:
  helium shell fruit.he")]
pub struct Shell {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// Change nothing, so that others can read it at the same time
    #[arg(short, long)]
    read_only: bool,
}

/// What came of a line.
enum Next {
    Line,
    End,
}

impl Shell {
    /// Does what is typed.
    pub fn run(self, output: Output) -> Result<()> {
        let access = match self.read_only {
            true => Access::Read,
            false => Access::Write,
        };
        if served::is_served(&self.volume) {
            let remote = served::open(&self.volume, false)?;
            let _kept = served::keep_open(&self.volume, remote, !self.read_only);
            return self.work(output);
        }
        volume::with(&self.volume, access, |open| {
            let _publisher = volume::publish(open, "helium shell");
            let _kept = volume::keep_open(&self.volume, open);
            self.work(output)
        })
        .map_err(|why| match (why.code(), self.read_only) {
            (Code::InUse | Code::NotAllowed, false) => {
                why.also("`helium shell --read-only` needs less, and changes nothing.")
            }
            _ => why,
        })
    }

    fn work(&self, output: Output) -> Result<()> {
        match stdin().is_terminal() && stdout().is_terminal() {
            true => self.talk(output),
            false => self.script(output),
        }
    }

    fn talk(&self, output: Output) -> Result<()> {
        let mut editor = Editor::new(self.volume.clone())?;
        println!(
            "{}: `help` lists the commands, Ctrl-D ends.",
            text::plain(&self.volume)
        );
        while let Some(line) = editor.line()? {
            match self.line(line.as_bytes(), output) {
                Ok(Next::Line) => {}
                Ok(Next::End) => break,
                Err(why) if why.is_broken_pipe() => return Err(why),
                Err(why) => why.tell(output.json),
            }
            // What was asked to stop was the command.
            interrupt::forget();
        }
        Ok(())
    }

    fn script(&self, output: Output) -> Result<()> {
        interrupt::take_input();
        let mut lines = Lines::new(BufReader::new(Interruptible(stdin())));
        loop {
            let line = lines.next();
            interrupt::check()?;
            let Some(line) = line? else { return Ok(()) };
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            let done = self.line(&line, output);
            match done.map_err(|why| why.context(format_args!("line {}", lines.number())))? {
                Next::Line => {}
                Next::End => return Ok(()),
            }
        }
    }

    fn line(&self, line: &[u8], output: Output) -> Result<Next> {
        let words = words::split(line).map_err(|why| Failure::new(Code::Usage, why))?;
        let Some(first) = words.first() else {
            return Ok(Next::Line);
        };
        let name = String::from_utf8_lossy(first).into_owned();
        match name.as_str() {
            "exit" | "quit" => return Ok(Next::End),
            "help" => return help(words.get(1).map(Vec::as_slice)).map(|()| Next::Line),
            name if is_known(name) => {}
            name => {
                let what = format!("{name:?} is no command here");
                return Err(Failure::new(Code::Usage, what).advise("`help` lists what there is."));
            }
        }
        let mut arguments: Vec<OsString> = vec!["helium".into(), name.into()];
        arguments.push(self.volume.clone().into());
        arguments.extend(words.into_iter().skip(1).map(OsString::from_vec));
        let args = match Args::try_parse_from(arguments) {
            Ok(args) => args,
            Err(why) if why.use_stderr() => return Err(Failure::from(why)),
            Err(why) => return say(&why.render().to_string()).map(|()| Next::Line),
        };
        let output = Output {
            json: args.json || output.json,
        };
        commands::run(args.command, output).map(|()| Next::Line)
    }
}

fn is_known(name: &str) -> bool {
    COMMANDS.contains(&name)
}

fn say(text: &str) -> Result<()> {
    Output { json: false }.print(&serde_json::Value::Null, || text.to_owned())
}

fn help(of: Option<&[u8]>) -> Result<()> {
    let mut all = Args::command();
    all.build();
    let Some(of) = of else {
        let known = all.get_subcommands().filter(|one| is_known(one.get_name()));
        let lines = known.map(|one| {
            let about = one.get_about().map(ToString::to_string);
            format!("{:10} {}\n", one.get_name(), about.unwrap_or_default())
        });
        let mut text: String = lines.collect();
        text += "exit       End (Ctrl-D does it, too)\n\nA line is a command without the volume; `help COMMAND` says more.";
        return say(&text);
    };
    let name = String::from_utf8_lossy(of);
    match all.find_subcommand_mut(&*name) {
        Some(found) if is_known(&name) => say(&found.render_help().to_string()),
        _ => {
            let what = format!("{name:?} is no command here");
            Err(Failure::new(Code::Usage, what).advise("`help` lists what there is."))
        }
    }
}
