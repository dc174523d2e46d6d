//! The switches of the original command, as what they are called now.

use std::ffi::OsString;

use crate::failure::{Code, Failure, Result};

/// Puts a subcommand in the place of an old switch.
pub fn translate(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let place = arguments
        .iter()
        .skip(1)
        .position(|argument| argument != "--json");
    let Some(switch) = place.and_then(|place| arguments.get_mut(place + 1)) else {
        return Ok(arguments);
    };
    let name = match switch.to_str() {
        Some("--perf") => "bench",
        Some("--stat") => "stat",
        Some("--test") => "verify",
        Some("--server") => {
            return Err(Failure::new(
                Code::Usage,
                "--server: this version of helium has no server; volumes are opened by their paths",
            ));
        }
        _ => return Ok(arguments),
    };
    *switch = name.into();
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn old_switches_become_commands() {
        for (old, new) in [
            ("helium --perf -t 2 u", "helium bench -t 2 u"),
            ("helium --stat u", "helium stat u"),
            ("helium --json --stat u", "helium --json stat u"),
            ("helium --test u", "helium verify u"),
            ("helium get --stat u", "helium get --stat u"),
            ("helium", "helium"),
        ] {
            let words = |text: &str| -> Vec<std::ffi::OsString> {
                text.split(' ').map(Into::into).collect()
            };
            assert_eq!(translate(words(old).into_iter()).ok(), Some(words(new)));
        }
        assert!(translate(["helium", "--server"].map(Into::into).into_iter()).is_err());
    }
}
