//! `helium stat --sizes`: how long keys and values are, and which are the longest.
//!
//! Invariant: memory does not grow with what is looked at; and of a long value only where its pieces are is read, unless
//! it comes through another process.

use serde_json::{Value, json};

use crate::{
    failure::Result,
    interrupt,
    output::{Column, table},
    progress::Progress,
    reading::{Place, Store},
    text,
};

/// The longest that are listed.
const LONGEST: usize = 5;
/// Longest part of a key that is shown to people.
const KEY_BYTES_SHOWN: usize = 40;

/// What is known of one datastore.
pub struct Sizes {
    name: Vec<u8>,
    /// Of a datastore that another process has open only that knows.
    index_bytes: Option<u64>,
    keys: Lengths,
    values: Lengths,
}

/// Lengths of keys, or of values.
struct Lengths {
    count: u64,
    bytes: u64,
    /// How many have no byte, one, two to three, four to seven, and so on.
    octaves: [u64; 33],
    /// The longest first, with the keys of their items.
    longest: Vec<(u64, Vec<u8>)>,
}

impl Default for Lengths {
    fn default() -> Self {
        Self {
            count: 0,
            bytes: 0,
            octaves: [0; 33],
            longest: Vec::new(),
        }
    }
}

/// Looks at all items of a datastore.
pub fn of(from: &mut Place<'_>, store: &Store) -> Result<Sizes> {
    let progress = Progress::items("measuring items", store.items);
    let mut sizes = Sizes {
        name: store.info.name.clone(),
        index_bytes: store.index_bytes()?,
        keys: Lengths::default(),
        values: Lengths::default(),
    };
    for found in from.lengths(store) {
        interrupt::check()?;
        let (key, value_bytes) = found?;
        sizes.keys.add(key.len() as u64, &key);
        sizes.values.add(value_bytes, &key);
        progress.at(sizes.keys.count);
    }
    Ok(sizes)
}

/// The least and the most bytes of an octave.
fn octave(at: usize) -> (u64, u64) {
    let most = (1_u64 << at) - 1;
    (most / 2 + u64::from(at > 0), most)
}

impl Lengths {
    fn add(&mut self, bytes: u64, key: &[u8]) {
        self.count += 1;
        self.bytes += bytes;
        let octave = bytes.checked_ilog2().map_or(0, |log| log as usize + 1);
        if let Some(count) = self.octaves.get_mut(octave) {
            *count += 1;
        }
        let is_full = self.longest.len() == LONGEST;
        if is_full
            && self
                .longest
                .last()
                .is_some_and(|(least, _)| bytes <= *least)
        {
            return;
        }
        let place = self.longest.partition_point(|(longer, _)| *longer >= bytes);
        self.longest.insert(place, (bytes, key.to_vec()));
        self.longest.truncate(LONGEST);
    }

    /// Each octave that has any: the least and the most bytes in it, and how many.
    fn histogram(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let octaves = self.octaves.iter().enumerate();
        octaves.filter(|(_, count)| **count > 0).map(|(at, count)| {
            let (least, most) = octave(at);
            (least, most, *count)
        })
    }

    fn to_json(&self) -> Value {
        let histogram: Value = self
            .histogram()
            .map(|(least, most, count)| json!({"from_bytes": least, "to_bytes": most, "items": count}))
            .collect();
        let longest: Value = self
            .longest
            .iter()
            .map(|(bytes, key)| json!({"key": text::to_json(key), "bytes": bytes}))
            .collect();
        json!({"bytes": self.bytes, "sizes": histogram, "longest": longest})
    }
}

impl Sizes {
    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "name": text::to_json(&self.name),
            "items": self.keys.count,
            "index_bytes": self.index_bytes,
            "keys": self.keys.to_json(),
            "values": self.values.to_json(),
        })
    }

    fn row(&self) -> Vec<String> {
        let longest = |lengths: &Lengths| lengths.longest.first().map_or(0, |(bytes, _)| *bytes);
        vec![
            text::shown(&self.name),
            text::count(self.keys.count),
            text::size(self.keys.bytes),
            text::size(self.values.bytes),
            text::size(longest(&self.keys)),
            text::size(longest(&self.values)),
            self.index_bytes.map_or_else(String::new, text::size),
        ]
    }

    fn details(&self) -> String {
        if self.keys.count == 0 {
            return String::new();
        }
        let name = text::shown(&self.name);
        format!(
            "\n{name}\n{}{}{}",
            self.histogram(),
            longest("LONGEST KEYS", "", &self.keys),
            longest("LONGEST VALUES", "of ", &self.values)
        )
    }

    fn histogram(&self) -> String {
        let columns = [
            Column::Right("BYTES"),
            Column::Right("KEYS"),
            Column::Right("VALUES"),
        ];
        let rows = (0..self.keys.octaves.len()).filter_map(|at| {
            let (keys, values) = (self.keys.octaves[at], self.values.octaves[at]);
            let (least, most) = octave(at);
            let bytes = match least == most {
                true => text::count(least),
                false => format!("{} to {}", text::count(least), text::count(most)),
            };
            let count = |count| {
                if count == 0 {
                    String::new()
                } else {
                    text::count(count)
                }
            };
            (keys + values > 0).then(|| vec![bytes, count(keys), count(values)])
        });
        table(&columns, rows)
    }
}

fn longest(title: &'static str, of: &str, lengths: &Lengths) -> String {
    let columns = [Column::Right("BYTES"), Column::Left(title)];
    let rows = lengths.longest.iter().map(|(bytes, key)| {
        let shown = key.get(..KEY_BYTES_SHOWN).map_or_else(
            || text::shown(key),
            |start| format!("{}...", text::shown(start)),
        );
        vec![text::count(*bytes), format!("{of}{shown}")]
    });
    table(&columns, rows)
}

/// For people: a line for each, and what is to be said of each.
pub fn to_text(all: &[Sizes]) -> String {
    let columns = [
        Column::Left("DATASTORE"),
        Column::Right("ITEMS"),
        Column::Right("KEYS"),
        Column::Right("VALUES"),
        Column::Right("LONGEST KEY"),
        Column::Right("LONGEST VALUE"),
        Column::Right("INDEX MEMORY"),
    ];
    let details: String = all.iter().map(Sizes::details).collect();
    format!("{}{details}", table(&columns, all.iter().map(Sizes::row)))
}

#[cfg(test)]
mod tests {
    use super::Lengths;

    #[test]
    fn lengths_are_counted_by_octave_and_the_longest_kept() {
        let mut lengths = Lengths::default();
        for bytes in [0, 1, 2, 3, 4, 7, 8, 100, 99, 1 << 24] {
            lengths.add(bytes, bytes.to_string().as_bytes());
        }
        let histogram: Vec<_> = lengths.histogram().collect();
        assert_eq!(
            histogram[..5],
            [(0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 2), (8, 15, 1)]
        );
        let longest: Vec<u64> = lengths.longest.iter().map(|(bytes, _)| *bytes).collect();
        assert_eq!(longest, [1 << 24, 100, 99, 8, 7]);
        assert_eq!(lengths.longest[1].1, b"100");
    }
}
