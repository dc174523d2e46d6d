//! Memory that cannot be had ends the command as any failure does: with a sentence and an exit code, and not with
//! the abort of a program that is at fault.
//!
//! And more of it is never worse: what fits under a limit of the address space (`ulimit -v`) fits under a higher one.
//!
//! Invariant: nothing is allocated on the way out. The volume is as after a kill: sound, and what was durable is there.
#![expect(unsafe_code, reason = "allocators are unsafe by their interface")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::stderr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::failure::Code;

#[global_allocator]
static ALLOCATOR: Speaking = Speaking;

static JSON: AtomicBool = AtomicBool::new(false);

const TEXT: &str = "helium: out of memory: neither this machine nor the limits of this process (`ulimit -v`, its control \
group) have what this takes\n  The volume is sound, and has what was durable.\n";
const AS_JSON: &str = "{\"error\":{\"kind\":\"Failed\",\"code\":1,\"message\":\"out of memory\",\"advice\":\"The volume is \
sound, and has what was durable.\"}}\n";

/// The sentence is to be JSON.
pub fn speak_json(json: bool) {
    JSON.store(json, Relaxed);
}

/// Where the address space has a limit, all threads take memory from one part of it. The C library would reserve 64 MiB of it
/// for each thread, where there are so many: a higher limit could leave less than a lower one. Before there are threads.
pub fn fit_address_space() {
    #[cfg(target_env = "gnu")]
    // SAFETY: both take what they are given, and there is one thread.
    unsafe {
        let mut limit = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        if libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) == 0
            && limit.rlim_cur != libc::RLIM_INFINITY
        {
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

struct Speaking;

// SAFETY: all of it is the system's allocator's.
unsafe impl GlobalAlloc for Speaking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        given(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        given(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as the caller says.
        given(unsafe { System.realloc(at, layout, bytes) })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(at, layout) }
    }
}

#[inline]
fn given(at: *mut u8) -> *mut u8 {
    if at.is_null() {
        end();
    }
    at
}

#[cold]
fn end() -> ! {
    let text = if JSON.load(Relaxed) { AS_JSON } else { TEXT };
    // Where nobody can hear it, the exit code is all there is.
    let _ = rustix::io::write(stderr(), text.as_bytes());
    // SAFETY: it only ends the process; what others registered for its end might allocate.
    unsafe { libc::_exit(Code::Failed as i32) }
}
