//! Joining the members of a set allocates nothing: what it needs, spawning has made.
//!
//! A counting allocator needs a process of its own, and a thread of its own:
//! hence one test, on the current-thread runtime.

use asupersync::{Cx, JoinSet, Outcome, Scope};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

mod worlds;

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

#[test]
fn a_join_allocates_nothing() {
    const MEMBERS: u64 = 300;
    worlds::current_thread(async |cx: Scope| {
        let mut set = JoinSet::new(&cx);
        // The first round grows what belongs to the region and the runtime.
        for round in 0..3 {
            for n in 0..MEMBERS {
                set.spawn(async move |cx: Cx| {
                    let _ = cx.yield_now().await;
                    n
                });
            }
            let before = ALLOCATIONS.get();
            let mut sum = 0;
            while let Some(end) = set.join_next(&cx).await.expect("nobody cancels") {
                let Outcome::Ok(n) = end else {
                    panic!("{end:?}");
                };
                sum += n;
            }
            assert_eq!(sum, MEMBERS * (MEMBERS - 1) / 2);
            if round > 0 {
                assert_eq!(ALLOCATIONS.get() - before, 0);
            }
        }
    });
}
