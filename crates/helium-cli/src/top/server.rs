//! `helium top --server`: what goes on in a server, from the port of its metrics.
//!
//! Invariant: what comes from there is text, and as much as is expected.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::{
    bench::report,
    failure::{Code, Failure, Result},
    text,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Commands that a line names.
const NAMED: usize = 4;

/// What a server says of itself now.
pub fn ask(address: SocketAddr) -> Result<Value> {
    let refuse = |why: String| {
        Failure::new(Code::NotFound, format!("{address} tells nothing: {why}"))
            .advise("It is the address that `helium server` was given with --metrics.")
    };
    let answer = answer(address, PATIENCE).map_err(|why| refuse(why.to_string()))?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(refuse("it answers otherwise".to_owned()));
    };
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(refuse(head.lines().next().unwrap_or_default().to_owned()));
    }
    let status: Value = serde_json::from_str(body).map_err(|why| refuse(why.to_string()))?;
    match status["commands"].is_array() && status["volumes"].is_array() {
        true => Ok(status),
        false => Err(refuse(
            "it is no server of Helium, or an older one".to_owned(),
        )),
    }
}

/// What it answers within `patience`, however it deals it out.
fn answer(address: SocketAddr, patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let left = || match deadline.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => Ok(left),
        _ => Err(io::Error::from(io::ErrorKind::TimedOut)),
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let request = format!("GET /status.json HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut piece)? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(&piece[..count]),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("its answer does not end"));
        }
    }
}

/// A server, and what it did since the look before.
pub struct Round {
    /// What it said.
    pub status: Value,
    /// The commands that it did, the commonest first.
    pub commands: Vec<Done>,
    /// Commands a second.
    pub rate: f64,
    seconds: f64,
    volumes: Vec<Volume>,
}

/// What was done of one command.
pub struct Done {
    pub name: String,
    pub rate: f64,
    mean_ns: u64,
    /// Half of them, and 99 of 100, took no longer than that; `None` where it was longer than is told apart.
    within: [Option<u64>; 2],
    pub failed: f64,
}

struct Volume {
    name: String,
    used: u64,
    capacity: u64,
    rates: Vec<(&'static str, f64)>,
}

/// What is told of a volume, by its figure.
const FIGURES: [(&str, &str); 5] = [
    ("writes", "writes"),
    ("shared_syncs", "shared syncs"),
    ("written_bytes", "written"),
    ("cleaner_bytes", "cleaned"),
    ("device_reads", "device reads"),
];

fn number(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or(0.0)
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

fn named<'a>(of: &'a Value, list_name: &str, name: &Value) -> &'a Value {
    let mut all = list(of, list_name).iter();
    all.find(|one| one["name"] == *name).unwrap_or(&Value::Null)
}

impl Round {
    /// Compares two looks.
    pub fn between(before: &Value, now: &Value) -> Self {
        let uptime = |look| number(look, "uptime_seconds");
        // A server that was started again begins anew.
        let before = if uptime(now) < uptime(before) {
            &Value::Null
        } else {
            before
        };
        let seconds = (uptime(now) - uptime(before)).max(1e-3);
        let commands = list(now, "commands").iter();
        let mut commands: Vec<_> = commands
            .filter_map(|one| {
                let old = named(before, "commands", &one["name"]);
                Done::between(old, one, list(now, "bounds_seconds"), seconds)
            })
            .collect();
        commands.sort_by(|a, b| b.rate.total_cmp(&a.rate));
        let volumes = list(now, "volumes").iter().map(|one| {
            let old = named(before, "volumes", &one["name"]);
            let since = |name| (number(one, name) - number(old, name)).max(0.0) / seconds;
            Volume {
                name: one["name"].as_str().unwrap_or_default().to_owned(),
                used: number(one, "used_bytes") as u64,
                capacity: number(one, "capacity_bytes") as u64,
                rates: FIGURES
                    .iter()
                    .map(|(name, _)| (*name, since(name)))
                    .collect(),
            }
        });
        Self {
            rate: commands.iter().map(|done| done.rate).sum(),
            seconds,
            volumes: volumes.collect(),
            commands,
            status: now.clone(),
        }
    }

    /// The most important of it on a line.
    pub fn line(&self) -> String {
        let mut parts = vec![
            format!("commands {}/s", text::count(self.rate as u64)),
            format!("clients {}", number(&self.status, "clients")),
        ];
        parts.extend(self.commands.iter().take(NAMED).map(Done::line));
        parts.extend(self.volumes.iter().map(Volume::line));
        parts.join(", ")
    }

    /// All of it for a screen.
    pub fn lines(&self) -> Vec<String> {
        let status = &self.status;
        let mut lines = vec![
            format!(
                "up {}, {} clients, writes are {}",
                indicatif::HumanDuration(Duration::from_secs(
                    number(status, "uptime_seconds") as u64
                )),
                number(status, "clients"),
                status["durability"].as_str().unwrap_or_default()
            ),
            format!("{:24} {:>12}/s", "commands", text::count(self.rate as u64)),
        ];
        lines.extend(self.commands.iter().map(|done| {
            let rate = text::count(done.rate as u64);
            format!("  {:22} {rate:>12}/s  {}", done.name, done.times())
        }));
        for volume in &self.volumes {
            lines.push(volume.line());
        }
        lines.push("slowest of the last hour".to_owned());
        lines.extend(list(status, "slowest").iter().take(5).map(|slow| {
            let took = report::time((number(slow, "seconds") * 1e9) as u64);
            let command = slow["command"].as_str().unwrap_or_default();
            let ago = Duration::from_secs(number(slow, "ago_seconds") as u64);
            format!(
                "  {command:22} {took:>12}    {} ago",
                indicatif::HumanDuration(ago)
            )
        }));
        lines
    }

    /// All of it for programs: what the server said, and what happened since.
    pub fn to_json(&self) -> Value {
        let rates = self.commands.iter().map(|done| {
            let [half, most] = done.within;
            let told = json!({
                "per_second": done.rate, "failed_per_second": done.failed, "mean_ns": done.mean_ns,
                "p50_at_most_ns": half, "p99_at_most_ns": most,
            });
            (done.name.clone(), told)
        });
        let rates: Map<_, _> = rates.collect();
        let mut fields = self.status.clone();
        fields["rates"] = json!({"seconds": self.seconds, "commands": rates});
        fields
    }
}

impl Done {
    fn between(old: &Value, now: &Value, bounds: &[Value], seconds: f64) -> Option<Self> {
        let since = |name| (number(now, name) - number(old, name)).max(0.0);
        let calls = since("calls");
        if calls == 0.0 {
            return None;
        }
        let count = |of: &Value, index: usize| of["buckets"][index].as_f64().unwrap_or(0.0);
        let buckets: Vec<_> = (0..list(now, "buckets").len())
            .map(|index| count(now, index) - count(old, index))
            .collect();
        let within = |part: f64| {
            let all: f64 = buckets.iter().sum();
            let mut below = 0.0;
            let index = buckets.iter().position(|bucket| {
                below += bucket;
                below >= all * part
            });
            let bound = bounds.get(index?)?.as_f64()?;
            Some((bound * 1e9) as u64)
        };
        Some(Self {
            name: now["name"].as_str().unwrap_or_default().to_owned(),
            rate: calls / seconds,
            mean_ns: (since("seconds") / calls * 1e9) as u64,
            within: [within(0.5), within(0.99)],
            failed: since("failed") / seconds,
        })
    }

    fn times(&self) -> String {
        let within = |time: Option<u64>| match time {
            Some(time) => format!("within {}", report::time(time)),
            None => "longer".to_owned(),
        };
        let [half, most] = self.within.map(within);
        format!(
            "mean {}, half {half}, 99% {most}",
            report::time(self.mean_ns)
        )
    }

    fn line(&self) -> String {
        let rate = text::count(self.rate as u64);
        format!("{} {rate}/s ({})", self.name, self.times())
    }
}

impl Volume {
    fn line(&self) -> String {
        let rates = self
            .rates
            .iter()
            .zip(FIGURES)
            .map(|((name, rate), (_, label))| {
                let rate = match name.ends_with("_bytes") {
                    true => text::size(*rate as u64),
                    false => text::count(*rate as u64),
                };
                format!("{label} {rate}/s")
            });
        let rates: Vec<_> = rates.collect();
        let [used, capacity] = [self.used, self.capacity].map(text::size);
        format!(
            "{}: used {used} of {capacity}, {}",
            self.name,
            rates.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Round, answer};
    use serde_json::json;
    use std::{
        io::{self, Write},
        net::TcpListener,
        thread,
        time::Duration,
    };

    fn look(uptime: f64, calls: u64, buckets: [u64; 3]) -> serde_json::Value {
        json!({
            "uptime_seconds": uptime, "clients": 2, "bounds_seconds": [1e-6, 4e-6],
            "commands": [{"name": "get", "calls": calls, "failed": 0, "seconds": calls as f64 * 2e-6, "buckets": buckets}],
            "volumes": [{"name": "v", "used_bytes": 1 << 20, "capacity_bytes": 1 << 30, "writes": calls}],
        })
    }

    /// Nor does one byte now and then make the answer come in time.
    #[test]
    fn an_answer_that_does_not_end_is_given_up() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Until it is given up; it is not for ever where nobody does.
            for _ in 0..4_000 {
                if stream.write_all(b"x").is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let given_up = answer(address, Duration::from_millis(100)).unwrap_err();
        let kinds = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
        assert!(kinds.contains(&given_up.kind()), "{given_up}");
        server.join().unwrap();
    }

    #[test]
    fn rates_are_of_what_was_done_since() {
        let (before, now) = (look(10.0, 10, [10, 0, 0]), look(12.0, 110, [20, 88, 2]));
        let line = Round::between(&before, &now).line();
        assert!(
            line.starts_with(
                "commands 50/s, clients 2, get 50/s (mean 2.00 us, half within 4.00 us, 99% longer), v: used"
            ),
            "{line}"
        );
        // One that was started again has done everything since.
        let line = Round::between(&now, &look(2.0, 10, [10, 0, 0])).line();
        assert!(line.starts_with("commands 5/s"), "{line}");
        assert!(Round::between(&now, &now).commands.is_empty());
    }
}
