//! What the tab key completes: commands, their options, and the names of the volume's datastores.

use clap::CommandFactory;

use super::COMMANDS;
use crate::{args::Args, volume};

/// Where in `line` the word before `at` starts, and what it may become.
pub fn candidates(volume: &str, line: &str, at: usize) -> (usize, Vec<String>) {
    let before = line.get(..at).unwrap_or(line);
    let start = start_of_word(before);
    let begun = &before[start..];
    let mut words = before[..start].split_whitespace();
    let Some(command) = words.next() else {
        let mut all: Vec<&str> = COMMANDS.into_iter().chain(["help", "exit"]).collect();
        all.sort_unstable();
        return (
            start,
            those_that_start(begun, all.into_iter().map(str::to_owned)),
        );
    };
    if begun.starts_with('-') {
        return (
            start,
            those_that_start(begun, options_of(command).into_iter()),
        );
    }
    let is_first = words.all(|word| word.starts_with('-'));
    let several = ["drop", "dump", "truncate", "verify"].contains(&command);
    let names = match command {
        "help" => COMMANDS.into_iter().map(str::to_owned).collect(),
        _ if is_first || several => volume::names_of_open(volume),
        _ => Vec::new(),
    };
    (start, those_that_start(begun, names.into_iter()))
}

/// Behind the last blank that is in no quotes and has no backslash in front.
fn start_of_word(text: &str) -> usize {
    let (mut start, mut quote, mut escaped) = (0, None, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quote != Some('\'') => escaped = true,
            '"' | '\'' if quote == Some(char) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(char),
            ' ' | '\t' if quote.is_none() => start = at + 1,
            _ => {}
        }
    }
    start
}

fn options_of(command: &str) -> Vec<String> {
    let mut all = Args::command();
    all.build();
    let found = all.find_subcommand(command);
    let options = found.into_iter().flat_map(clap::Command::get_arguments);
    let options = options.filter_map(|option| option.get_long().map(|long| format!("--{long}")));
    options.collect()
}

fn those_that_start(begun: &str, all: impl Iterator<Item = String>) -> Vec<String> {
    all.filter(|one| one.starts_with(begun)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_options_are_completed() {
        let of = |line: &str| candidates("gone", line, line.len());
        assert_eq!(of("sc"), (0, vec!["scan".to_owned()]));
        assert_eq!(of("  tru"), (2, vec!["truncate".to_owned()]));
        assert_eq!(of("scan d --pre"), (7, vec!["--prefix".to_owned()]));
        assert_eq!(of("help sc"), (5, vec!["scan".to_owned()]));
        assert_eq!(of("get \"a b").0, 4);
        assert_eq!(of("get a\\ b").0, 4);
        assert_eq!(of("nothing --x").1, Vec::<String>::new());
    }
}
