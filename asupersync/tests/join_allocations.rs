//! Joining the members of a set allocates nothing: what it needs, spawning has made.
//!
//! A counting allocator needs a process of its own, and a thread of its own:
//! hence one test, on the current-thread runtime.

use asupersync::{Cx, JoinSet, Outcome, Scope};

mod counting;
mod worlds;

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
            let before = counting::so_far();
            let mut sum = 0;
            while let Some(end) = set.join_next(&cx).await.expect("nobody cancels") {
                let Outcome::Ok(n) = end else {
                    panic!("{end:?}");
                };
                sum += n;
            }
            assert_eq!(sum, MEMBERS * (MEMBERS - 1) / 2);
            if round > 0 {
                assert_eq!(counting::so_far() - before, 0);
            }
        }
    });
}
