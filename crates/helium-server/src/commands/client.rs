//! CLIENT and what it has.

use super::{Call, Kind, unknown_subcommand, wrong_arity};
use crate::{
    limits::CLIENT_NAME_BYTES_MAX,
    refusal::{Outcome, SYNTAX, saying},
};

const HELP: [&str; 19] = [
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "LIST",
    "    Return information about client connections.",
    "NO-EVICT (ON|OFF)",
    "    Nothing: no client is evicted.",
    "NO-TOUCH (ON|OFF)",
    "    Nothing: reading does not change items.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Say which library the connection uses.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "HELP",
    "    Print this help.",
];

/// CLIENT subcommand ...
pub fn client(call: &mut Call<'_>) -> Outcome {
    let name = call.arg(1)?.to_ascii_lowercase();
    let takes = |exactly: usize, name: &str| match call.args.len() == exactly {
        true => Ok(()),
        false => Err(wrong_arity(name)),
    };
    match name.as_slice() {
        b"id" => {
            takes(2, "client|id")?;
            call.replies.integer(call.session.client.id as i64);
            Ok(())
        }
        b"getname" => {
            takes(2, "client|getname")?;
            let name = call.session.client.state.lock().name.clone();
            call.replies
                .bulk_or_null((!name.is_empty()).then_some(name.as_bytes()));
            Ok(())
        }
        b"setname" => {
            takes(3, "client|setname")?;
            let name = checked(&call.args[2], "Client names")?;
            call.session.client.state.lock().name = name;
            call.ok()
        }
        b"setinfo" => {
            takes(4, "client|setinfo")?;
            set_info(call)
        }
        b"info" => {
            takes(2, "client|info")?;
            let line = call.session.client.line() + "\n";
            call.replies.text(&line);
            Ok(())
        }
        b"list" => {
            call.allow(Kind::Admin, &call.session.place.name)?;
            if call.args.len() > 2 {
                return Err(SYNTAX);
            }
            let lines = call.shared.clients.list().into_iter();
            let lines: String = lines.map(|client| client.line() + "\n").collect();
            call.replies.text(&lines);
            Ok(())
        }
        b"no-evict" | b"no-touch" => {
            takes(3, &format!("client|{}", String::from_utf8_lossy(&name)))?;
            let how = &call.args[2];
            if how.eq_ignore_ascii_case(b"on") || how.eq_ignore_ascii_case(b"off") {
                return call.ok();
            }
            Err(SYNTAX)
        }
        b"help" => {
            call.replies.array(HELP.len());
            HELP.iter().for_each(|line| call.replies.simple(line));
            Ok(())
        }
        _ => Err(unknown_subcommand("CLIENT", &call.args[1])),
    }
}

fn set_info(call: &mut Call<'_>) -> Outcome {
    let (option, value) = (&call.args[2], &call.args[3]);
    let index = match option.to_ascii_lowercase().as_slice() {
        b"lib-name" => 0,
        b"lib-ver" => 1,
        _ => {
            return Err(saying(format!(
                "ERR Unrecognized option '{}'",
                String::from_utf8_lossy(option)
            )));
        }
    };
    let value = checked(value, ["lib-name", "lib-ver"][index])?;
    call.session.client.state.lock().library[index] = value;
    call.ok()
}

/// A name that a client gives, if it can stand in a list of such.
pub fn checked(name: &[u8], what: &str) -> Outcome<String> {
    let is_plain = name.iter().all(|byte| (b'!'..=b'~').contains(byte));
    match String::from_utf8(name.to_vec()) {
        Ok(name) if is_plain && name.len() <= CLIENT_NAME_BYTES_MAX => Ok(name),
        _ if name.len() > CLIENT_NAME_BYTES_MAX => Err(saying(format!(
            "ERR {what} cannot be longer than {CLIENT_NAME_BYTES_MAX} bytes."
        ))),
        _ => Err(saying(format!(
            "ERR {what} cannot contain spaces, newlines or special characters."
        ))),
    }
}
