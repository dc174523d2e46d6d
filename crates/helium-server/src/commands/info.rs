//! INFO: figures of the server, in the sections that programs look for.

use std::fmt::{self, Write};

use super::Call;
use crate::{Durability, refusal::Outcome, shared::Shared, volumes::Served};

const SECTIONS: [&str; 6] = [
    "server",
    "clients",
    "persistence",
    "stats",
    "keyspace",
    "volumes",
];

/// `INFO [section ...]`
pub fn info(call: &mut Call<'_>) -> Outcome {
    let wanted: Vec<_> = call
        .rest(1)
        .iter()
        .map(|section| section.to_ascii_lowercase())
        .collect();
    let is_all = |section: &Vec<u8>| {
        ["all", "default", "everything"]
            .iter()
            .any(|all| all.as_bytes() == section)
    };
    let mut text = String::new();
    for section in SECTIONS {
        let is_wanted = wanted.is_empty()
            || wanted
                .iter()
                .any(|wanted| is_all(wanted) || wanted == section.as_bytes());
        if !is_wanted {
            continue;
        }
        if !text.is_empty() {
            text += "\r\n";
        }
        // Writing to a string does not fail.
        let _ = write(call.shared, &call.session.place.served, section, &mut text);
    }
    call.replies.text(&text);
    Ok(())
}

fn write(shared: &Shared, served: &Served, section: &str, text: &mut String) -> fmt::Result {
    let title = section[..1].to_ascii_uppercase() + &section[1..];
    write!(text, "# {title}\r\n")?;
    match section {
        "server" => {
            let seconds = shared.since.elapsed().as_secs();
            write!(text, "redis_version:{}\r\n", crate::REDIS_VERSION)?;
            write!(text, "helium_version:{}\r\n", env!("CARGO_PKG_VERSION"))?;
            write!(
                text,
                "redis_mode:standalone\r\nrole:master\r\narch_bits:64\r\n"
            )?;
            write!(text, "process_id:{}\r\n", std::process::id())?;
            write!(text, "tcp_port:{}\r\n", shared.options.port())?;
            write!(
                text,
                "uptime_in_seconds:{seconds}\r\nuptime_in_days:{}\r\n",
                seconds / 86_400
            )
        }
        "clients" => {
            let [there, ..] = shared.clients.counts();
            let most = shared.options.max_clients;
            write!(text, "connected_clients:{there}\r\nmaxclients:{most}\r\n")
        }
        "persistence" => {
            let synced = u8::from(shared.options.durability == Durability::Synced);
            write!(
                text,
                "loading:0\r\naof_enabled:1\r\nhelium_synced_replies:{synced}\r\n"
            )
        }
        "stats" => {
            let [_, ever, refused] = shared.clients.counts();
            write!(text, "total_connections_received:{ever}\r\n")?;
            write!(text, "rejected_connections:{refused}\r\n")?;
            write!(
                text,
                "total_commands_processed:{}\r\n",
                shared.counts.calls()
            )?;
            write!(text, "helium_syncs:{}\r\n", served.group.syncs())
        }
        "keyspace" => {
            for info in served.volume.datastores() {
                let is_number = info.name.iter().all(u8::is_ascii_digit);
                if let (true, Ok(datastore)) = (is_number, served.volume.datastore_by_id(info.id))
                    && !datastore.is_empty()
                {
                    let (name, keys) = (info.name.escape_ascii(), datastore.len());
                    write!(text, "db{name}:keys={keys},expires=0,avg_ttl=0\r\n")?;
                }
            }
            Ok(())
        }
        _ => {
            for served in &shared.volumes {
                let stats = served.volume.stats();
                write!(
                    text,
                    "{}:used_bytes={},live_bytes={},written_bytes={}\r\n",
                    served.name, stats.used_bytes, stats.live_bytes, stats.written_bytes
                )?;
            }
            Ok(())
        }
    }
}
