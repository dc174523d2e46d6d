//! Nodes: the small objects that stay in place while their blocks are replaced.
//!
//! Invariants:
//! - A node's block is replaced or changed only by whoever holds the node's latch; so a
//!   writer that holds it sees the last of both.
//! - A node's low fence and level never change. Its high fence falls when it splits and
//!   rises when it absorbs its right sibling.
//! - A node that was absorbed says for ever where to: to the left. Nodes and blocks
//!   are retired through the epoch after the last pointer to them has been replaced,
//!   so what was reached under a guard stays valid while the guard lives.
#![expect(
    unsafe_code,
    reason = "nodes are shared by raw pointers; all of their lifetime is in this file"
)]

use super::{
    block::{Block, Header},
    build::OwnedBlock,
    counters::Counters,
    memory,
};
use crate::memory::prefetch_line;
use crossbeam_epoch::Guard;
use parking_lot::{RawMutex, lock_api::RawMutex as _};
use std::{
    marker::PhantomData,
    mem::size_of,
    ptr::{self, NonNull},
    sync::atomic::{AtomicI16, AtomicPtr, AtomicU32, Ordering, fence},
};

/// Bit of a node's pointer: not to its block, but to the node that absorbed it.
const MOVED: usize = 1;

/// A place in the tree.
pub(super) struct Node {
    content: AtomicPtr<Header>,
    /// What walks note of a leaf, see [`super::leaf`]: the name of a copy of its items, 0 if there is none;
    pub(super) pack: AtomicU32,
    /// and how many items they fetched since there is one, below zero while none is worth an attempt.
    pub(super) fetched: AtomicI16,
    latch: RawMutex,
}

// There is one for some dozen items.
const _: () = assert!(size_of::<Node>() == 16);

/// The pointer to the topmost level's leftmost node.
pub(super) struct Root(AtomicPtr<Node>);

impl Root {
    pub(super) fn new(node: &Node) -> Self {
        Self(AtomicPtr::new((&raw const *node).cast_mut()))
    }

    #[inline]
    pub(super) fn get<'g>(&'g self, _guard: &'g Guard) -> &'g Node {
        // SAFETY: the leftmost node of a level is never absorbed: it lives as long as
        // the tree, which `self` is a part of.
        unsafe { &*self.0.load(Ordering::Acquire) }
    }

    /// Puts `node` on top; `node` is the leftmost of its level.
    pub(super) fn set(&self, node: &Node) {
        self.0
            .store((&raw const *node).cast_mut(), Ordering::Release);
    }

    /// Frees the whole tree, after `visit` has seen each block.
    pub(super) fn free(&mut self, mut visit: impl FnMut(Block<'_>)) {
        let mut top = std::mem::replace(self.0.get_mut(), ptr::null_mut()).cast_const();
        while !top.is_null() {
            // SAFETY: the tree is exclusively ours, and the node is the leftmost of its
            // level. The one of the level below is its first child.
            unsafe {
                let block = Block::from_raw((*top).block());
                let below = match block.level() {
                    0 => ptr::null(),
                    _ => ptr::from_ref(block.child(0)),
                };
                free_level(top, &mut visit);
                top = below;
            }
        }
    }
}

/// What a node holds.
pub(super) enum Content<'g> {
    /// The current block.
    Block(Block<'g>),
    /// Nothing any more: a node to the left absorbed it.
    Moved(&'g Node),
}

impl Node {
    /// A new node with its first block, not yet reachable by others. It belongs to the
    /// tree from here on: freed by [`Latched::absorb`] or [`Root::free`].
    pub(super) fn create<'g>(
        block: OwnedBlock,
        counters: &Counters,
        _guard: &'g Guard,
    ) -> &'g Node {
        counters.add_bytes(Self::FOOTPRINT + block.view().footprint());
        let node = memory::allocate(size_of::<Self>()).cast::<Self>();
        let _ = node.as_ptr().expose_provenance();
        // SAFETY: large enough and aligned, and ours until it is freed, which happens
        // through the epoch.
        unsafe {
            node.write(Self {
                content: AtomicPtr::new(block.into_raw().as_ptr()),
                pack: AtomicU32::new(0),
                fetched: AtomicI16::new(0),
                latch: RawMutex::INIT,
            });
            node.as_ref()
        }
    }

    /// # Safety
    /// `node` came from [`Self::create`], and nobody uses it any more.
    unsafe fn free(node: *const Self) {
        // By the allocation's own pointer: those from references may not free.
        let node = ptr::with_exposed_provenance_mut::<u8>(node.addr());
        // SAFETY: as the caller promises; there is nothing in it to be dropped.
        unsafe { memory::free(NonNull::new_unchecked(node), size_of::<Self>()) }
    }

    /// The block of a node that belongs to nobody else and was not absorbed.
    fn block(&self) -> NonNull<Header> {
        let content = self.content.load(Ordering::Acquire);
        assert!(
            content.addr() & MOVED == 0,
            "an absorbed node is not linked"
        );
        NonNull::new(content).unwrap_or_else(|| unreachable!("a node has a block"))
    }

    /// Memory that a node takes.
    const FOOTPRINT: usize = memory::footprint(size_of::<Self>());

    /// The address as an inner block's word.
    pub(super) fn word(&self) -> u64 {
        (&raw const *self).expose_provenance() as u64
    }

    /// What the node holds now.
    #[inline]
    pub(super) fn content<'g>(&'g self, _guard: &'g Guard) -> Content<'g> {
        // Acquire: see what the block's builder wrote.
        let pointer = self.content.load(Ordering::Acquire);
        if pointer.addr() & MOVED != 0 {
            let node = pointer.map_addr(|a| a & !MOVED).cast::<Node>();
            // SAFETY: the absorbing node was live when this one was still reachable,
            // hence it is retired, if ever, after the guard was pinned.
            return Content::Moved(unsafe { &*node });
        }
        // SAFETY: a content is never null; its block was current after the guard was
        // pinned, so it is freed after the guard's end at the earliest.
        Content::Block(unsafe { Block::from_raw(NonNull::new_unchecked(pointer)) })
    }

    /// Asks the processor for the node itself.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_line((&raw const *self).cast());
    }

    /// Whether `block` is what the node holds.
    pub(super) fn holds(&self, block: Block<'_>) -> bool {
        self.content.load(Ordering::Acquire) == block.as_ptr()
    }

    /// Whether somebody has the right to change the node now. What whoever had it before has changed is seen after
    /// this.
    pub(super) fn is_latched(&self) -> bool {
        let is_latched = self.latch.is_locked();
        fence(Ordering::Acquire);
        is_latched
    }

    /// Waits for the right to change the node.
    pub(super) fn latch<'g>(&'g self) -> Latched<'g> {
        self.latch.lock();
        Latched {
            node: self,
            unsendable: PhantomData,
        }
    }
}

/// The right to change a node, given back when dropped, also by a panic.
pub(super) struct Latched<'g> {
    node: &'g Node,
    unsendable: PhantomData<*const ()>,
}

impl Drop for Latched<'_> {
    fn drop(&mut self) {
        // SAFETY: locked by `Node::latch`, which alone makes a `Latched`.
        unsafe { self.node.latch.unlock() }
    }
}

impl<'g> Latched<'g> {
    pub(super) fn node(&self) -> &'g Node {
        self.node
    }

    /// Makes `block` the node's current one and retires the one before.
    pub(super) fn publish(&self, block: OwnedBlock, counters: &Counters, guard: &Guard) {
        counters.add_bytes(block.view().footprint());
        self.replace(block.into_raw().as_ptr(), counters, guard);
    }

    /// Lets this node take over its right sibling: `merged` holds the keys of both, and
    /// `shrunk` is the block of their `parent` without the sibling.
    pub(super) fn absorb(
        &self,
        right: Latched<'_>,
        merged: OwnedBlock,
        parent: &Latched<'_>,
        shrunk: OwnedBlock,
        counters: &Counters,
        guard: &Guard,
    ) {
        // In this order a reader always finds the keys of both: before the first step
        // in `right`, then in `self`, to which `right` sends whoever still comes.
        self.publish(merged, counters, guard);
        let here = (&raw const *self.node).cast_mut().cast::<Header>();
        right.replace(here.map_addr(|a| a | MOVED), counters, guard);
        parent.publish(shrunk, counters, guard);
        let gone = ptr::from_ref(right.node);
        drop(right);
        counters.subtract_bytes(Node::FOOTPRINT);
        // SAFETY: no current block names the node any more: its left sibling's and its
        // parent's were just replaced under their latches.
        unsafe { guard.defer_unchecked(move || Node::free(gone)) }
    }

    fn replace(&self, content: *mut Header, counters: &Counters, guard: &Guard) {
        // Release: whoever finds the block finds it complete.
        let old = self.node.content.swap(content, Ordering::AcqRel);
        debug_assert_eq!(old.addr() & MOVED, 0, "an absorbed node does not change");
        // SAFETY: not moved, so it is a block, and no longer current: this node was
        // the only one that named it. Freed once no guard is left that may read it.
        unsafe {
            let block = OwnedBlock::from_raw(NonNull::new_unchecked(old));
            counters.subtract_bytes(block.view().footprint());
            guard.defer_unchecked(move || drop(block));
        }
    }
}

/// Frees a level from its leftmost node on, after `visit` has seen each block.
///
/// # Safety
/// The caller owns the whole tree, which nobody else uses any more.
unsafe fn free_level(first: *const Node, visit: &mut impl FnMut(Block<'_>)) {
    let mut next = first;
    while !next.is_null() {
        // SAFETY: a node of the level, reached once.
        let block = unsafe {
            let block = OwnedBlock::from_raw((*next).block());
            Node::free(next);
            block
        };
        next = block.view().header().next;
        visit(block.view());
    }
}
