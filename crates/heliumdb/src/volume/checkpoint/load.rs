//! Bringing a checkpoint back: manifest, pages, index.
//!
//! Invariant: it comes back whole or not at all. Whatever is not as it was written is a
//! [`Fault`], and recovery reads the log instead.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Newest,
    directory::Page,
    manifest::{Decision, Manifest, Tentative, decode_root},
    page,
    write::root_key,
};
use crate::{
    format::superblock::Checkpoint,
    index::{Part, PartBuilder, Tree as Index},
    location::{Location, Word},
    log::{Core, Live, LogState},
    volume::shared::CHECKPOINT_TREE,
};

/// Pages that one thread reads and builds leaves of at a time.
const PAGES_PER_PART: usize = 64;
/// Some of them wait for a device.
const THREADS_PER_CORE: usize = 2;
const THREADS_MAX: usize = 8;

/// Why a checkpoint is not used.
pub(in crate::volume) type Fault = String;

/// A checkpoint, come back.
pub(in crate::volume) struct Loaded {
    pub(in crate::volume) trees: HashMap<u32, Index>,
    pub(in crate::volume) live: Live,
    pub(in crate::volume) newest: Newest,
    pub(in crate::volume) log: LogState,
    pub(in crate::volume) tentative: Vec<Tentative>,
    pub(in crate::volume) overtakers: Vec<(u32, Vec<u8>, u64)>,
    pub(in crate::volume) decisions: Vec<Decision>,
    pub(in crate::volume) next_sequence: u64,
    /// Addresses of long values.
    pub(in crate::volume) long: HashSet<u64>,
}

pub(in crate::volume) fn load(
    core: &Core,
    checkpoint: &Checkpoint,
    threads: usize,
) -> Result<Loaded, Fault> {
    let root_at = Location::new(checkpoint.address, checkpoint.bytes as usize);
    let root = read(core, &[root_at], |_| root_key(checkpoint.number).to_vec())?;
    let (first, pieces) = decode_root(&root).ok_or("its root makes no sense")?;
    let bytes = read(core, &pieces, |i| (first + i as u64).to_le_bytes().to_vec())?;
    let manifest = Manifest::decode(&bytes).ok_or("its manifest makes no sense")?;
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
    newest.locations().for_each(|at| live.add(at, false));
    for (tree, directory) in manifest.trees {
        let pages = &directory.pages;
        trees.insert(
            tree,
            load_tree(core, tree, pages, &long, &mut live, threads)?,
        );
        directory.locations().for_each(|at| live.add(at, false));
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
        next_sequence: manifest.next_sequence,
        long,
    })
}

/// The values of some items of the store's own, end to end.
fn read(
    core: &Core,
    places: &[Location],
    key: impl Fn(usize) -> Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let whole = core.read_items(places, &mut Vec::new(), |i, header, item| {
        bytes.extend_from_slice(header.value(item));
        header.tree == CHECKPOINT_TREE && header.key(item) == key(i)
    });
    match whole {
        Ok(true) => Ok(bytes),
        Ok(false) => Err("its manifest is not where it was".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// Builds the index of one tree.
fn load_tree(
    core: &Core,
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
            let part = load_part(core, tree, group, high, &mut buffer, |at| {
                live.add(at, !long.is_empty() && long.contains(&at.address()));
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
        let helper = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let helpers: Vec<_> = (1..threads).map_while(helper).collect();
        let mut counted = vec![work()];
        for helper in helpers {
            let panicked = |_| Err("a thread that read it panicked".to_owned());
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
    core: &Core,
    tree: u32,
    pages: &[Page],
    high: Option<&[u8]>,
    buffer: &mut Vec<u8>,
    mut found: impl FnMut(Location),
) -> Result<Part, Fault> {
    let places: Vec<Location> = pages.iter().filter_map(|page| page.at).collect();
    let first = pages.first().map_or(&[][..], |page| &page.low);
    let mut builder = PartBuilder::new(first);
    let whole = core.read_items(&places, buffer, |i, header, item| {
        let ours = header.tree == CHECKPOINT_TREE && header.key(item) == pages[i].id.to_le_bytes();
        let entries = page::decode(header.value(item), tree, |key, at| {
            found(at);
            builder.push(key, Word::at(at).0)
        });
        ours && entries == Some(pages[i].count)
    });
    match whole {
        Ok(true) => builder
            .finish(high)
            .ok_or_else(|| "a page reaches into the next one".to_owned()),
        Ok(false) => Err(format!("a page of datastore tree {tree} is damaged")),
        Err(why) => Err(why.to_string()),
    }
}
