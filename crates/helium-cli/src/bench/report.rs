//! Figures of a measurement, for people and programs.

use serde_json::{Value, json};

use super::{Bench, run::Measured};
use crate::{
    failure::Result,
    output::{Column, Output, table},
    text,
};

/// The percentiles that are reported, and what they are called.
pub const PERCENTILES: [(f64, &str); 5] = [
    (50.0, "p50"),
    (90.0, "p90"),
    (99.0, "p99"),
    (99.9, "p99.9"),
    (100.0, "max"),
];

/// Prints them.
pub(super) fn print(bench: &Bench, measured: &[Measured], output: Output) -> Result<()> {
    let json: Value = measured.iter().map(to_json).collect();
    output.print(&json, || {
        format!(
            "{}, writes buffered and made durable at the end of each piece of work\n\n{}",
            bench.subject(),
            to_text(measured)
        )
    })
}

fn to_json(measured: &Measured) -> Value {
    let mut latencies = serde_json::Map::new();
    for (percentile, name) in PERCENTILES {
        latencies.insert(
            name.to_owned(),
            measured.latencies.value_at_percentile(percentile).into(),
        );
    }
    json!({
        "work": measured.work.name(),
        "threads": measured.threads,
        "operations": measured.operations,
        "seconds": measured.time.as_secs_f64(),
        "million_operations_per_second": measured.rate() / 1e6,
        "latency_ns": latencies,
    })
}

fn to_text(measured: &[Measured]) -> String {
    let columns = [
        Column::Left("WORK"),
        Column::Right("THREADS"),
        Column::Right("OPERATIONS"),
        Column::Right("SECONDS"),
        Column::Right("MILLION/S"),
        Column::Right("P50"),
        Column::Right("P90"),
        Column::Right("P99"),
        Column::Right("P99.9"),
        Column::Right("MAX"),
    ];
    let rows = measured.iter().map(|one| {
        let mut row = vec![
            one.work.name().to_owned(),
            text::count(one.threads),
            text::count(one.operations),
            format!("{:.2}", one.time.as_secs_f64()),
            format!("{:.3}", one.rate() / 1e6),
        ];
        row.extend(
            PERCENTILES.map(|(percentile, _)| time(one.latencies.value_at_percentile(percentile))),
        );
        row
    });
    table(&columns, rows)
}

/// Nanoseconds, with three digits and a unit.
pub fn time(ns: u64) -> String {
    let (number, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let decimals = match number {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_have_three_digits() {
        for (ns, text) in [
            (7, "7 ns"),
            (1_234, "1.23 us"),
            (45_678, "45.7 us"),
            (999_999, "1000 us"),
            (2_500_000_000, "2.50 s"),
        ] {
            assert_eq!(time(ns), text);
        }
    }
}
