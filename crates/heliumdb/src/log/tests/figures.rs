//! Figures, on demand: `cargo test --release -p heliumdb log::tests::figures -- --ignored --nocapture`.

use super::*;
use crate::device::{Device, FileDevice};
use std::time::{Duration, Instant};

fn on_real_disk() -> (tempfile::TempDir, Arc<Log>) {
    let dir =
        tempfile::tempdir_in(std::env::var("HELIUM_FIGURES_DIR").unwrap_or_else(|_| ".".into()))
            .unwrap();
    let device = FileDevice::open(&format!("{}/v", dir.path().display()), true, false).unwrap();
    let log = Log::create(vec![Box::new(device)], &VolumeOptions::default()).unwrap();
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
    let device = FileDevice::open(&format!("{}/v", dir.path().display()), true, false).unwrap();
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
