//! Metrics for Prometheus, over HTTP on a port of their own: figures of the server, and those of each volume.
//!
//! Invariants: a family of metrics is announced once, whatever volumes there are; and who does not ask properly, or
//! does not read, is let go of.

use std::{fmt::Write, io, sync::Arc, time::Duration};

use heliumdb::upkeep::MetricKind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time,
};

use crate::{connection, shared::Shared};

/// Longest request.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most that are answered at once.
const ASKERS_MAX: usize = 16;

/// Answers who asks for metrics, until it is told to stop.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut asking = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if asking.len() < ASKERS_MAX => {
                let Ok((stream, from)) = accepted else {
                    // As a rule the process has no more files: some may be closed soon.
                    time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let shared = shared.clone();
                asking.spawn(async move {
                    match time::timeout(PATIENCE, answer(stream, &shared)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(why)) => tracing::debug!(%from, %why, "metrics were not sent"),
                        Err(_) => tracing::debug!(%from, "metrics took too long"),
                    }
                });
            }
            Some(_) = asking.join_next() => {}
            () = connection::told(&mut stop) => return,
        }
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read_buf(&mut request).await?;
        if read == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    }
    let line = request.split(|&byte| byte == b'\r').next();
    let mut words = line.unwrap_or_default().split(|&byte| byte == b' ');
    let (status, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", text(shared)),
        (Some(b"GET"), _) => ("404 Not Found", "Metrics are at /metrics.\n".to_owned()),
        _ => (
            "405 Method Not Allowed",
            "Only GET is answered.\n".to_owned(),
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// All of them, as OpenMetrics text.
fn text(shared: &Shared) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_server(shared, &mut text);
    let _ = write_volumes(shared, &mut text);
    text + "# EOF\n"
}

fn write_server(shared: &Shared, text: &mut String) -> std::fmt::Result {
    let [there, ever, refused] = shared.clients.counts();
    let seconds = shared.since.elapsed().as_secs_f64();
    for (name, kind, ending, help, value) in [
        (
            "uptime_seconds",
            "gauge",
            "",
            "Seconds since the server was started",
            seconds,
        ),
        ("clients", "gauge", "", "Connections now", there as f64),
        (
            "connections",
            "counter",
            "_total",
            "Connections that there were",
            ever as f64,
        ),
        (
            "refused_connections",
            "counter",
            "_total",
            "Connections more than there may be",
            refused as f64,
        ),
    ] {
        head(text, name, kind, help)?;
        writeln!(text, "helium_server_{name}{ending} {value}")?;
    }
    write_commands(shared, text)?;
    head(text, "syncs", "counter", "Syncs that connections shared")?;
    for served in &shared.volumes {
        let (volume, syncs) = (label(&served.name), served.syncer.syncs());
        writeln!(
            text,
            "helium_server_syncs_total{{volume=\"{volume}\"}} {syncs}"
        )?;
    }
    Ok(())
}

fn write_commands(shared: &Shared, text: &mut String) -> std::fmt::Result {
    let counted = shared.counts.list();
    head(text, "commands", "counter", "Commands that were done")?;
    for one in &counted {
        writeln!(
            text,
            "helium_server_commands_total{{command=\"{}\"}} {}",
            one.name, one.calls
        )?;
    }
    head(
        text,
        "failed_commands",
        "counter",
        "Commands that ended with an error",
    )?;
    for one in &counted {
        writeln!(
            text,
            "helium_server_failed_commands_total{{command=\"{}\"}} {}",
            one.name, one.failed
        )?;
    }
    head(
        text,
        "command_seconds",
        "counter",
        "Time that commands took, without waiting for syncs",
    )?;
    for one in &counted {
        let seconds = one.time.as_secs_f64();
        writeln!(
            text,
            "helium_server_command_seconds_total{{command=\"{}\"}} {seconds}",
            one.name
        )?;
    }
    Ok(())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# TYPE helium_server_{name} {kind}")?;
    writeln!(text, "# HELP helium_server_{name} {help}.")
}

/// The figures of the volumes, those of one name together.
fn write_volumes(shared: &Shared, text: &mut String) -> std::fmt::Result {
    let figures = shared.volumes.iter().map(|served| {
        let metrics: Vec<_> = served.volume.stats().metrics().collect();
        (label(&served.name), metrics)
    });
    let figures: Vec<_> = figures.collect();
    let Some((_, first)) = figures.first() else {
        return Ok(());
    };
    for (index, metric) in first.iter().enumerate() {
        let (kind, ending) = match metric.kind {
            MetricKind::Counter => ("counter", "_total"),
            MetricKind::Gauge => ("gauge", ""),
        };
        let name = metric.name;
        writeln!(text, "# TYPE helium_{name} {kind}")?;
        writeln!(text, "# HELP helium_{name} {}.", metric.help)?;
        for (volume, metrics) in &figures {
            if let Some(metric) = metrics.get(index) {
                writeln!(
                    text,
                    "helium_{name}{ending}{{volume=\"{volume}\"}} {}",
                    metric.value
                )?;
            }
        }
    }
    Ok(())
}

/// A name as a label's value.
fn label(name: &str) -> String {
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    name.replace('\n', "\\n")
}
