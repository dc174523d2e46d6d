//! Metrics for Prometheus: figures of the server, and those of each volume.
//!
//! Invariant: a family of metrics is announced once, whatever volumes there are.

use std::fmt::Write;

use heliumdb::upkeep::MetricKind;

use crate::{
    counts::{BOUNDS, Counted},
    shared::Shared,
};

/// All of them, as OpenMetrics text.
pub fn text(shared: &Shared) -> String {
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
        let (volume, syncs) = (label(&served.name), served.group.syncs());
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
        "command_duration_seconds",
        "histogram",
        "Time that commands took, without waiting for syncs",
    )?;
    for one in &counted {
        write_times(one, text)?;
    }
    Ok(())
}

fn write_times(one: &Counted, text: &mut String) -> std::fmt::Result {
    const NAME: &str = "helium_server_command_duration_seconds";
    let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string());
    let mut count = 0;
    for (bucket, bound) in one.buckets.iter().zip(bounds.chain(["+Inf".to_owned()])) {
        count += bucket;
        writeln!(
            text,
            "{NAME}_bucket{{command=\"{}\",le=\"{bound}\"}} {count}",
            one.name
        )?;
    }
    writeln!(text, "{NAME}_count{{command=\"{}\"}} {count}", one.name)?;
    let seconds = one.time.as_secs_f64();
    writeln!(text, "{NAME}_sum{{command=\"{}\"}} {seconds}", one.name)
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
