//! The report: what was done, what recovery found, what was checked. For people.

use crate::{
    check::Verdict,
    dataset::DataSet,
    load::{BATCH_ROWS, Loaded},
    round::Round,
    schema::{Engine, TABLES, VOLUMES, volume_file},
};
use indicatif::{BinaryBytes, HumanCount};
use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

/// Bytes of one of the blocks in which file systems count what they use.
const STAT_BLOCK_BYTES: u64 = 512;

/// Says what the data is and where it goes.
pub fn data(data: &DataSet, home: &Path, engine: Engine, version: &str, seed: u64) {
    let tables = match engine {
        Engine::Helium => "tables on two Helium volumes",
        Engine::Native => "WiredTiger's own tables (no Helium)",
    };
    println!("WiredTiger {version} with {tables}, in {}", home.display());
    println!(
        "data      Debian's package database: {} packages, {} files, {}",
        HumanCount(data.packages.len() as u64),
        HumanCount(data.files()),
        BinaryBytes(data.bytes()),
    );
    println!("choices   seed {seed}");
}

/// Says what loading came to.
pub fn loaded(loaded: &Loaded) {
    println!(
        "load      {} rows in {}, {} rows/s, {} rows per transaction",
        HumanCount(loaded.rows),
        seconds(loaded.time),
        per_second(loaded.rows, loaded.time),
        HumanCount(BATCH_ROWS),
    );
}

/// Says what came of one round: what the worker did, and what was there after the kill.
pub fn round(number: u64, threads: u64, round: &Round, opened: Duration, verdict: &Verdict) {
    let done = round.transactions;
    println!(
        "round {number:<3} {threads} threads, killed after {}",
        seconds(round.ran)
    );
    println!(
        "          did {} transactions, {}/s, each synced; {} files moved, {}/s; {} conflicts",
        HumanCount(done),
        per_second(done, round.ran),
        HumanCount(round.files),
        per_second(round.files, round.ran),
        HumanCount(round.conflicts),
    );
    let found = match verdict.complaints.len() {
        0 => format!(
            "all {} acknowledged are there, and {} that were not yet; none by half",
            HumanCount(done),
            verdict.unacknowledged,
        ),
        _ => "NOT as it must be".to_owned(),
    };
    println!("          recovered in {}: {found}", seconds(opened));
    complaints(verdict);
}

/// Says what is off.
pub fn complaints(verdict: &Verdict) {
    for complaint in &verdict.complaints {
        println!("  WRONG   {complaint}");
    }
}

/// Says what the last look found, and how much space it all takes.
pub fn end(rows: u64, acknowledged: u64, rounds: u64, home: &Path, engine: Engine) {
    println!(
        "verify    {} tables and the index verified; closed, reopened, the same {} rows",
        TABLES.len(),
        HumanCount(rows),
    );
    println!(
        "checked   each file in exactly one table, with its own content; the sums of packages, \
         ledger\n          and tables; index against rows; order and both directions of every scan"
    );
    if engine == Engine::Helium {
        let sizes = VOLUMES.map(|volume| {
            let used = fs::metadata(volume_file(home, volume)).map(|file| file.blocks());
            format!(
                "{volume} {}",
                BinaryBytes(used.unwrap_or_default() * STAT_BLOCK_BYTES)
            )
        });
        println!("space     {}", sizes.join(", "));
    }
    println!(
        "RESULT    every one of {} acknowledged transactions is there, none by half; kills: {rounds}",
        HumanCount(acknowledged),
    );
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 1.0 => format!("{:.0} ms", short * 1000.0),
        long => format!("{long:.1} s"),
    }
}

fn per_second(count: u64, time: Duration) -> HumanCount {
    HumanCount((count as f64 / time.as_secs_f64().max(f64::EPSILON)) as u64)
}
