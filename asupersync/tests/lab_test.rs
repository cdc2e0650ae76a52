//! `#[asupersync::lab_test]`: each form of it, and what a failure says.

use asupersync::lab::test_entry;
use asupersync::{Cx, Scope};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

#[asupersync::lab_test]
async fn a_test_gets_virtual_time(cx: &Cx) {
    let start = cx.now();
    cx.sleep(Duration::from_secs(3_600))
        .await
        .expect("nobody cancels");
    assert_eq!(cx.now() - start, Duration::from_secs(3_600));
}

#[asupersync::lab_test(seeds = 0..8)]
async fn a_test_may_return_an_error(cx: &Cx) -> Result<(), asupersync::Cancelled> {
    cx.yield_now().await
}

/// The words drawn by the runs of an entry.
fn draws(seeds: Option<std::ops::Range<u64>>, name: &str) -> Vec<u64> {
    let words = Mutex::new(Vec::new());
    test_entry(name, seeds, async |cx: Scope| {
        words.lock().expect("no panic").push(cx.random_u64());
    });
    words.into_inner().expect("no panic")
}

#[test]
fn each_seed_is_one_run_and_a_name_is_a_seed() {
    let eight = draws(Some(0..8), "a");
    assert_eq!(eight.iter().collect::<BTreeSet<_>>().len(), 8);
    assert_eq!(draws(Some(3..5), "b"), eight[3..5]);
    assert_eq!(draws(None, "a"), draws(None, "a"));
    assert_ne!(draws(None, "a"), draws(None, "b"));
}

fn failure(seeds: std::ops::Range<u64>, body: impl AsyncFn(Scope) -> Result<(), String>) -> String {
    let run = || test_entry("named", Some(seeds), body);
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it fails");
    panic
        .downcast_ref::<String>()
        .expect("with a message")
        .clone()
}

#[test]
fn the_first_seed_that_fails_is_reported_with_its_line() {
    let runs = Mutex::new(0);
    let third = failure(0..64, async |_| {
        let mut runs = runs.lock().expect("no panic");
        *runs += 1;
        if *runs == 3 {
            Err("on purpose".to_owned())
        } else {
            Ok(())
        }
    });
    assert!(
        third.starts_with("the test returned an error: \"on purpose\""),
        "{third}"
    );
    assert!(
        third.contains("ASUPERSYNC_SEED=2 cargo test named"),
        "{third}"
    );
    assert_eq!(*runs.lock().expect("no panic"), 3, "the others are not run");

    let stuck = failure(7..8, async |_| std::future::pending().await);
    assert!(stuck.starts_with("deadlock"), "{stuck}");
    assert!(
        stuck.contains("ASUPERSYNC_SEED=7 cargo test named"),
        "{stuck}"
    );
    let none = failure(0..0, async |_| Ok(()));
    assert!(none.contains("nothing would be tested"), "{none}");
}
