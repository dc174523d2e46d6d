//! What a volume's log was given, in order, and the states that a crash may leave it in.
//!
//! Invariant: after a crash a volume's state is that after some prefix of its events, with all
//! that were acknowledged as durable in it; a transaction over several volumes is in the
//! prefixes of all of them, or of none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    sync::Arc,
};

use crate::model::Value;

/// An item as the log gets it.
#[derive(Clone, Debug)]
pub struct Item {
    /// The datastore, by the model's number.
    pub place: usize,
    /// Its key.
    pub key: Vec<u8>,
    /// When it was linked: the highest wins.
    pub sequence: u64,
    /// Its value; `None` removes it.
    pub value: Option<Value>,
}

/// One step of a volume's log.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// Items that are there together or not at all.
    Batch(Vec<Item>),
    /// The part of a transaction over several volumes that has this number.
    Shared(u64, Vec<Item>),
    /// The batch with this index was taken back.
    Cancel(usize),
    /// All items of a datastore are gone.
    Truncate(usize),
}

/// The items of a volume: by datastore and key.
pub type State = BTreeMap<(usize, Vec<u8>), Value>;

/// The events of one volume.
#[derive(Clone, Default)]
pub struct History {
    base: State,
    events: Vec<LogEvent>,
}

impl History {
    /// Starts at `base`.
    pub fn new(base: State) -> Self {
        Self {
            base,
            events: Vec::new(),
        }
    }

    /// Adds an event; its index.
    pub fn push(&mut self, event: LogEvent) -> usize {
        self.events.push(event);
        self.events.len() - 1
    }

    /// The last `count` of the first `until` events, a line for each.
    pub fn last(&self, count: usize, until: usize) -> String {
        let until = until.min(self.events.len());
        let mut lines = String::new();
        for (index, event) in self.events[..until].iter().enumerate() {
            if index + count >= until {
                let _ = write!(lines, "\n    {index}: {event}");
            }
        }
        lines
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The states after each prefix, from that of no event on.
    pub fn states(&self) -> Vec<Arc<State>> {
        (0..=self.events.len())
            .map(|count| Arc::new(self.state(count)))
            .collect()
    }

    /// The state after the first `count` events.
    pub fn state(&self, count: usize) -> State {
        let events = &self.events[..count];
        let cancelled: Vec<usize> = events
            .iter()
            .filter_map(|event| match event {
                LogEvent::Cancel(index) => Some(*index),
                _ => None,
            })
            .collect();
        let base = self.base.iter();
        let mut newest: BTreeMap<(usize, Vec<u8>), (u64, Option<Value>)> = base
            .map(|(key, value)| (key.clone(), (0, Some(value.clone()))))
            .collect();
        for (index, event) in events.iter().enumerate() {
            match event {
                LogEvent::Batch(items) | LogEvent::Shared(_, items) => {
                    if cancelled.contains(&index) {
                        continue;
                    }
                    for item in items {
                        let key = (item.place, item.key.clone());
                        let slot = newest.entry(key).or_default();
                        if item.sequence >= slot.0 {
                            *slot = (item.sequence, item.value.clone());
                        }
                    }
                }
                LogEvent::Cancel(_) => {}
                LogEvent::Truncate(place) => newest.retain(|key, _| key.0 != *place),
            }
        }
        newest
            .into_iter()
            .filter_map(|(key, (_, value))| Some((key, value?)))
            .collect()
    }

    /// The transactions over several volumes that the first `count` events leave in effect.
    fn shared(&self, count: usize) -> BTreeSet<u64> {
        let events = &self.events[..count];
        let cancelled = |index: usize| {
            let mut events = events.iter();
            events.any(|event| matches!(event, LogEvent::Cancel(i) if *i == index))
        };
        let shared = events.iter().enumerate();
        shared
            .filter_map(|(index, event)| match event {
                LogEvent::Shared(number, _) if !cancelled(index) => Some(*number),
                _ => None,
            })
            .collect()
    }

    /// The lengths of prefixes, from `acknowledged` to `begun`, after which the state is `found`.
    pub fn prefixes(
        states: &[Arc<State>],
        acknowledged: usize,
        begun: usize,
        found: &State,
    ) -> Vec<usize> {
        (acknowledged..=begun.min(states.len() - 1))
            .filter(|&count| *states[count] == *found)
            .collect()
    }

    /// Whether some choice of one prefix per volume has every transaction over several of them
    /// wholly or not at all.
    pub fn agree(histories: &[History], prefixes: &[Vec<usize>]) -> bool {
        let Some((first, rest)) = prefixes.split_first() else {
            return true;
        };
        // Every shared transaction is on all volumes of the histories given.
        let sets = |volume: usize, prefixes: &[usize]| -> Vec<BTreeSet<u64>> {
            let history = &histories[volume];
            prefixes
                .iter()
                .map(|&count| history.shared(count))
                .collect()
        };
        let mut possible = sets(0, first);
        for (index, prefixes) in rest.iter().enumerate() {
            let here = sets(index + 1, prefixes);
            possible.retain(|set| here.contains(set));
        }
        !possible.is_empty()
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = match self {
            Self::Batch(items) => {
                write!(f, "batch of {}:", items.len())?;
                items
            }
            Self::Shared(number, items) => {
                write!(f, "part of transaction {number}, of {}:", items.len())?;
                items
            }
            Self::Cancel(index) => return write!(f, "event {index} is taken back"),
            Self::Truncate(place) => return write!(f, "datastore {place} is truncated"),
        };
        // Which key it was is what one looks for: a few say it.
        items
            .iter()
            .take(8)
            .try_for_each(|item| write!(f, " {item}"))?;
        f.write_str(if items.len() > 8 { " ..." } else { "" })
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.escape_ascii();
        write!(f, "{}/{key}@{}", self.place, self.sequence)?;
        match &self.value {
            Some(value) => write!(f, "={} bytes", value.len()),
            None => f.write_str(" removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_told() {
        let item = |key: &[u8], sequence, value: Option<&[u8]>| Item {
            place: 1,
            key: key.to_vec(),
            sequence,
            value: value.map(Into::into),
        };
        let mut history = History::default();
        history.push(LogEvent::Truncate(1));
        history.push(LogEvent::Batch(vec![item(b"a\0", 7, Some(b"xyz"))]));
        history.push(LogEvent::Shared(3, vec![item(b"b", 8, None)]));
        history.push(LogEvent::Cancel(1));
        assert_eq!(
            history.last(2, 3),
            "\n    1: batch of 1: 1/a\\x00@7=3 bytes\n    2: part of transaction 3, of 1: 1/b@8 removed"
        );
        assert_eq!(history.last(9, 9).lines().count(), 5);
    }
}
