//! From two looks at a volume to what happened in between.

use std::time::Duration;

use helium_activity::Report;
use serde_json::{Map, Value, json};

use crate::text;

/// The figures that only grow, and what a second of them is called.
pub const COUNTERS: [(&str, &str); 7] = [
    ("user_bytes", "items written"),
    ("cleaner_bytes", "moved by cleaning"),
    ("written_bytes", "all writes"),
    ("checkpoint_written_bytes", "checkpoints"),
    ("device_reads", "device reads"),
    ("read_cache_hits", "cache hits"),
    ("syncs", "syncs"),
];

/// A look, and what happened since the one before.
pub struct Round {
    /// What was seen.
    pub report: Report,
    /// Per second, in the order of [`COUNTERS`].
    pub rates: Vec<f64>,
}

impl Round {
    /// Compares two looks.
    pub fn between(before: &Report, now: &Report, time: Duration) -> Self {
        let seconds = time.as_secs_f64().max(1e-3);
        let rate = |(name, _): (&str, _)| {
            now.figure(name).saturating_sub(before.figure(name)) as f64 / seconds
        };
        Self {
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
        fields
    }

    /// The most important of it on a line.
    pub fn line(&self) -> String {
        let rates = COUNTERS
            .iter()
            .zip(&self.rates)
            .map(|((name, label), rate)| format!("{label} {}", Self::shown(name, *rate)));
        let used = text::size(self.report.figure("used_bytes"));
        format!("used {used}, {}", rates.collect::<Vec<_>>().join(", "))
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
        assert_eq!(round.rates[6], 10.0);
        // Another process with the same volume may have begun anew.
        let round = Round::between(&report(30), &report(10), Duration::from_secs(2));
        assert_eq!(round.rates[6], 0.0);
    }
}
