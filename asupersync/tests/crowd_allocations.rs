//! A crowd of tasks allocates a cell for each, once: the next crowd has the memory of the former.
//!
//! A counting allocator needs a process of its own, and a thread of its own:
//! hence one test, on the current-thread runtime.

use asupersync::{Cx, Scope};

mod counting;
mod worlds;

const CROWD: u64 = 10_000;
/// What grows with a crowd, and doubles as it does, allocates so often at the most.
/// A debug build also keeps account of whom a request has reached.
const TABLES: u64 = if cfg!(debug_assertions) {
    CROWD / 4
} else {
    200
};

async fn crowd(scope: &Scope) {
    for _ in 0..CROWD {
        scope.spawn(async |cx: Cx| cx.cancelled().await);
    }
    scope.yield_now().await.expect("nobody has asked yet");
    scope.close();
}

#[test]
fn a_crowd_allocates_once_per_task_and_then_no_more() {
    worlds::current_thread(async |cx: Scope| {
        let mut allocated = Vec::new();
        for _ in 0..3 {
            let before = counting::so_far();
            cx.region(async |scope| crowd(&scope).await)
                .await
                .expect("to be stopped is no failure");
            allocated.push(counting::so_far() - before);
        }
        assert!(allocated[0] <= CROWD + TABLES, "{allocated:?}");
        if cfg!(not(asupersync_no_cell_cache)) {
            assert!(allocated[1..].iter().all(|n| *n <= TABLES), "{allocated:?}");
        }
    });
}
