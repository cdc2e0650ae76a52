//! The global allocator: the system's or, with the feature `mimalloc`, that
//! one, with a count that can be switched on.
//!
//! Off, it costs each allocation one load of a flag, the same for all runtimes.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Which allocator a program is built with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Allocator {
    /// That of the C library.
    #[default]
    System,
    /// mimalloc.
    Mimalloc,
}

#[cfg(not(feature = "mimalloc"))]
mod built {
    pub(super) use std::alloc::System as Inner;
    pub(super) const NAME: super::Allocator = super::Allocator::System;
}

#[cfg(feature = "mimalloc")]
mod built {
    pub(super) use mimalloc::MiMalloc as Inner;
    pub(super) const NAME: super::Allocator = super::Allocator::Mimalloc;
}

use built::Inner;

impl Allocator {
    /// What this program is built with.
    pub const BUILT: Allocator = built::NAME;

    /// What `--allocator` takes.
    pub const NAMES: [(&str, Allocator); 2] = [
        ("system", Allocator::System),
        ("mimalloc", Allocator::Mimalloc),
    ];

    /// As `--allocator` takes it.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, a)| *a == self);
        named.expect("all are listed").0
    }
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

/// Bytes asked for and calls made while counting was on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// Allocations, and reallocations.
    pub calls: u64,
    /// Bytes allocated less bytes freed.
    pub bytes: i64,
}

/// Counts from here on, from zero; one count at a time.
pub fn begin() {
    CALLS.store(0, Ordering::SeqCst);
    BYTES.store(0, Ordering::SeqCst);
    ON.store(true, Ordering::SeqCst);
}

/// What was counted so far.
pub fn so_far() -> Count {
    Count {
        calls: CALLS.load(Ordering::SeqCst),
        bytes: BYTES.load(Ordering::SeqCst),
    }
}

/// Ends the count.
pub fn end() -> Count {
    ON.store(false, Ordering::SeqCst);
    so_far()
}

fn note(calls: u64, bytes: i64) {
    if ON.load(Ordering::Relaxed) {
        CALLS.fetch_add(calls, Ordering::Relaxed);
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on as it came to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: as the caller promises.
        unsafe { Inner.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: as the caller promises.
        unsafe { Inner.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: as the caller promises.
        unsafe { Inner.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as i64 - layout.size() as i64);
        // SAFETY: as the caller promises.
        unsafe { Inner.realloc(at, layout, size) }
    }
}
