//! The slowest commands of the last hour: what somebody looks at who is told that the server is slow.
//!
//! Invariants: a command that was fast takes no lock; and nothing of keys and values is kept, since who sees this need
//! not be who may read them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::clients::Client;

/// Shorter ones are not slow.
const SLOW: Duration = Duration::from_millis(10);
/// So many are kept,
const KEPT: usize = 32;
/// for so long.
const FOR: Duration = Duration::from_secs(3600);

/// They, in no order.
#[derive(Debug, Default)]
pub struct Slowest(Mutex<Vec<Slow>>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Slow {
    /// What it was.
    pub command: &'static str,
    /// How long it took, without the sync behind it.
    pub took: Duration,
    /// When it ended.
    pub at: Instant,
    /// How many arguments it had,
    pub arguments: usize,
    /// and their bytes.
    pub bytes: usize,
    /// Who gave it.
    pub client: Arc<Client>,
}

impl Slowest {
    /// Whether a command that took so long is to be noted.
    pub fn is_slow(took: Duration) -> bool {
        took >= SLOW
    }

    /// Notes one that was slow.
    pub fn note(&self, slow: Slow) {
        let mut kept = self.0.lock();
        kept.retain(|old| slow.at.saturating_duration_since(old.at) < FOR);
        if kept.len() < KEPT {
            return kept.push(slow);
        }
        let fastest = kept.iter_mut().min_by_key(|old| old.took);
        if let Some(fastest) = fastest.filter(|fastest| fastest.took < slow.took) {
            *fastest = slow;
        }
    }

    /// Those of the last hour, the slowest first.
    pub fn list(&self, now: Instant) -> Vec<Slow> {
        let mut list = self.0.lock().clone();
        list.retain(|old| now.saturating_duration_since(old.at) < FOR);
        list.sort_by_key(|slow| std::cmp::Reverse(slow.took));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Clients;

    #[test]
    fn the_slowest_of_an_hour_stay() {
        let clients = Arc::<Clients>::default();
        let here = ([127, 0, 0, 1], 1).into();
        let client = clients.enter(here, here, 1).unwrap().client.clone();
        let slowest = Slowest::default();
        let start = Instant::now();
        let note = |milliseconds: u64, minute: u64| {
            slowest.note(Slow {
                command: "get",
                took: Duration::from_millis(milliseconds),
                at: start + Duration::from_secs(60 * minute),
                arguments: 2,
                bytes: 4,
                client: client.clone(),
            });
        };
        note(9_000, 0);
        (0..100).for_each(|number| note(100 + number, 30));
        let after = |minutes: u64| slowest.list(start + Duration::from_secs(60 * minutes));
        let list = after(59);
        assert_eq!((list.len(), list[0].took.as_millis()), (KEPT, 9_000));
        assert_eq!(list[KEPT - 1].took.as_millis(), 200 - (KEPT as u128 - 1));
        assert_eq!(after(61)[0].took.as_millis(), 199);
        assert!(after(91).is_empty());
        // What is too old makes room for what is not slower.
        note(50, 91);
        assert_eq!(after(91).len(), 1);
    }
}
