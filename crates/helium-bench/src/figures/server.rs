//! `helium server` beside `redis-server`, with `redis-benchmark`: the same work on both by turns.
//!
//! A machine that others use is slower at one time than at another, so a figure by itself says little: what is shown is
//! the ratio of two runs that follow each other, the median of several.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::{Options, Place, setup::median};

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Keys are below this number.
const KEYS: u64 = 100_000;
const VALUE_BYTES: u64 = 100;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Pairs of runs, of which the medians are shown.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 64])]
    clients: Vec<u64>,
    /// Commands that a client sends before it reads.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    pipelines: Vec<u64>,
    /// The command to measure; beside this program by default.
    #[arg(long)]
    helium: Option<PathBuf>,
}

/// A server, killed at the end: its data goes with its folder.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(command: &mut Command, port: u16) -> Result<Self> {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().with_context(|| format!("start {name}"))?;
        let mut server = Self { process, port };
        let begun = Instant::now();
        while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
            let ended = server.process.try_wait()?;
            ensure!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{name} does not listen"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Commands a second.
    fn run(&self, work: &Work, requests: u64) -> Result<f64> {
        let mut command = Command::new("redis-benchmark");
        command.args(["--csv", "-t", work.command]);
        for (option, value) in [
            ("-p", self.port.into()),
            ("-c", work.clients),
            ("-P", work.pipeline),
            ("-n", requests),
            ("-r", KEYS),
            ("-d", VALUE_BYTES),
        ] {
            command.arg(option).arg(value.to_string());
        }
        let done = command.stdin(Stdio::null()).output();
        let done = done.context("run redis-benchmark (Debian's package: redis-tools)")?;
        let text = String::from_utf8_lossy(&done.stdout);
        rate(&text).with_context(|| {
            let said = String::from_utf8_lossy(&done.stderr);
            format!("redis-benchmark says no rate: {text}{said}")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended if it cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The rate in what `redis-benchmark --csv` prints: of the last line, behind the test's name.
fn rate(text: &str) -> Option<f64> {
    let line = text.lines().last()?;
    line.split(',').nth(1)?.trim_matches('"').parse().ok()
}

struct Work {
    command: &'static str,
    clients: u64,
    pipeline: u64,
}

/// How durable both are, in our words and in Redis'.
const DURABILITY: [[&str; 2]; 2] = [["synced", "always"], ["buffered", "everysec"]];

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let beside = std::env::current_exe()?.with_file_name("helium");
    let helium = arguments.helium.as_deref().unwrap_or(&beside);
    ensure!(
        helium.exists(),
        "there is no {}: cargo build --release -p helium-cli",
        helium.display()
    );
    println!(
        "| commands | clients | pipeline | ours a second | Redis' a second | ours to Redis' | of all pairs |"
    );
    println!("|---|---|---|---|---|---|---|");
    for [ours, theirs] in DURABILITY {
        let place = Place::new(options.folder.as_deref())?;
        let servers = [
            start_helium(helium, &place, ours)?,
            start_redis(&place, theirs)?,
        ];
        for command in ["set", "get"] {
            if command == "get" && ours == "buffered" {
                // They are the same as before.
                continue;
            }
            let title = match command {
                "set" => format!("sets, {ours} beside {theirs}"),
                _ => "gets".to_owned(),
            };
            for &pipeline in &arguments.pipelines {
                for &clients in &arguments.clients {
                    let work = Work {
                        command,
                        clients,
                        pipeline,
                    };
                    let row = compare(&servers, &work, options, arguments.runs)?;
                    println!("| {title} | {clients} | {pipeline} | {row} |");
                }
            }
        }
    }
    Ok(())
}

/// Runs both by turns, who is first by turns as well.
fn compare(servers: &[Server; 2], work: &Work, options: &Options, runs: usize) -> Result<String> {
    // So many that a run takes some seconds, by what the slower one does in a short one.
    let few = options.scaled(100 * work.clients * work.pipeline);
    let mut slower = f64::INFINITY;
    for server in servers {
        slower = slower.min(server.run(work, few)?);
    }
    let requests = few.max((slower * 2.0 * options.scale) as u64);
    let (mut rates, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for turn in 0..runs.max(1) {
        let mut pair = [0.0; 2];
        for which in [turn % 2, (turn + 1) % 2] {
            pair[which] = servers[which].run(work, requests)?;
            rates[which].push(pair[which]);
        }
        ratios.push(pair[0] / pair[1]);
    }
    let [least, most] = [f64::min, f64::max].map(|of| ratios.iter().copied().reduce(of));
    let [ours, theirs] = rates.map(median);
    Ok(format!(
        "{ours:.0} | {theirs:.0} | {:.2} | {:.2} to {:.2}",
        median(ratios),
        least.unwrap_or(f64::NAN),
        most.unwrap_or(f64::NAN)
    ))
}

fn start_helium(helium: &Path, place: &Place, durability: &str) -> Result<Server> {
    let volume = place.path();
    let made = Command::new(helium).arg("create").arg(&volume).output()?;
    ensure!(made.status.success(), "helium create failed: {made:?}");
    let port = free_port()?;
    let mut command = Command::new(helium);
    command.arg("server").arg(&volume).args([
        "--listen",
        &format!("127.0.0.1:{port}"),
        "--durability",
        durability,
    ]);
    command.stderr(Stdio::null());
    Server::start(&mut command, port)
}

fn start_redis(place: &Place, appendfsync: &str) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]);
    command.args(["--appendonly", "yes", "--appendfsync", appendfsync]);
    command.arg("--dir").arg(place.folder());
    Server::start(&mut command, port)
}

/// A port that nobody listens on just now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn the_rate_is_in_the_last_line() {
        let head = "\"test\",\"rps\",\"avg_latency_ms\"\n";
        assert_eq!(
            rate(&format!("{head}\"SET\",\"8196.72\",\"0.1\"\n")),
            Some(8196.72)
        );
        assert_eq!(rate("Could not connect"), None);
    }
}
