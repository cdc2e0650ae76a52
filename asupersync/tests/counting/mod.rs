//! The allocator of tests that count allocations, each thread its own.
//!
//! It needs a process of its own, and a thread of its own: whoever has this
//! module holds one test, on the current-thread runtime.

#![allow(dead_code, reason = "each test crate uses some of these")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    // A thread that ends allocates no more.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Allocations and reallocations of this thread so far.
pub(crate) fn so_far() -> u64 {
    ALLOCATIONS.get()
}

/// Rounds before the count, in which lines and free lists grow, and counted ones.
const ROUNDS: u64 = 200;

/// Runs many rounds, each of which must make so many allocations.
pub(crate) async fn rounds(name: &str, per_round: u64, mut round: impl AsyncFnMut()) {
    for _ in 0..ROUNDS {
        round().await;
    }
    let before = so_far();
    for _ in 0..ROUNDS {
        round().await;
    }
    let made = so_far() - before;
    assert_eq!(made, per_round * ROUNDS, "{name}: {ROUNDS} rounds");
}
