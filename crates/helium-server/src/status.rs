//! What the page for a person shows, as JSON: one moment's figures, of which the page itself makes rates.
//!
//! Invariant: nothing of keys and values is in it.

use std::{fmt::Write, time::Instant};

use crate::{counts::BOUNDS, shared::Shared};

/// Clients that are shown, of however many.
const CLIENTS_SHOWN: usize = 100;

/// All of it.
pub fn json(shared: &Shared) -> String {
    let mut out = Object::new();
    let [there, ever, refused] = shared.clients.counts();
    out.number("uptime_seconds", shared.since.elapsed().as_secs_f64());
    out.text(
        "durability",
        match shared.options.durability {
            crate::Durability::Synced => "synced",
            crate::Durability::Buffered => "buffered",
        },
    );
    out.number("clients", there as f64);
    out.number("clients_max", shared.options.max_clients as f64);
    out.number("connections", ever as f64);
    out.number("refused_connections", refused as f64);
    let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string());
    out.list("bounds_seconds", bounds);
    out.list("commands", commands(shared));
    out.list("volumes", volumes(shared));
    out.list("client_list", clients(shared));
    out.list("slowest", slowest(shared));
    out.end()
}

fn commands(shared: &Shared) -> impl Iterator<Item = String> {
    shared.counts.list().into_iter().map(|one| {
        let mut out = Object::new();
        out.text("name", one.name);
        out.number("calls", one.calls as f64);
        out.number("failed", one.failed as f64);
        out.number("seconds", one.time.as_secs_f64());
        out.list("buckets", one.buckets.iter().map(u64::to_string));
        out.end()
    })
}

fn volumes(shared: &Shared) -> impl Iterator<Item = String> {
    shared.volumes.iter().map(|served| {
        let mut out = Object::new();
        out.text("name", &served.name);
        out.number("shared_syncs", served.group.syncs() as f64);
        for metric in served.volume.stats().metrics() {
            out.number(metric.name, metric.value as f64);
        }
        out.end()
    })
}

fn clients(shared: &Shared) -> impl Iterator<Item = String> {
    let list = shared.clients.list().into_iter().take(CLIENTS_SHOWN);
    list.map(|client| {
        let (age, idle) = client.times();
        let state = client.state.lock().clone();
        let mut out = Object::new();
        out.number("id", client.id as f64);
        out.text("address", &client.address.to_string());
        out.text("name", &state.name);
        out.text("library", state.library.join(" ").trim());
        out.text("user", &state.user);
        out.text("datastore", &state.datastore);
        out.text("command", state.command);
        out.number("age_seconds", age.as_secs_f64());
        out.number("idle_seconds", idle.as_secs_f64());
        out.end()
    })
}

fn slowest(shared: &Shared) -> impl Iterator<Item = String> {
    let now = Instant::now();
    let list = shared.counts.slowest.list(now).into_iter();
    list.map(move |slow| {
        let mut out = Object::new();
        out.text("command", slow.command);
        out.number("seconds", slow.took.as_secs_f64());
        let ago = now.saturating_duration_since(slow.at);
        out.number("ago_seconds", ago.as_secs_f64());
        out.number("arguments", slow.arguments as f64);
        out.number("bytes", slow.bytes as f64);
        out.number("client", slow.client.id as f64);
        out.text("address", &slow.client.address.to_string());
        out.end()
    })
}

/// An object of JSON that is being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(name, &mut self.0);
        self.0.push(':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        quote(text, &mut self.0);
    }

    /// Numbers of JSON are those of a page's scripts: they are exact up to 2^53.
    fn number(&mut self, name: &str, number: f64) {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.0, "{number}");
    }

    fn list(&mut self, name: &str, items: impl Iterator<Item = String>) {
        self.name(name);
        let items: Vec<_> = items.collect();
        // The same.
        let _ = write!(self.0, "[{}]", items.join(","));
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Appends `text` as a string of JSON.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn what_is_text_stays_text() {
        let mut out = Object::new();
        out.text("a", "\"\\\n\u{1}é</script>");
        out.number("b", 0.25);
        out.list("c", ["1".to_owned(), "{}".to_owned()].into_iter());
        let expected = "{\"a\":\"\\\"\\\\\\u000a\\u0001é</script>\",\"b\":0.25,\"c\":[1,{}]}";
        assert_eq!(out.end(), expected);
    }
}
