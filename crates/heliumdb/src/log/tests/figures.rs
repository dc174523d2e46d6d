//! Figures, on demand: `cargo test --release -p heliumdb log::tests::figures -- --ignored --nocapture`.

use super::*;
use crate::device::{Device, FileDevice};
use std::time::{Duration, Instant};

fn on_real_disk() -> (tempfile::TempDir, OpenLog) {
    let dir =
        tempfile::tempdir_in(std::env::var("HELIUM_FIGURES_DIR").unwrap_or_else(|_| ".".into()))
            .unwrap();
    let device = FileDevice::open(format!("{}/v", dir.path().display()), true, false).unwrap();
    let log = OpenLog::create(vec![Box::new(device)], &VolumeOptions::default()).unwrap();
    (dir, log)
}

fn commits(threads: u64) -> f64 {
    let (_dir, log) = on_real_disk();
    let start = Instant::now();
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|t| {
                let log = &log;
                scope.spawn(move || {
                    let mut n = 0;
                    while start.elapsed() < Duration::from_secs(3) {
                        n += 1;
                        put_synced(log, t << 32 | n, &n.to_le_bytes(), &[1; 200]);
                    }
                    n
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    counts.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64()
}

fn raw() -> f64 {
    let dir = tempfile::tempdir_in(".").unwrap();
    let device = FileDevice::open(format!("{}/v", dir.path().display()), true, false).unwrap();
    device.grow(64 * MIB).unwrap();
    device.write_at(&vec![0; 64 << 20], 0).unwrap();
    device.sync().unwrap();
    let start = Instant::now();
    let mut n = 0;
    while start.elapsed() < Duration::from_secs(3) {
        device.write_at(&[1; 4096], n % 16_384 * 4096).unwrap();
        device.sync().unwrap();
        n += 1;
    }
    n as f64 / start.elapsed().as_secs_f64()
}

#[test]
#[ignore = "takes seconds, and says something in release only"]
fn figures() {
    let (_dir, log) = on_real_disk();
    let start = Instant::now();
    let mut batch = Batch::new(BatchKind::Commit);
    for b in 0..20_000u64 {
        batch.clear(BatchKind::Commit);
        for i in 0..100 {
            batch.push(
                1,
                b * 100 + i,
                false,
                &(b * 100 + i).wrapping_mul(0x9e37_79b9).to_be_bytes(),
                Some(&[2; 200]),
            );
        }
        log.append(&mut batch, false).unwrap();
    }
    println!(
        "append, batches of 100: {:.0} items/s",
        2e6 / start.elapsed().as_secs_f64()
    );
    drop(log);
    println!("raw 4 KiB write + fdatasync: {:.0}/s", raw());
    println!("durable commits, 1 thread: {:.0}/s", commits(1));
    println!("durable commits, 8 threads: {:.0}/s", commits(8));
    println!("raw 4 KiB write + fdatasync: {:.0}/s", raw());
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

#[test]
#[ignore = "says something in release only"]
fn cpu_of_an_append() {
    let device = crate::device::MemoryDevice::new("memory", 512 << 20).expect("memory");
    let log = OpenLog::create(vec![Box::new(device)], &VolumeOptions::default()).unwrap();
    let mut batch = Batch::new(BatchKind::Commit);
    let rounds = 1_000_000u64;
    let start = cpu();
    for i in 0..rounds {
        batch.clear(BatchKind::Commit);
        batch.push(1, i, false, &i.to_be_bytes(), Some(&[3; 200]));
        log.append(&mut batch, false).unwrap();
    }
    let ns = (cpu() - start).as_nanos() as f64 / rounds as f64;
    println!("append of one item of 200 bytes: {ns:.0} ns of CPU");
}

#[test]
#[ignore = "for strace: a loop of lone commits"]
fn lone_commits() {
    let (_dir, log) = on_real_disk();
    for i in 0..3_000u64 {
        put_synced(&log, i, &i.to_le_bytes(), &[1; 200]);
    }
}

#[test]
#[ignore = "takes seconds, and says something in release only"]
fn replay() {
    let dir = tempfile::tempdir_in(std::env::var("HELIUM_FIGURES_DIR").unwrap_or(".".into()));
    let dir = dir.unwrap();
    let url = format!("he://./{}/v", dir.path().display());
    let options = VolumeOptions::default();
    let volume = crate::Volume::open(&url, &options).unwrap();
    let store = volume.create_datastore("items").unwrap();
    for i in 0..2_000_000u64 {
        let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        store.put([key, key].concat(), [5; 200]).unwrap();
    }
    volume.close().unwrap();
    drop((store, volume));
    let bytes = std::fs::metadata(dir.path().join("v")).unwrap().len() as f64 / 1e6;
    for read_only in [true, false, true] {
        let options = VolumeOptions {
            read_only,
            ..VolumeOptions::default()
        };
        let (start, own) = (Instant::now(), cpu());
        drop(crate::Volume::open(&url, &options).unwrap());
        let (all, own) = (start.elapsed().as_secs_f64(), (cpu() - own).as_secs_f64());
        println!(
            "Volume::open of {bytes:.0} MB: {all:.2} s, {:.0} MB/s; CPU of the opener {own:.2} s",
            bytes / all
        );
        let device = FileDevice::open(format!("{}/v", dir.path().display()), false, true).unwrap();
        let mut model = Count::default();
        let (start, own) = (Instant::now(), cpu());
        let log = OpenLog::open(
            vec![Box::new(device)],
            &VolumeOptions {
                read_only: true,
                ..options
            },
            &mut model,
        )
        .unwrap();
        let (all, own) = (start.elapsed().as_secs_f64(), (cpu() - own).as_secs_f64());
        println!(
            "the log alone: {all:.2} s, {:.0} MB/s; CPU {own:.2} s, {} items",
            bytes / all,
            model.0
        );
        drop(log);
    }
}

#[derive(Default)]
struct Count(u64);

impl Replay for Count {
    fn whole_log(&mut self, _moved: bool) {}
    fn number_used(&mut self, _seq: u64) {}
    fn item(&mut self, _batch: &ReplayBatch, _item: &ReplayItem<'_>) -> Result<()> {
        self.0 += 1;
        Ok(())
    }
    fn batch_end(&mut self, _batch: &ReplayBatch) -> Result<()> {
        Ok(())
    }
    fn cancel(&mut self, _batch_id: u64) -> Result<()> {
        Ok(())
    }
    fn resolve(&mut self, _global: GlobalTxn, _committed: bool) -> Result<()> {
        Ok(())
    }
}
