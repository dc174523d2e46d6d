//! The machine that figures come from.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result};
use rustix::fs::OFlags;

use super::{Options, Place};

/// Bytes that are read to see how fast the disk is.
const READ_BYTES: u64 = 1 << 30;
/// What is read at once: the kernel makes parallel requests of it.
const PIECE_BYTES: usize = 8 << 20;
const ALIGN: usize = 4096;

/// Says what machine this is, and how fast its disk reads in sequence.
pub(super) fn print(options: &Options) -> Result<()> {
    let cpus = std::thread::available_parallelism()?;
    let model = line("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = line("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("{cpus} x {model}, {memory}, Linux {}", kernel.trim());
    let place = Place::new(options.folder.as_deref())?;
    let mut file = File::create(place.path())?;
    let piece = vec![1; PIECE_BYTES];
    let bytes = options
        .scaled(READ_BYTES)
        .next_multiple_of(PIECE_BYTES as u64);
    for _ in 0..bytes / PIECE_BYTES as u64 {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let rate = sequential_read(&place.path())?;
    println!(
        "the disk, read in sequence past the page cache: {:.0} MB/s",
        rate / 1e6
    );
    Ok(())
}

fn line(path: &str, start: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(start))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Reads a file from its start to its end past the page cache; bytes a second, the median of three.
pub(super) fn sequential_read(path: &Path) -> Result<f64> {
    let mut rates = Vec::new();
    for _ in 0..3 {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::DIRECT.bits() as i32)
            .open(path)
            .context("the folder must be on a disk, or the page cache cannot be avoided")?;
        let mut memory = vec![0; PIECE_BYTES + ALIGN];
        let skip = memory.as_ptr().align_offset(ALIGN);
        let piece = &mut memory[skip..skip + PIECE_BYTES];
        let (started, mut bytes) = (Instant::now(), 0);
        loop {
            match file.read(piece)? {
                0 => break,
                read => bytes += read,
            }
        }
        rates.push(bytes as f64 / started.elapsed().as_secs_f64());
    }
    Ok(super::setup::median(rates))
}
