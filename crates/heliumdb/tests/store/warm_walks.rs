//! Ranges that are walked again and again come from memory, and one pass over everything leaves them there: counted
//! in bytes that devices were asked for.

use helium_sim::{DiskId, Machine};
use heliumdb::{Datastore, Volume};

const MIB: u64 = 1 << 20;
const VALUE_BYTES: usize = 1000;
const ITEMS: u32 = 24_000;
/// Of a cache of eight times as much.
const HOT: u32 = 1_000;

struct Scene {
    _machine: Machine,
    volume: Volume,
    store: Datastore,
}

/// Three times as much as the cache has, and nothing of it in memory.
fn scene() -> Scene {
    let machine = Machine::new(0, &[96 * MIB]);
    let mut options = helium_sim::sim_options();
    options.read_cache_bytes = 8 * MIB;
    let open = || Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let volume = open();
    let store = volume.create_datastore(b"store").unwrap();
    for number in 0..ITEMS {
        store.put(number.to_be_bytes(), [7; VALUE_BYTES]).unwrap();
    }
    volume.close().unwrap();
    let volume = open();
    let store = volume.datastore(b"store").unwrap();
    Scene {
        _machine: machine,
        volume,
        store,
    }
}

impl Scene {
    /// Bytes that devices are asked for while `work` is done, for each that the items of the hot range have.
    fn cold(&self, work: impl FnOnce()) -> f64 {
        let before = self.volume.stats().device_read_bytes;
        work();
        let read = self.volume.stats().device_read_bytes - before;
        read as f64 / (HOT as usize * VALUE_BYTES) as f64
    }

    fn walk_hot(&self) -> f64 {
        let (from, to) = ((ITEMS / 2).to_be_bytes(), (ITEMS / 2 + HOT).to_be_bytes());
        self.cold(|| assert_eq!(self.store.range(from..to).count(), HOT as usize))
    }
}

#[test]
fn a_hot_range_ends_up_in_memory_and_one_pass_leaves_it_there() {
    let scene = scene();
    assert!(scene.walk_hot() > 0.9);
    // While another thread of this process reads, what is let go of is not free yet: try again.
    let warm = (0..100).map(|_| scene.walk_hot()).find(|cold| *cold < 0.05);
    assert!(warm.is_some(), "the range does not get warm");
    scene.walk_hot();
    let pass = scene.cold(|| assert_eq!(scene.store.iter().count(), ITEMS as usize));
    assert!(pass > 10.0, "a pass reads {pass} times what the range has");
    let after = scene.walk_hot();
    assert!(after < 0.3, "{after} of the range is cold after a pass");
}

#[test]
fn items_that_are_asked_for_stay_beside_a_pass() {
    let scene = scene();
    let read_hot = || {
        scene.cold(|| {
            for number in ITEMS / 2..ITEMS / 2 + HOT {
                scene.store.get(number.to_be_bytes()).unwrap().unwrap();
            }
        })
    };
    let warm = (0..100).map(|_| read_hot()).find(|cold| *cold < 0.05);
    assert!(warm.is_some(), "the items do not get warm");
    read_hot();
    scene.store.iter().for_each(drop);
    let after = read_hot();
    assert!(after < 0.3, "{after} of the items are cold after a pass");
}
