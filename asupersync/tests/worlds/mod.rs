//! Runs one test body in every world: both flavours of the runtime, and the lab under many seeds.
#![allow(dead_code, reason = "each test crate uses some of these")]

use asupersync::lab::pick::Pick;
use asupersync::lab::{Inject, Injector, Points};
use asupersync::{Cx, LabConfig, LabRuntime, Runtime, Scope};

/// Seeds per test: each is another interleaving.
const SEEDS: u64 = 50;

/// Runs `body` everywhere; it must succeed in each world.
pub(crate) fn everywhere(body: impl AsyncFn(Scope)) {
    let one = Runtime::builder().current_thread().build().unwrap();
    one.block_on(async |scope| body(scope).await)
        .expect("current thread");
    let many = Runtime::builder().worker_threads(3).build().unwrap();
    many.block_on(async |scope| body(scope).await)
        .expect("three workers");
    in_lab(body);
}

/// Runs `body` in the lab only, under many seeds: for what needs its oracles or its clock.
pub(crate) fn in_lab(body: impl AsyncFn(Scope)) {
    for seed in 0..SEEDS {
        LabRuntime::new(LabConfig::default().seed(seed)).run(async |scope| body(scope).await);
    }
}

/// Runs `body` in the lab under every schedule that there is, and passes on what each
/// comes to; returns how many there are.
///
/// They are counted through like the digits of a number: an answer that is too
/// large comes out reduced, which says that the digit before it is next.
pub(crate) fn every_schedule<T>(body: impl AsyncFn(Scope) -> T, mut each: impl FnMut(T)) -> u64 {
    let mut schedules = 0;
    let mut schedule: Vec<u32> = Vec::new();
    loop {
        let lab = LabRuntime::new(LabConfig::default().pick(Pick::replay(schedule.clone())));
        let end = lab.run(async |scope| body(scope).await);
        let taken = lab.trace().choices;
        if taken.starts_with(&schedule) {
            each(end);
            schedules += 1;
            schedule = taken;
        } else {
            schedule.pop();
        }
        match schedule.last_mut() {
            Some(last) => *last += 1,
            None => return schedules,
        }
    }
}

/// Runs `body` in the lab and cancels, then drops, one task at one await after
/// the other, until each was lost at each: whoever is left must succeed. Returns
/// the number of awaits, at the least of all seeds.
pub(crate) fn whoever_is_lost(body: impl AsyncFn(Scope)) -> u64 {
    let mut points = u64::MAX;
    for mode in [Inject::Protocol, Inject::Drop] {
        for seed in 0..6 {
            let report = Injector::new(LabConfig::default().seed(seed))
                .mode(mode)
                .points(Points::All)
                .check(&body);
            assert!(report.is_ok(), "{report}");
            assert!(report.points > 0, "a check without a point checks nothing");
            points = points.min(report.points);
        }
    }
    points
}

/// Runs `body` on one thread, for what takes many steps or ends in a panic.
pub(crate) fn current_thread(body: impl AsyncFnOnce(Scope)) {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    runtime.block_on(async |scope| body(scope).await).unwrap();
}

/// Waits until `condition` holds, letting others run.
pub(crate) async fn until(cx: &Cx, condition: impl Fn() -> bool) {
    while !condition() {
        cx.yield_now().await.unwrap();
    }
}
