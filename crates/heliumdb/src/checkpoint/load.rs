//! Bringing a checkpoint back: manifest, pages, index.
//!
//! Invariant: it comes back whole or not at all. Whatever is not as it was written is a
//! [`Fault`], and recovery reads the log instead.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    directory::Page,
    manifest::{Decision, Manifest, Tentative, decode_root, root_key},
    newest::Newest,
    page,
};
use crate::{
    enough,
    error::Error,
    format::{
        check::{self, Bounds},
        item,
        superblock::Checkpoint,
        trees::{CHECKPOINT_TREE, is_unordered},
    },
    index::{HASH_BYTES, Part, PartBuilder, Tree as Index},
    location::{Location, Word},
    log::{Live, Log, LogState},
    threads,
};

/// Pages that one thread reads and builds leaves of at a time.
const PAGES_PER_PART: usize = 64;
/// Some of them wait for a device.
const THREADS_PER_CORE: usize = 2;
const THREADS_MAX: usize = 8;

/// Why a checkpoint is not used.
pub(crate) enum Fault {
    /// It says what cannot be, or cannot be read.
    Unusable(String),
    /// There is no memory for its index, and so for none that the log would come to.
    NoMemory(Error),
}

impl<T: Into<String>> From<T> for Fault {
    fn from(why: T) -> Self {
        Self::Unusable(why.into())
    }
}

/// A checkpoint, come back.
pub(crate) struct Loaded {
    pub(crate) trees: HashMap<u32, Index>,
    pub(crate) live: Live,
    pub(crate) newest: Newest,
    pub(crate) log: LogState,
    pub(crate) tentative: Vec<Tentative>,
    pub(crate) overtakers: Vec<(u32, Vec<u8>, u64)>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) next_sequence: u64,
    /// Addresses of long values.
    pub(crate) long: HashSet<u64>,
}

pub(crate) fn load(
    core: &Log,
    checkpoint: &Checkpoint,
    in_use: &HashSet<u64>,
    threads: usize,
) -> Result<Loaded, Fault> {
    let bounds = core.bounds();
    let root_at = Location::new(checkpoint.address, checkpoint.bytes as usize);
    let (root, number) = read(core, &bounds, &[root_at], |_| {
        root_key(checkpoint.number).to_vec()
    })?;
    let (first, pieces) = decode_root(&root).ok_or("its root makes no sense")?;
    let key = |i| (first + i as u64).to_le_bytes().to_vec();
    let (bytes, _) = read(core, &bounds, &pieces, key)?;
    let manifest = Manifest::decode(&bytes)
        .filter(|manifest| manifest.is_within(&bounds))
        .ok_or("its manifest makes no sense")?;
    let pages = Pages {
        core,
        left: AtomicU64::new(bounds.bytes() + bounds.bytes() / 16),
        bounds,
    };
    let long: HashSet<u64> = manifest.log.chunks.iter().map(|(item, _)| *item).collect();
    let mut live = Live::default();
    let mut trees = HashMap::new();
    let mut newest = Newest {
        number: checkpoint.number,
        next_id: manifest.next_id,
        trees: HashMap::new(),
        manifest: pieces,
    };
    newest.manifest.push(root_at);
    for at in newest.locations() {
        live.add(at, false);
    }
    // Who has opened the volume without it has freed them: to them its pages were dead, however whole they still are.
    let is_gone = |at: Location| !in_use.contains(&core.medium().segment_of(at));
    let mut directories = manifest.trees.iter().map(|(_, directory)| directory);
    if newest.locations().any(is_gone) || directories.any(|d| d.locations().any(is_gone)) {
        return Err("some of it is in a segment that was freed".into());
    }
    for (tree, directory) in manifest.trees {
        let index = pages.load_tree(tree, &directory.pages, &long, &mut live, threads)?;
        trees.insert(tree, index);
        for at in directory.locations() {
            live.add(at, false);
        }
        newest.trees.insert(tree, directory);
    }
    Ok(Loaded {
        trees,
        live,
        newest,
        log: manifest.log,
        tentative: manifest.tentative,
        overtakers: manifest.overtakers,
        decisions: manifest.decisions,
        // The root was written last.
        next_sequence: manifest.next_sequence.max(number + 1),
        long,
    })
}

/// The values of some items of the store's own, end to end, and the highest of their numbers.
fn read(
    core: &Log,
    bounds: &Bounds,
    places: &[Location],
    key: impl Fn(usize) -> Vec<u8>,
) -> Result<(Vec<u8>, u64), Fault> {
    if !places.iter().all(|at| bounds.has_place(*at)) {
        return Err("its manifest is nowhere".into());
    }
    let (mut bytes, mut number) = (Vec::new(), 0);
    let whole = core.read_items(places, &mut Vec::new(), |i, header, item| {
        bytes.extend_from_slice(header.value(item));
        number = number.max(header.seq);
        header.tree == CHECKPOINT_TREE
            && header.key(item) == key(i)
            && check::are_numbers([header.seq])
    });
    match whole {
        Ok(true) => Ok((bytes, number)),
        Ok(false) => Err("its manifest is not where it was".into()),
        Err(why) => Err(why.to_string().into()),
    }
}

/// Reads pages.
struct Pages<'a> {
    core: &'a Log,
    bounds: Bounds,
    /// Bytes that keys may yet take: an item on the log has all of its key, so that all keys together
    /// have no more than the volume, though a page has only what they do not share.
    left: AtomicU64,
}

impl Pages<'_> {
    /// Builds the index of one tree.
    fn load_tree(
        &self,
        tree: u32,
        pages: &[Page],
        long: &HashSet<u64>,
        live: &mut Live,
        threads: usize,
    ) -> Result<Index, Fault> {
        if pages.iter().all(|page| page.at.is_none()) {
            return Ok(Index::new());
        }
        let groups: Vec<&[Page]> = pages.chunks(PAGES_PER_PART).collect();
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Part)>> = Mutex::new(Vec::new());
        let beside = live.beside();
        let work = || -> Result<Live, Fault> {
            let mut live = beside.beside();
            let mut buffer = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(group) = groups.get(i) else {
                    return Ok(live);
                };
                let high = groups.get(i + 1).and_then(|next| next.first());
                let high = high.map(|page| page.low.as_slice());
                let part = self.load_part(tree, group, high, &mut buffer, |at| {
                    live.add(at, !long.is_empty() && long.contains(&at.address()))
                })?;
                if let Ok(mut done) = done.lock() {
                    done.push((i, part));
                }
            }
        };
        let threads = match threads {
            1 => 1,
            cores => THREADS_PER_CORE * cores,
        };
        let threads = threads.min(groups.len()).min(THREADS_MAX);
        let counted = thread::scope(|scope| {
            // Where no thread can be made, fewer do it.
            let helper = |_| threads::help(scope, "helium-load", work);
            let helpers: Vec<_> = (1..threads).map_while(helper).collect();
            let mut counted = vec![work()];
            for helper in helpers {
                let panicked = |_| Err("a thread that read it panicked".into());
                counted.push(helper.join().unwrap_or_else(panicked));
            }
            counted
        });
        for counted in counted {
            live.merge(&counted?);
        }
        let mut parts = done.into_inner().map_err(|_| "a thread panicked")?;
        parts.sort_by_key(|(i, _)| *i);
        Ok(Index::of_parts(
            parts.into_iter().map(|(_, part)| part).collect(),
        ))
    }

    /// Builds the leaves of some pages, whose keys are below `high`.
    fn load_part(
        &self,
        tree: u32,
        pages: &[Page],
        high: Option<&[u8]>,
        buffer: &mut Vec<u8>,
        mut found: impl FnMut(Location) -> bool,
    ) -> Result<Part, Fault> {
        enough::for_index().map_err(Fault::NoMemory)?;
        let places: Vec<Location> = pages.iter().filter_map(|page| page.at).collect();
        let first = pages.first().map_or(&[][..], |page| &page.low);
        let mut builder = PartBuilder::new(first);
        let whole = self.core.read_items(&places, buffer, |i, header, item| {
            let mut bytes = 0;
            let ours =
                header.tree == CHECKPOINT_TREE && header.key(item) == pages[i].id.to_le_bytes();
            let entries = page::decode(header.value(item), tree, |key, at| {
                bytes += key.len() as u64;
                bytes <= self.left.load(Ordering::Relaxed)
                    && self.is_entry(tree, key, at)
                    && found(at)
                    && builder.push(key, Word::at(at).0)
            });
            let left = &self.left;
            let spent = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
            ours && spent.is_ok() && entries == Some(pages[i].count)
        });
        match whole {
            Ok(true) => builder
                .finish(high)
                .ok_or_else(|| "a page reaches into the next one".into()),
            Ok(false) => Err(format!("a page of datastore tree {tree} is damaged").into()),
            Err(why) => Err(why.to_string().into()),
        }
    }

    /// Whether a page of `tree` can say of a key that its item is there.
    fn is_entry(&self, tree: u32, key: &[u8], at: Location) -> bool {
        let fits = if is_unordered(tree) {
            key.len() == HASH_BYTES
        } else {
            let bytes = at.exact_bytes().unwrap_or(at.class_bytes());
            item::HEADER_BYTES + key.len() <= bytes
        };
        fits && self.bounds.has_place(at)
    }
}
