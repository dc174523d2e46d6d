//! Volumes in real files whose maker is gone after some step.

use super::*;
use crate::{
    ErrorKind,
    device::{Device, FileDevice},
};
use std::{
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Does so many writes, syncs and growths, and no more: its process is gone.
struct Mortal {
    file: FileDevice,
    left: Arc<AtomicU64>,
}

impl Mortal {
    fn act(&self, act: impl FnOnce(&FileDevice) -> io::Result<()>) -> io::Result<()> {
        let left = self
            .left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::other("killed"))?;
        act(&self.file)
    }
}

impl Device for Mortal {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.act(|file| file.write_at(buffer, offset))
    }
    fn sync(&self) -> io::Result<()> {
        self.act(FileDevice::sync)
    }
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn grow(&self, bytes: u64) -> io::Result<()> {
        self.act(|file| file.grow(bytes))
    }
    fn can_grow(&self) -> bool {
        self.file.can_grow()
    }
    fn name(&self) -> &str {
        self.file.name()
    }
}

fn files(folder: &Path, left: &Arc<AtomicU64>) -> Vec<Box<dyn Device>> {
    let open = |name| {
        let path = folder.join(name).display().to_string();
        let file = FileDevice::open(&path, true, false).unwrap();
        let left = left.clone();
        Box::new(Mortal { file, left }) as Box<dyn Device>
    };
    vec![open("a"), open("b")]
}

fn make(folder: &Path, steps: u64, options: &VolumeOptions) -> Result<OpenLog> {
    let left = Arc::new(AtomicU64::new(steps));
    OpenLog::open_or_create(files(folder, &left), options, &mut Model::default())
}

fn all_steps(folder: &Path) {
    for steps in 0.. {
        let folder = tempfile::tempdir_in(folder).unwrap();
        let is_made = make(folder.path(), steps, &quiet()).is_ok();
        // A copy that bears its volume's id takes nothing but files that hold nothing else.
        let copy = VolumeOptions {
            volume_id: Some(crate::VolumeId([5; 16])),
            ..quiet()
        };
        let options = if steps % 2 == 0 { quiet() } else { copy };
        let log = make(folder.path(), u64::MAX, &options)
            .unwrap_or_else(|why| panic!("after {steps} steps: {why}"));
        for seq in 1..6_u64 {
            put_synced(&log, seq, &seq.to_le_bytes(), &[1; 900_000]);
        }
        log.close().unwrap();
        drop(log);
        let mut model = Model::default();
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let log = OpenLog::open(files(folder.path(), &left), &quiet(), &mut model).unwrap();
        assert_eq!(model.live.len(), 5);
        assert!(log.stats().capacity_bytes > 24 * MIB);
        if is_made {
            assert!(steps > 10, "{steps}");
            return;
        }
    }
}

#[test]
fn a_volume_whose_maker_is_gone_is_made_again() {
    all_steps(&std::env::temp_dir());
}

#[test]
fn a_volume_whose_maker_is_gone_is_made_again_in_memory() {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() {
        all_steps(shm);
    }
}

#[test]
fn a_copy_does_not_go_where_a_volume_was() {
    let folder = tempfile::tempdir().unwrap();
    drop(make(folder.path(), u64::MAX, &quiet()).unwrap());
    let left = Arc::new(AtomicU64::new(u64::MAX));
    OpenLog::erase(files(folder.path(), &left)).unwrap();
    let copy = VolumeOptions {
        volume_id: Some(crate::VolumeId([5; 16])),
        ..quiet()
    };
    let refused = make(folder.path(), u64::MAX, &copy).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    drop(make(folder.path(), u64::MAX, &quiet()).unwrap());
}
