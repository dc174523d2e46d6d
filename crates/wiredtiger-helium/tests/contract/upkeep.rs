//! What keeps a volume small, quick and sound: compression, checkpoints, compaction, salvage, and the
//! figures that say so.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use tempfile::TempDir;
use wiredtiger_testkit::helium;

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";
const URI: &str = "helium:dev1/t";
const OTHER: &str = "helium:dev1/other";

/// A database with one volume, which tells what it does.
struct Base {
    connection: Option<Connection>,
    folder: TempDir,
}

impl Base {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut base = Self {
            connection: None,
            folder,
        };
        base.open("");
        base
    }

    fn open(&mut self, option: &str) {
        self.open_as(option, "helium_verbose=1");
    }

    fn open_as(&mut self, option: &str, options: &str) {
        let volume = volume(1, self.folder.path()).with(option);
        let extension = helium::extensions_with(&[volume], options).unwrap();
        let config = format!("create,{extension}");
        self.connection = Some(Connection::open(self.folder.path(), &config).unwrap());
    }

    fn close(&mut self) {
        self.connection.take().unwrap().close().unwrap();
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }

    fn session(&self) -> Session<'_> {
        self.connection().session().unwrap()
    }

    /// The messages that have these words in them.
    fn said(&self, words: &str) -> Vec<String> {
        let events = self.connection().events().into_iter();
        let texts = events.map(|event| event.text);
        texts.filter(|text| text.contains(words)).collect()
    }

    /// The volume's figures, as a checkpoint tells them.
    fn figures(&self, checkpoint: &str) -> HashMap<String, u64> {
        self.session().checkpoint(checkpoint).unwrap();
        let said = self.said("statistics of volume dev1: ");
        let (_, pairs) = said.last().unwrap().split_once("dev1: ").unwrap();
        let pairs = pairs.split(',').filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_owned(), value.parse().ok()?))
        });
        pairs.collect()
    }

    fn rows(&self, uri: &str) -> Vec<String> {
        self.session().cursor(uri, "").unwrap().list().unwrap()
    }
}

fn fill(base: &Base, uri: &str, numbers: impl IntoIterator<Item = u32>, value: &str) {
    let session = base.session();
    let cursor = session.cursor(uri, "").unwrap();
    session.begin("").unwrap();
    for number in numbers {
        cursor.put(&format!("k{number:06}"), value).unwrap();
    }
    session.commit().unwrap();
}

/// Bytes given to compression and what became of them, by so many new rows.
fn compressed(base: &Base, uri: &str, first: u32) -> (u64, u64) {
    let before = base.figures("");
    fill(base, uri, first..first + 500, &"easily said. ".repeat(300));
    let after = base.figures("");
    let more = |name| after[name] - before[name];
    (more("compress_given_bytes"), more("compress_stored_bytes"))
}

#[test]
fn a_compressed_object_takes_less_room_and_stays_compressed() {
    let mut base = Base::new();
    let compress = format!("{FORMATS},helium_o_compress=true");
    base.session().create("helium:dev1/plain", FORMATS).unwrap();
    let empty = base.figures("")["live_bytes"];
    assert_eq!(compressed(&base, "helium:dev1/plain", 0), (0, 0));
    let plain = base.figures("")["live_bytes"] - empty;
    base.session().create(URI, &compress).unwrap();
    let (given, stored) = compressed(&base, URI, 0);
    assert!(
        given > 500 * 3_900 && stored * 5 < given,
        "{given} {stored}"
    );
    let small = base.figures("")["live_bytes"] - empty - plain;
    assert!(small * 4 < plain, "{small} bytes, {plain} uncompressed");

    let stays = |base: &Base, uri: &str, first| {
        let (given, stored) = compressed(base, uri, first);
        assert!(given > 0 && stored * 5 < given, "{uri}: {given} {stored}");
    };
    let renamed = "helium:dev1/renamed";
    base.session().rename(URI, renamed).unwrap();
    stays(&base, renamed, 1_000);
    base.session().truncate(renamed).unwrap();
    stays(&base, renamed, 2_000);
    let again = format!("{FORMATS},helium_o_truncate=true");
    base.session().create(renamed, &again).unwrap();
    assert!(base.rows(renamed).is_empty());
    stays(&base, renamed, 3_000);
    base.close();
    base.open("");
    assert_eq!(base.rows(renamed).len(), 500);
    assert!(base.rows(renamed)[7].ends_with("easily said. "));
    stays(&base, renamed, 4_000);
    assert_eq!(compressed(&base, "helium:dev1/plain", 5_000), (0, 0));
}

/// One that changed little since the last one makes it durable and writes nothing else.
#[test]
fn checkpoints_are_only_taken_of_what_changed() {
    let base = Base::new();
    base.session().create(URI, FORMATS).unwrap();
    fill(&base, URI, 0..20_000, &"v".repeat(100));
    let written = |config: &str| base.figures(config)["checkpoint_written_bytes"];
    let first = written("");
    assert!(first > 0, "none was taken of 2 MB of new rows");
    for number in 0..20 {
        fill(&base, URI, [number], "new");
        assert_eq!(written(""), first, "one was taken of a single row");
    }
    let forced = written("force=true");
    assert!(forced > first, "none was taken though it was forced");
    fill(&base, URI, 0..20_000, &"w".repeat(100));
    assert!(written("") > forced);
}

#[test]
fn what_checkpoints_and_compaction_leave_is_recovered() {
    let mut base = Base::new();
    base.session().create(URI, FORMATS).unwrap();
    let mut numbers: Vec<u32> = (0..20_000).collect();
    numbers.shuffle(&mut SmallRng::seed_from_u64(seed("compaction")));
    fill(&base, URI, numbers.iter().copied(), &"x".repeat(100));
    fill(&base, URI, numbers.iter().copied().take(1_000), "second");
    let moved = || {
        let said = base.said("items of helium:dev1/t were moved into key order");
        let (_, text) = said.last().unwrap().split_once("compact: ").unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    // And some rows of transactions of their own.
    let session = base.session();
    let cursor = session.cursor(URI, "").unwrap();
    for number in &numbers[..500] {
        cursor.put(&format!("k{number:06}"), "third").unwrap();
    }
    drop(cursor);
    drop(session);
    let rows = base.rows(URI);
    base.session().compact(URI).unwrap();
    assert!(moved() > 19_000, "{} of 20,000", moved());
    base.session().compact(URI).unwrap();
    assert!(moved() < 2_000, "what is in order was moved again");
    assert_eq!(base.rows(URI), rows);
    base.session().verify(URI).unwrap();
    fill(&base, URI, [1_000_000], "after");

    // As a kill would leave it.
    let copy = tempfile::tempdir().unwrap();
    let old = base.folder.path().join("dev1.helium");
    std::fs::copy(old, copy.path().join("dev1.helium")).unwrap();
    base.close();
    let killed = copy.path().join("dev1.helium");
    std::fs::copy(killed, base.folder.path().join("dev1.helium")).unwrap();
    base.open("");
    let found = base.rows(URI);
    assert_eq!(found[..rows.len()], rows);
    assert_eq!(found[rows.len()..], ["k1000000=after"]);
    base.session().verify(URI).unwrap();
}

#[test]
fn salvage_removes_what_is_damaged_and_nothing_else() {
    let mut base = Base::new();
    base.session().create(URI, FORMATS).unwrap();
    for number in 0..300 {
        let value = format!("<needle {number:03}>{}", "x".repeat(3_000));
        fill(&base, URI, [number], &value);
    }
    base.session().salvage(URI).unwrap();
    assert!(!base.said("all 300 items").is_empty());
    // Recovery reads the log from the last checkpoint's segment on, and refuses damage there.
    base.session().create(OTHER, FORMATS).unwrap();
    fill(&base, OTHER, 0..2_500, &"y".repeat(4_000));
    let before = base.rows(URI);
    base.close();
    for number in [100, 200] {
        flip_in(base.folder.path(), format!("<needle {number}>").as_bytes());
    }
    base.open("");
    assert_ne!(base.session().verify(URI).code(), Code::OK);
    {
        let session = base.session();
        let cursor = session.cursor(URI, "").unwrap();
        cursor.next().unwrap();
        assert_eq!(base.session().salvage(URI).code(), Code::EBUSY);
    }
    base.session().salvage(URI).unwrap();
    for words in ["\"k000100", "\"k000200", "298 items", "2 were damaged"] {
        assert_eq!(base.said(words).len(), 1, "{words}");
        // At whatever level of messages: these are errors.
        let errors = base.connection().errors();
        assert!(errors.iter().any(|said| said.contains(words)), "{words}");
    }
    let mut rest = before;
    rest.retain(|row| !row.starts_with("k000100=") && !row.starts_with("k000200="));
    for _ in 0..2 {
        assert_eq!(base.rows(URI), rest);
        base.session().verify(URI).unwrap();
        base.session().salvage(URI).unwrap();
        base.close();
        base.open("");
    }
    fill(&base, URI, [100], "new");
    assert_eq!(base.rows(URI).len(), 299);
}

#[test]
fn figures_are_told_at_checkpoints_and_not_unless_asked() {
    let base = Base::new();
    let figures = base.figures("");
    for name in [
        "capacity_bytes",
        "read_cache_hit_pct",
        "live_bytes",
        "written_bytes",
    ] {
        assert!(figures.contains_key(name), "{name}: {figures:?}");
    }
    let arena = Arena::new(Kind::Object);
    arena.session().checkpoint("").unwrap();
    let events = arena.connection().events();
    assert!(
        events
            .iter()
            .all(|event| !event.text.contains("statistics"))
    );
}

#[test]
fn a_scan_reads_all_of_the_log_and_finds_the_same() {
    let mut base = Base::new();
    base.session().create(URI, FORMATS).unwrap();
    fill(&base, URI, 0..300, "value");
    let rows = base.rows(URI);
    for (option, all_is_read) in [
        ("", false),
        ("helium_o_volume_scan=true", true),
        ("", false),
    ] {
        base.close();
        base.open(option);
        let said = base.said("recovery read ").pop().unwrap();
        let words = said.split_once("recovery read ").unwrap().1;
        let read: u64 = words.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(read >= 300, all_is_read, "{option}: {said}");
        assert_eq!(base.rows(URI), rows, "{option}");
    }
}

/// Does `work` until the volume's figures show more than nothing under `name`.
fn until_shown(base: &Base, name: &str, mut work: impl FnMut()) {
    for _ in 0..600 {
        work();
        std::thread::sleep(std::time::Duration::from_millis(100));
        if base.figures("")[name] > 0 {
            return;
        }
    }
    panic!("{name} stays zero");
}

#[test]
fn what_is_committed_by_itself_and_scrubbed_shows_in_the_figures() {
    let mut base = Base::new();
    base.session().create(URI, FORMATS).unwrap();
    fill(&base, URI, 0..300, "value");
    assert_eq!(base.figures("")["scrubbed_bytes"], 0);
    base.close();
    base.open("helium_scrub_rate=10MB");
    until_shown(&base, "scrubbed_bytes", || {});
    assert_eq!(base.figures("")["damaged_items"], 0);
    base.close();
    let buffered = "helium_verbose=1,helium_durability=\"buffered\"";
    base.open_as("helium_auto_commit_period=0", buffered);
    let mut number = 300;
    until_shown(&base, "auto_commits", || {
        number += 1;
        fill(&base, URI, [number], "value");
    });
}

/// Flips a bit well behind a mark in the volume's file, wherever it is.
fn flip_in(folder: &Path, mark: &[u8]) {
    let path = folder.join("dev1.helium");
    let bytes = std::fs::read(&path).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let mut found = false;
    for place in places_of(&bytes, mark) {
        let place = place + mark.len() + 1_000;
        file.write_all_at(&[bytes[place] ^ 0x10], place as u64)
            .unwrap();
        found = true;
    }
    assert!(found, "the value is not in the file as it is");
    file.sync_all().unwrap();
}

fn places_of<'a>(bytes: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let all = bytes.windows(mark.len()).enumerate();
    all.filter(move |(_, window)| *window == mark)
        .map(|(place, _)| place)
}
