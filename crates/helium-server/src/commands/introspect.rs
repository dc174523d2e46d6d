//! COMMAND, CONFIG and TIME: what there is, and how it was started.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Call, Kind, Spec, all, find, unknown_subcommand, wrong_arity};
use crate::{
    glob,
    refusal::{Outcome, SYNTAX, said},
    resp::Replies,
};

/// `COMMAND [COUNT | DOCS | INFO | LIST | GETKEYS]`
pub fn command(call: &mut Call<'_>) -> Outcome {
    let Some(name) = call.args.get(1) else {
        return describe(call.replies, &all().iter().map(Some).collect::<Vec<_>>());
    };
    let named = || call.rest(2).iter().map(|name| find(name));
    match name.to_ascii_lowercase().as_slice() {
        b"count" => {
            if call.args.len() > 2 {
                return Err(wrong_arity("command|count"));
            }
            call.replies.integer(all().len() as i64);
            Ok(())
        }
        b"info" => {
            let specs: Vec<_> = match call.rest(2) {
                [] => all().iter().map(Some).collect(),
                _ => named().collect(),
            };
            describe(call.replies, &specs)
        }
        b"docs" => {
            let specs: Vec<_> = match call.rest(2) {
                [] => all().iter().collect(),
                _ => named().flatten().collect(),
            };
            document(call.replies, &specs)
        }
        b"list" => {
            if call.args.len() > 2 {
                return Err(SYNTAX);
            }
            call.replies.set(all().len());
            all()
                .iter()
                .for_each(|spec| call.replies.bulk(spec.name.as_bytes()));
            Ok(())
        }
        b"getkeys" => get_keys(call),
        _ => Err(unknown_subcommand("COMMAND", name)),
    }
}

fn describe(replies: &mut Replies, specs: &[Option<&Spec>]) -> Outcome {
    replies.array(specs.len());
    for spec in specs {
        let Some(spec) = spec else {
            replies.null_array();
            continue;
        };
        replies.array(10);
        replies.bulk(spec.name.as_bytes());
        replies.integer(i64::from(spec.arity));
        let flags: &[&str] = match spec.kind {
            Kind::Read => &["readonly"],
            Kind::Write => &["write"],
            Kind::Admin => &["admin"],
            Kind::Connection => &["fast"],
        };
        replies.set(flags.len());
        flags.iter().for_each(|flag| replies.simple(flag));
        for place in spec.keys {
            replies.integer(i64::from(place));
        }
        replies.set(1);
        replies.simple(category(spec.kind));
        // Advice to clients of a cluster, places of keys once more, and subcommands.
        (0..3).for_each(|_| replies.array(0));
    }
    Ok(())
}

fn category(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "@read",
        Kind::Write => "@write",
        Kind::Admin => "@admin",
        Kind::Connection => "@connection",
    }
}

fn document(replies: &mut Replies, specs: &[&Spec]) -> Outcome {
    replies.map(specs.len());
    for spec in specs {
        replies.bulk(spec.name.as_bytes());
        replies.map(2);
        replies.bulk(b"summary");
        replies.bulk(spec.summary.as_bytes());
        replies.bulk(b"group");
        replies.bulk(category(spec.kind).trim_start_matches('@').as_bytes());
    }
    Ok(())
}

/// COMMAND GETKEYS command ...
fn get_keys(call: &mut Call<'_>) -> Outcome {
    let of = call.rest(2);
    if of.len() < 2 {
        return Err(wrong_arity("command|getkeys"));
    }
    let spec = of
        .first()
        .and_then(|name| find(name))
        .ok_or(said("ERR Invalid command specified"))?;
    if !spec.takes(of.len()) {
        return Err(said(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let [first, last, step] = spec.keys;
    let last = if last < 0 { of.len() as i32 - 1 } else { last };
    let places = (first..=last).step_by(step.max(1) as usize);
    let keys: Vec<_> = match first {
        0 => Vec::new(),
        _ => places.filter_map(|place| of.get(place as usize)).collect(),
    };
    if keys.is_empty() {
        return Err(said("ERR The command has no key arguments"));
    }
    call.replies.array(keys.len());
    keys.iter().for_each(|key| call.replies.bulk(key));
    Ok(())
}

/// CONFIG GET pattern ... | SET | RESETSTAT | REWRITE
pub fn config(call: &mut Call<'_>) -> Outcome {
    match call.arg(1)?.to_ascii_lowercase().as_slice() {
        b"get" if call.args.len() > 2 => {
            let settings = call.shared.options.settings();
            let wanted = |name: &str| {
                let mut patterns = call.rest(2).iter();
                patterns
                    .any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
            };
            let found: Vec<_> = settings
                .into_iter()
                .filter(|(name, _)| wanted(name))
                .collect();
            call.replies.map(found.len());
            for (name, value) in found {
                call.replies.bulk(name.as_bytes());
                call.replies.bulk(value.as_bytes());
            }
            Ok(())
        }
        b"get" => Err(wrong_arity("config|get")),
        b"resetstat" => call.ok(),
        b"set" => Err(said(
            "ERR CONFIG SET failed: what is set is set by the options of `helium server`",
        )),
        b"rewrite" => Err(said("ERR The server is running without a config file")),
        _ => Err(unknown_subcommand("CONFIG", &call.args[1])),
    }
}

/// TIME
pub fn time(call: &mut Call<'_>) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    call.replies.array(2);
    for part in [now.as_secs(), u64::from(now.subsec_micros())] {
        call.replies.bulk(part.to_string().as_bytes());
    }
    Ok(())
}
