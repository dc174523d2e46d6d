//! Reading ahead of a walk whose items lie next to each other, as they do once a datastore is
//! compacted: what lies behind the last ones is asked of the device before it is needed, more
//! of it the longer that goes on.
//!
//! Invariant: these are hints. What they are wrong about costs a read, and nothing else.

use std::ops::Range;

/// Most that is asked for ahead of the walk.
const WINDOW_BYTES_MAX: u64 = 1 << 20;

/// Where a walk has been, if in one piece of a device.
#[derive(Clone, Default)]
pub(super) struct Streak {
    device: usize,
    last: Range<u64>,
    /// What was asked for ahead.
    asked: Range<u64>,
    window: u64,
}

impl Streak {
    /// The walk reads `now`: what to ask the device for, before or behind it. Places no further
    /// apart than `gap` are next to each other.
    pub(super) fn goes_on(
        &mut self,
        device: usize,
        now: Range<u64>,
        gap: u64,
    ) -> Option<Range<u64>> {
        let last = std::mem::replace(&mut self.last, now.clone());
        let is_same = std::mem::replace(&mut self.device, device) == device && !last.is_empty();
        let near = |a: u64, b: u64| a.abs_diff(b) <= gap;
        let is_forward = is_same && now.end > last.end && near(now.start, last.end);
        let is_backward = is_same && now.start < last.start && near(now.end, last.start);
        if !is_forward && !is_backward {
            self.window = 0;
            self.asked = 0..0;
            return None;
        }
        let step = now.end - now.start;
        self.window = (2 * self.window.max(step)).min(WINDOW_BYTES_MAX);
        let (wanted, left) = if is_forward {
            let from = self.asked.end.max(now.end);
            (from..now.end + self.window, from - now.end)
        } else {
            let to = match self.asked.is_empty() {
                true => now.start,
                false => self.asked.start.min(now.start),
            };
            (now.start.saturating_sub(self.window)..to, now.start - to)
        };
        // In large pieces, and before the last one is used up.
        if wanted.is_empty() || left > self.window / 2 {
            return None;
        }
        self.asked = wanted.clone();
        Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: u64 = 4096;
    const STEP: u64 = 10_000;

    /// What is asked for while steps of a walk go by, from the third on.
    fn asked(steps: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
        let mut streak = Streak::default();
        let steps = steps.map(|at| streak.goes_on(0, at..at + STEP, GAP));
        steps.flatten().collect()
    }

    #[test]
    fn a_walk_is_asked_for_ahead_once_and_without_holes() {
        let forward = asked((0..500).map(|i| (1 << 30) + i * (STEP + 100)));
        assert!(forward.windows(2).all(|two| two[1].start == two[0].end));
        assert!(
            forward
                .last()
                .is_some_and(|last| last.end > (1 << 30) + 500 * STEP)
        );
        assert!(forward.len() < 50, "small pieces: {forward:?}");
        let backward = asked((0..500).map(|i| (1 << 30) - i * (STEP + 100)));
        assert!(backward.windows(2).all(|two| two[1].end == two[0].start));
        assert_eq!(forward.len(), backward.len());
    }

    #[test]
    fn a_short_walk_asks_for_little() {
        let bytes: u64 = asked((0..3).map(|i| i * STEP))
            .iter()
            .map(|r| r.end - r.start)
            .sum();
        assert!(bytes <= 5 * STEP);
    }

    #[test]
    fn nothing_is_asked_for_where_items_are_scattered() {
        assert!(asked((0..500).map(|i| i * 7919 % 500 * (1 << 20))).is_empty());
        assert!(asked((0..500).map(|_| 1 << 20)).is_empty());
        let mut streak = Streak::default();
        for device in [0, 1, 0, 1] {
            let at = device as u64 * STEP;
            assert_eq!(streak.goes_on(device, at..at + STEP, GAP), None);
        }
    }

    #[test]
    fn a_walk_back_to_the_start_of_a_device_ends_there() {
        let back = asked((0..20).rev().map(|i| i * STEP));
        assert_eq!(back.last().map(|range| range.start), Some(0));
    }
}
