//! From two looks at a volume to what happened in between.

use std::time::Duration;

use helium_activity::{Latency, Report};
use serde_json::{Map, Value, json};

use crate::{bench::report, text};

/// The figures that only grow, and what a second of them is called.
pub const COUNTERS: [(&str, &str); 8] = [
    ("writes", "writes"),
    ("user_bytes", "items written"),
    ("cleaner_bytes", "moved by cleaning"),
    ("written_bytes", "all writes"),
    ("checkpoint_written_bytes", "checkpoints"),
    ("device_reads", "device reads"),
    ("read_cache_hits", "cache hits"),
    ("syncs", "syncs"),
];

/// What is waited for of the devices, and what it is called: its rate comes from how many waits there were, unless one
/// of [`COUNTERS`] goes by the same name.
pub const WAITS: [(&str, &str); 3] = [
    ("commits", "durable commits"),
    ("device_reads", "device reads"),
    ("syncs", "syncs"),
];

/// The percentiles of waits that are told.
const PERCENTS: [u64; 2] = [50, 99];

/// A look, and what happened since the one before.
pub struct Round {
    /// What was seen.
    pub report: Report,
    /// Per second, in the order of [`COUNTERS`].
    pub rates: Vec<f64>,
    /// How long was waited, in the order of [`WAITS`].
    pub waits: Vec<Wait>,
}

/// What was waited for, and how long.
pub struct Wait {
    /// Waits per second.
    pub rate: f64,
    /// How long each took.
    pub latency: Latency,
}

impl Round {
    /// Compares two looks.
    pub fn between(before: &Report, now: &Report, time: Duration) -> Self {
        let seconds = time.as_secs_f64().max(1e-3);
        let rate = |(name, _): (&str, _)| {
            now.figure(name).saturating_sub(before.figure(name)) as f64 / seconds
        };
        let wait = |(name, label): (&str, &'static str)| {
            let latency = now.latency(name).since(&before.latency(name));
            let counted = COUNTERS.iter().any(|(known, _)| *known == name);
            Wait {
                rate: match counted {
                    true => rate((name, label)),
                    false => latency.count() as f64 / seconds,
                },
                latency,
            }
        };
        Self {
            waits: WAITS.into_iter().map(wait).collect(),
            rates: COUNTERS.into_iter().map(rate).collect(),
            report: now.clone(),
        }
    }

    /// A rate with its unit.
    pub fn shown(name: &str, rate: f64) -> String {
        match name.ends_with("_bytes") {
            true => format!("{}/s", text::size(rate as u64)),
            false => format!("{}/s", text::count(rate as u64)),
        }
    }

    /// How long waits took: the median and the 99th percentile. Nothing if there were none.
    pub fn times(latency: &Latency) -> Vec<String> {
        let times = PERCENTS
            .iter()
            .filter_map(|percent| latency.percentile(*percent));
        times.map(report::time).collect()
    }

    /// The same, with what is what.
    pub fn named_times(latency: &Latency) -> String {
        let times = PERCENTS.iter().zip(Self::times(latency));
        let times = times.map(|(percent, time)| format!("p{percent} {time}"));
        times.collect::<Vec<_>>().join(", ")
    }

    /// All of it for programs.
    pub fn to_json(&self) -> Map<String, Value> {
        let rates = COUNTERS.iter().zip(&self.rates);
        let rates: Map<String, Value> = rates
            .map(|((name, _), rate)| (format!("{name}_per_second"), json!(rate)))
            .collect();
        let mut fields = match self.report.to_json() {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        fields.insert("rates".into(), Value::Object(rates));
        let waits = WAITS.iter().zip(&self.waits).map(|((name, _), wait)| {
            let percentile = |percent| wait.latency.percentile(percent);
            let wait = json!({
                "per_second": wait.rate,
                "p50_ns": percentile(50),
                "p99_ns": percentile(99),
            });
            ((*name).to_owned(), wait)
        });
        fields.insert("waits".into(), Value::Object(waits.collect()));
        fields
    }

    /// The most important of it on a line.
    pub fn line(&self) -> String {
        let rates = COUNTERS
            .iter()
            .zip(&self.rates)
            .map(|((name, label), rate)| format!("{label} {}", Self::shown(name, *rate)));
        let used = text::size(self.report.figure("used_bytes"));
        let waits = WAITS
            .iter()
            .zip(&self.waits)
            .filter_map(|((_, label), wait)| {
                let times = Self::named_times(&wait.latency);
                (!times.is_empty()).then(|| format!("{label} {times}"))
            });
        let all: Vec<_> = rates.chain(waits).collect();
        format!("used {used}, {}", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Round;
    use helium_activity::Report;
    use std::time::Duration;

    #[test]
    fn rates_are_per_second() {
        let report = |syncs| Report {
            figures: vec![("syncs".to_owned(), syncs)],
            ..Report::default()
        };
        let round = Round::between(&report(10), &report(30), Duration::from_secs(2));
        assert_eq!(round.rates[7], 10.0);
        assert_eq!(round.waits[2].rate, 10.0);
        // Another process with the same volume may have begun anew.
        let round = Round::between(&report(30), &report(10), Duration::from_secs(2));
        assert_eq!(round.rates[7], 0.0);
    }
}
