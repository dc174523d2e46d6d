//! `helium top`: what goes on in a volume that some process has open, or in a server.
//!
//! In a terminal a screen of figures, gauges and a curve; elsewhere, or with `--json`, a line or an
//! object per round.

mod rates;
mod screen;
mod server;

use std::{
    io::Write,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use helium_activity::Report;
use serde_json::Value;

use crate::{
    failure::{self, Code, Failure, Result},
    interrupt, json,
    output::{self, Output},
    served, text, volume,
};
use rates::Round;

/// How long a wait takes to notice Ctrl-C.
const NOTICE: Duration = Duration::from_millis(100);

/// Arguments of `helium top`.
#[derive(Debug, clap::Args)]
pub struct Top {
    /// The volume; may be left out while only one is open
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: Option<String>,
    /// Look at a server instead: the address that it was given with --metrics
    #[arg(long, value_name = "ADDRESS", conflicts_with = "volume", value_parser = parse_server)]
    server: Option<SocketAddr>,
    /// Seconds between two looks
    #[arg(short, long, default_value_t = 1.0, value_parser = parse_interval)]
    interval: f64,
    /// Stop after so many looks
    #[arg(short = 'n', long, value_name = "LOOKS", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
}

fn parse_interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("from 0.1 to 3600 seconds".to_owned()),
    }
}

fn parse_server(text: &str) -> Result<SocketAddr, String> {
    // As somebody has it who has just looked at its page.
    let text = text.trim_start_matches("http://").trim_end_matches('/');
    let mut found = text.to_socket_addrs().map_err(|why| why.to_string())?;
    found.next().ok_or_else(|| "it is no address".to_owned())
}

impl Top {
    /// Looks until Ctrl-C, or until the volume is closed.
    pub fn run(self, output: Output) -> Result<()> {
        if let Some(address) = self.server {
            return self.look_at(address, output);
        }
        if let Some(volume) = &self.volume {
            served::refuse(volume)?;
        }
        let (socket, first) = self.choose()?;
        let looks = Looks {
            socket,
            last: (Instant::now(), first),
            interval: Duration::from_secs_f64(self.interval),
            left: self.rounds.unwrap_or(u64::MAX),
        };
        match output.is_terminal() && !output.json {
            true => screen::run(looks),
            false => lines(looks, output),
        }
    }

    /// Looks at a server until Ctrl-C, or until it is gone.
    fn look_at(&self, address: SocketAddr, output: Output) -> Result<()> {
        let interval = Duration::from_secs_f64(self.interval);
        let mut last = server::ask(address)?;
        let mut left = self.rounds.unwrap_or(u64::MAX);
        let mut next = || -> Result<Option<server::Round>> {
            if left == 0 {
                return Ok(None);
            }
            left -= 1;
            let now = server::ask(address)?;
            let round = server::Round::between(&last, &now);
            last = now;
            Ok(Some(round))
        };
        if output.is_terminal() && !output.json {
            return screen::run_lines(&format!("server {address}"), interval, || {
                Ok(next()?.map(|round| round.lines()))
            });
        }
        each(interval, output, || {
            Ok(next()?.map(|round| match output.json {
                true => json::line(&round.to_json()),
                false => text::plain(round.line()),
            }))
        })
    }

    fn choose(&self) -> Result<(PathBuf, Report)> {
        let url = self.volume.as_deref().map(volume::url);
        let mut found = helium_activity::find(url.as_deref())
            .map_err(|why| failure::system("cannot look for open volumes", why))?;
        if found.len() > 1 {
            let urls: Vec<_> = found
                .iter()
                .map(|(_, report)| report.url.as_str())
                .collect();
            return Err(Failure::new(Code::Usage, "several volumes are open")
                .advise(format!("Name one of them: {}.", urls.join(", "))));
        }
        found.pop().ok_or_else(|| {
            let which = self.volume.as_deref().unwrap_or("any volume");
            Failure::new(
                Code::NotFound,
                format!("no process of this user tells of {which}"),
            )
            .advise("helium does while it loads, dumps, verifies or measures.")
        })
    }
}

/// One look after the other.
struct Looks {
    socket: PathBuf,
    last: (Instant, Report),
    interval: Duration,
    left: u64,
}

impl Looks {
    /// Looks again, and compares; `None` once there is nothing to look at any more.
    fn next(&mut self) -> Result<Option<Round>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let Ok(report) = helium_activity::ask(&self.socket) else {
            // Closed, or its process has ended.
            return Ok(None);
        };
        let now = Instant::now();
        let round = Round::between(&self.last.1, &report, now.duration_since(self.last.0));
        self.last = (now, report);
        Ok(Some(round))
    }
}

fn lines(mut looks: Looks, output: Output) -> Result<()> {
    each(looks.interval, output, || {
        Ok(looks.next()?.map(|round| match output.json {
            true => json::line(&Value::Object(round.to_json())),
            false => text::plain(round.line()),
        }))
    })
}

/// Writes a line after each interval, until there is none.
fn each(
    interval: Duration,
    output: Output,
    mut next: impl FnMut() -> Result<Option<String>>,
) -> Result<()> {
    loop {
        let due = Instant::now() + interval;
        while Instant::now() < due {
            interrupt::check()?;
            thread::sleep(NOTICE.min(due.saturating_duration_since(Instant::now())));
        }
        let Some(line) = next()? else {
            return Ok(());
        };
        let mut out = output.writer();
        writeln!(out, "{line}").map_err(failure::output)?;
        output::finish(out)?;
    }
}
