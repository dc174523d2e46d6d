//! Volumes on block devices: loop devices, where the machine lets the test make them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use heliumdb::{ErrorKind, Volume, VolumeOptions, upkeep::BackupFrom};

/// A loop device over a sparse file; detached when dropped.
struct Loop {
    node: PathBuf,
    folder: Rc<tempfile::TempDir>,
}

impl Loop {
    /// `None` where there are no loop devices, or no right to make one.
    fn attach(bytes: u64) -> Option<Self> {
        let folder = Rc::new(tempfile::tempdir().ok()?);
        let image = folder.path().join("image");
        File::create(&image).ok()?.set_len(bytes).ok()?;
        Self::over(&image, folder)
    }

    /// One more over a file.
    fn over(image: &Path, folder: Rc<tempfile::TempDir>) -> Option<Self> {
        let made = Command::new("losetup")
            .args(["-f", "--show"])
            .arg(image)
            .output();
        let made = made.ok().filter(|made| made.status.success());
        let Some(made) = made else {
            eprintln!("skipped: this machine makes no loop devices for this user");
            return None;
        };
        let node = String::from_utf8(made.stdout).ok()?.trim().into();
        Some(Self { node, folder })
    }
}

impl Loop {
    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Another loop device over the same file.
    fn twin(&self) -> Self {
        Self::over(&self.image(), self.folder.clone()).expect("as before")
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.node).status();
    }
}

fn url(nodes: &[&Path]) -> String {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|node| node.display().to_string())
        .collect();
    format!("he://./{}", nodes.join(","))
}

#[test]
fn a_volume_lives_on_block_devices() {
    let (Some(first), Some(second)) = (Loop::attach(64 << 20), Loop::attach(96 << 20)) else {
        return;
    };
    let both = url(&[&first.node, &second.node]);
    let volume = Volume::open(&both, &VolumeOptions::default()).unwrap();
    let items = volume.create_datastore(b"items").unwrap();
    for n in 0..20_000u32 {
        items.put(n.to_be_bytes(), [7; 1000]).unwrap();
    }
    volume.flush().unwrap();
    volume.close().unwrap();
    drop(items);

    // Device order does not matter.
    let swapped = url(&[&second.node, &first.node]);
    let volume = Volume::open(&swapped, &VolumeOptions::default()).unwrap();
    let items = volume.datastore(b"items").unwrap();
    assert_eq!(items.iter().count(), 20_000);
    assert_eq!(items.get(5u32.to_be_bytes()).unwrap().unwrap(), [7; 1000]);
    volume.close().unwrap();
    drop((volume, items));

    let alone = Volume::open(&url(&[&first.node]), &VolumeOptions::default()).unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::DeviceMismatch, "{alone}");
}

#[test]
fn a_foreign_block_device_is_left_alone() {
    let Some(device) = Loop::attach(64 << 20) else {
        return;
    };
    let foreign = vec![0xa5; 1 << 20];
    std::fs::OpenOptions::new()
        .write(true)
        .open(&device.node)
        .and_then(|mut node| std::io::Write::write_all(&mut node, &foreign))
        .unwrap();
    let refused = Volume::open(&url(&[&device.node]), &VolumeOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
    let mut head = vec![0; foreign.len()];
    let mut node = File::open(&device.node).unwrap();
    std::io::Read::read_exact(&mut node, &mut head).unwrap();
    assert!(head == foreign, "the device was written to");
}

/// Whoever opens what lies under it, or something else over that, would write to the same bytes.
#[test]
fn a_volume_has_one_writer_by_whatever_name() {
    let Some(first) = Loop::attach(64 << 20) else {
        return;
    };
    let second = first.twin();
    let stacked = Loop::over(&first.node, first.folder.clone()).expect("as before");
    let names = [&first.image(), &first.node, &second.node, &stacked.node];
    for (i, one) in names.iter().enumerate() {
        let volume = Volume::open(&url(&[one]), &VolumeOptions::default()).unwrap();
        let mut reading = VolumeOptions::default();
        reading.read_only = true;
        // By the same name this process shares it.
        for (j, other) in names.iter().enumerate().filter(|(j, _)| *j != i) {
            for options in [&VolumeOptions::default(), &reading] {
                let refused = Volume::open(&url(&[other]), options).unwrap_err();
                assert_eq!(
                    refused.kind(),
                    ErrorKind::VolumeInUse,
                    "{i}, {j}: {refused}"
                );
            }
        }
        // Whoever closed it has let go of all of it.
        volume.close().unwrap();
        let again = Volume::open(&url(&[names[(i + 1) % 4]]), &VolumeOptions::default()).unwrap();
        again.close().unwrap();
    }
}

/// Another node of the same device: what the kernel knows.
#[test]
fn two_nodes_of_a_device_are_one_device() {
    let Some(device) = Loop::attach(64 << 20) else {
        return;
    };
    let twin = device.folder.path().join("node");
    let (major, minor) = {
        let stat = rustix::fs::stat(&device.node).unwrap();
        (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        )
    };
    let made = Command::new("mknod")
        .arg(&twin)
        .args(["b", &major.to_string(), &minor.to_string()])
        .status();
    if !made.is_ok_and(|made| made.success()) {
        eprintln!("skipped: this user makes no device nodes");
        return;
    }
    let volume = Volume::open(&url(&[&device.node]), &VolumeOptions::default()).unwrap();
    let refused = Volume::open(&url(&[&twin]), &VolumeOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::VolumeInUse, "{refused}");
    volume.close().unwrap();
    Volume::open(&url(&[&twin]), &VolumeOptions::default()).unwrap();
}

/// Block devices have no names that a copy could get when it is done: it says itself that it is not.
#[test]
fn a_copy_to_block_devices_that_is_not_finished_is_made_again() {
    let (Some(first), Some(second)) = (Loop::attach(64 << 20), Loop::attach(96 << 20)) else {
        return;
    };
    let both = url(&[&first.node, &second.node]);
    let source = crate::backup::memory(64);
    let items = source.create_datastore(b"items").unwrap();
    for n in 0..9_000u32 {
        items.put(n.to_be_bytes(), [7; 1000]).unwrap();
    }
    let mut options = VolumeOptions::default();
    options.receive_copy = true;
    for stopped_at in [0, 1, 5_000] {
        let target = Volume::open(&both, &options).unwrap();
        let mut progress = |step: &heliumdb::upkeep::Progress| {
            step.phase != heliumdb::upkeep::Phase::Copying || step.done < stopped_at
        };
        let stopped = source.backup(BackupFrom::Newest, &target, &mut progress);
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
        target.close().unwrap();
        let refused = Volume::open(&both, &VolumeOptions::default()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
        assert!(refused.to_string().contains("not finished"), "{refused}");
    }
    let target = Volume::open(&both, &options).unwrap();
    source
        .backup(BackupFrom::Newest, &target, &mut |_| true)
        .unwrap();
    target.close().unwrap();
    let copy = Volume::open(&both, &VolumeOptions::default()).unwrap();
    assert_eq!(copy.datastore(b"items").unwrap().len(), 9_000);
}
