//! What a tokio user writes to get structure, beside regions.
//!
//! These rows exist for tokio and asupersync only; each does the same work and
//! ends with the same guarantee: when it returns, its tasks have ended.

use super::{Run, inside, timed};
use crate::engine::{Asupersync, Roll, Tokio};
use crate::measure::{Lap, Stopwatch};
use asupersync::Cx;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks of one scope.
const SCOPE: u32 = 1_000;

/// Sizes of the scopes that `n` tasks are split into.
fn scopes(n: u32) -> impl Iterator<Item = u32> {
    (0..n)
        .step_by(SCOPE as usize)
        .map(move |done| SCOPE.min(n - done))
}

pub(super) fn regions(engine: &'static Asupersync) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "scope-join", region_join),
        timed(engine, "scope-wait", region_wait),
        timed(engine, "scope-token", region_checkpoint),
        inside(engine, "scope-cancel", region_cancel),
        inside(engine, "quiet-set", region_quiescence),
        inside(engine, "quiet-token", region_quiescence),
    ]
}

async fn region_join(cx: Cx, n: u32) {
    for tasks in scopes(n) {
        let sum = cx.region(async |scope| {
            let handles: Vec<_> = (0..tasks).map(|i| scope.spawn(async move |_| i)).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.into_result().expect("it returns");
            }
            sum
        });
        assert_eq!(sum.await.expect("all return"), (0..tasks).sum::<u32>());
    }
}

async fn region_wait(cx: Cx, n: u32) {
    for tasks in scopes(n) {
        let ended = cx.region(async |scope| {
            for i in 0..tasks {
                scope.spawn(async move |_| i);
            }
        });
        ended.await.expect("all return");
    }
}

async fn region_checkpoint(cx: Cx, n: u32) {
    for tasks in scopes(n) {
        let ended = cx.region(async |scope| {
            for _ in 0..tasks {
                scope.spawn(async move |cx: Cx| cx.is_cancel_requested());
            }
        });
        ended.await.expect("all return");
    }
}

async fn region_cancel(cx: Cx, n: u32) -> Lap {
    let mut watch = Stopwatch::start();
    let ended = cx.region(async |scope| {
        for _ in 0..n {
            scope.spawn(async move |cx: Cx| cx.cancelled().await);
        }
        // Behind all of them in the queue; a second turn for those that moved.
        for _ in 0..SETTLING {
            scope.yield_now().await.expect("nobody has asked yet");
        }
        watch = Stopwatch::start();
        scope.close();
    });
    ended.await.expect("to be stopped is no failure");
    watch.lap()
}

/// Waiting tasks of a scope that is cancelled.
const QUIET: u32 = 100;

async fn region_quiescence(cx: Cx, n: u32) -> Lap {
    let mut laps = Vec::new();
    for _ in 0..n {
        let roll = Roll::default();
        let mut watch = Stopwatch::start();
        let ended = cx.region(async |scope| {
            for _ in 0..QUIET {
                let roll = roll.clone();
                scope.spawn(async move |cx: Cx| {
                    roll.call();
                    cx.cancelled().await;
                });
            }
            roll.complete::<Asupersync>(&scope, QUIET).await;
            watch = Stopwatch::start();
            scope.close();
        });
        ended.await.expect("to be stopped is no failure");
        laps.push(watch.lap());
    }
    Lap::p99_micros(&laps)
}

/// Yields after which everything spawned before is waiting.
const SETTLING: u32 = 200;

pub(super) fn tokio(engine: &'static Tokio) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "scope-join", join_set),
        timed(engine, "scope-wait", tracker),
        timed(engine, "scope-token", tracker_and_tokens),
        inside(engine, "scope-cancel", token_cancel),
        inside(engine, "quiet-set", set_quiescence),
        inside(engine, "quiet-token", token_quiescence),
    ]
}

async fn join_set((): (), n: u32) {
    for tasks in scopes(n) {
        let mut set = JoinSet::new();
        for i in 0..tasks {
            set.spawn(async move { i });
        }
        let mut sum = 0;
        while let Some(ended) = set.join_next().await {
            sum += ended.expect("it returns");
        }
        assert_eq!(sum, (0..tasks).sum::<u32>());
    }
}

async fn tracker((): (), n: u32) {
    for tasks in scopes(n) {
        let tracker = TaskTracker::new();
        for i in 0..tasks {
            tracker.spawn(async move { i });
        }
        tracker.close();
        tracker.wait().await;
    }
}

async fn tracker_and_tokens((): (), n: u32) {
    for tasks in scopes(n) {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        for _ in 0..tasks {
            let token = token.child_token();
            tracker.spawn(async move { token.is_cancelled() });
        }
        tracker.close();
        tracker.wait().await;
    }
}

async fn token_cancel((): (), n: u32) -> Lap {
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    for _ in 0..n {
        let token = token.child_token();
        tracker.spawn(async move { token.cancelled().await });
    }
    for _ in 0..SETTLING {
        tokio::task::yield_now().await;
    }
    tracker.close();
    let watch = Stopwatch::start();
    token.cancel();
    tracker.wait().await;
    watch.lap()
}

async fn set_quiescence((): (), n: u32) -> Lap {
    let mut laps = Vec::new();
    for _ in 0..n {
        let (mut set, roll) = (JoinSet::new(), Roll::default());
        for _ in 0..QUIET {
            let roll = roll.clone();
            set.spawn(async move {
                roll.call();
                std::future::pending::<()>().await;
            });
        }
        roll.complete::<Tokio>(&(), QUIET).await;
        let watch = Stopwatch::start();
        set.shutdown().await;
        laps.push(watch.lap());
    }
    Lap::p99_micros(&laps)
}

async fn token_quiescence((): (), n: u32) -> Lap {
    let mut laps = Vec::new();
    for _ in 0..n {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let roll = Roll::default();
        for _ in 0..QUIET {
            let (token, roll) = (token.child_token(), roll.clone());
            tracker.spawn(async move {
                roll.call();
                token.cancelled().await;
            });
        }
        roll.complete::<Tokio>(&(), QUIET).await;
        tracker.close();
        let watch = Stopwatch::start();
        token.cancel();
        tracker.wait().await;
        laps.push(watch.lap());
    }
    Lap::p99_micros(&laps)
}
