//! The switches of the original command, as what they are called now.
//!
//! Invariants: a command line that the original took runs and means what it meant; what has no meaning any more is
//! said on standard error, but for what only kept the original from saying something.

use std::{ffi::OsString, fs, path::Path};

use crate::{
    failure::{self, Code, Failure, Result},
    text,
};

/// Puts a subcommand in the place of an old switch.
pub fn translate(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let is_mode = |argument: &OsString| {
        let modes = ["--perf", "--stat", "--test", "--server"];
        argument
            .to_str()
            .filter(|mode| modes.contains(mode))
            .map(str::to_owned)
    };
    // A mode may stand behind its switches, but not behind a command.
    let switches = arguments.iter().skip(1);
    let switches = switches.take_while(|argument| is_switch(argument));
    let found = switches
        .enumerate()
        .find_map(|(place, argument)| Some((place + 1, is_mode(argument)?)));
    let Some((place, mode)) = found else {
        return Ok(arguments);
    };
    arguments.remove(place);
    let name = match mode.as_str() {
        "--perf" => "bench",
        "--stat" => "stat",
        "--test" => "verify",
        _ => {
            return Err(Failure::new(
                Code::Usage,
                "--server: `helium server VOLUME` serves volumes now, in the protocol of Redis",
            ));
        }
    };
    let program = arguments.remove(0);
    let mut new = vec![program, name.into()];
    Switches::default().apply(name == "bench", arguments.into_iter(), &mut new)?;
    Ok(new)
}

fn is_switch(argument: &OsString) -> bool {
    argument.as_encoded_bytes().starts_with(b"-")
}

#[derive(Default)]
struct Switches {
    work: Vec<&'static str>,
}

impl Switches {
    fn apply(
        mut self,
        measures: bool,
        mut old: impl Iterator<Item = OsString>,
        new: &mut Vec<OsString>,
    ) -> Result<()> {
        while let Some(argument) = old.next() {
            match argument.to_str() {
                // Nothing is asked, and there is no warning to be kept back.
                Some("--nowarn") => {}
                Some(switch @ ("--trace" | "--spin")) => says_nothing(switch),
                Some("--config" | "-c") => {
                    let file = old.next().ok_or_else(|| {
                        Failure::new(Code::Usage, "--config is followed by the name of a file")
                    })?;
                    config(Path::new(&file), new)?;
                }
                Some("--update" | "-u") if measures => self.work.push("update"),
                Some("--randread" | "-r") if measures => self.work.push("random-read"),
                Some("-t") if measures => new.push("--up-to-threads".into()),
                Some("-T") if measures => new.push("--threads".into()),
                _ => new.push(argument),
            }
        }
        if !self.work.is_empty() {
            new.extend(["--work".into(), self.work.join(",").into()]);
        }
        Ok(())
    }
}

fn says_nothing(what: &str) {
    eprintln!(
        "helium: {} means nothing any more, and is passed over",
        text::plain(what)
    );
}

/// Longest file of settings that is read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A file of what he.h has in its environment, a name and a number on each line: what there still is of it.
fn config(file: &Path, new: &mut Vec<OsString>) -> Result<()> {
    let cannot = |why| failure::system(format_args!("cannot read {}", file.display()), why);
    let found = fs::metadata(file).map_err(cannot)?;
    if !found.is_file() || found.len() > CONFIG_BYTES_MAX {
        let what = format!("{} is no file of settings", file.display());
        return Err(Failure::new(Code::BadInput, what));
    }
    let settings = fs::read(file).map_err(cannot)?;
    for line in String::from_utf8_lossy(&settings).lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split(|char: char| char.is_whitespace() || "=:,;".contains(char));
        let mut words = words.by_ref().filter(|word| !word.is_empty());
        let (Some(name), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        // Zero is what is used without it.
        match name {
            "read_cache" | "write_cache" if value == "0" => {}
            "read_cache" => new.extend(["--read-cache".into(), value.into()]),
            "write_cache" => new.extend(["--write-cache".into(), value.into()]),
            other => says_nothing(&format!("{other} in {}", file.display())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn old_switches_become_commands() {
        for (old, new) in [
            ("helium --perf -t 2 u", "helium bench --up-to-threads 2 u"),
            ("helium --perf -T 2 u", "helium bench --threads 2 u"),
            ("helium --nowarn --perf u", "helium bench u"),
            (
                "helium --perf --update u --randread",
                "helium bench u --work update,random-read",
            ),
            ("helium --perf --trim u", "helium bench --trim u"),
            ("helium --stat u", "helium stat u"),
            ("helium --json --stat u", "helium stat --json u"),
            ("helium --test --nowarn u", "helium verify u"),
            ("helium get --stat u", "helium get --stat u"),
            ("helium bench -t 2 --perf", "helium bench -t 2 --perf"),
            ("helium", "helium"),
        ] {
            let words = |text: &str| -> Vec<std::ffi::OsString> {
                text.split(' ').map(Into::into).collect()
            };
            assert_eq!(
                translate(words(old).into_iter()).ok(),
                Some(words(new)),
                "{old}"
            );
        }
        assert!(translate(["helium", "--server"].map(Into::into).into_iter()).is_err());
        assert!(translate(["helium", "--perf", "--config"].map(Into::into).into_iter()).is_err());
    }

    #[test]
    fn a_file_of_settings_sets_what_there_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config");
        std::fs::write(
            &file,
            "# ours\nread_cache 1048576\nwrite_cache = 64M\nfanout 33\n",
        )
        .expect("a file");
        let old = [
            "helium".into(),
            "--perf".into(),
            "--config".into(),
            file.into_os_string(),
            "u".into(),
        ];
        let new = translate(old.into_iter()).expect("it is understood");
        let new: Vec<_> = new.iter().filter_map(|word| word.to_str()).collect();
        assert_eq!(
            new.join(" "),
            "helium bench --read-cache 1048576 --write-cache 64M u"
        );
    }
}
