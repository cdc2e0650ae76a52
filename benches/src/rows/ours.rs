//! What only asupersync has.

use super::{Run, inside, timed};
use crate::engine::{Asupersync, Roll};
use crate::measure::{Lap, Stopwatch};
use asupersync::channel::mpsc;
use asupersync::{Cx, Effect, Scope, Staged, race};
use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

pub(super) fn runs(engine: &'static Asupersync) -> Vec<(&'static str, Run)> {
    let mut runs = vec![
        timed(engine, "region", region),
        inside(engine, "cancel-tree", cancel_tree),
        timed(engine, "checkpoint", checkpoint),
        timed(engine, "obligation", obligation),
        timed(engine, "reserve", reserve),
        timed(engine, "race", race_of_two),
        timed(engine, "defer", defer),
        timed(engine, "timeout-drained", timeout_drained),
    ];
    let among = [
        ("spawn-among-1", 1),
        ("spawn-among-10k", 10_000),
        ("spawn-among-100k", 100_000),
        ("spawn-among-1m", 1_000_000),
    ];
    runs.extend(
        among.map(|(row, siblings)| inside(engine, row, move |cx, n| spawn_among(cx, siblings, n))),
    );
    runs
}

async fn region(cx: Cx, n: u32) {
    for i in 0..n {
        let back = cx.region(async |_scope| i).await.expect("it returns");
        assert_eq!(back, i);
    }
}

async fn spawn_among(cx: Cx, siblings: u32, n: u32) -> Lap {
    let lap = cx.region(async |scope: Scope| {
        let roll = Roll::default();
        for _ in 0..siblings {
            let roll = roll.clone();
            scope.spawn(async move |cx: Cx| {
                roll.call();
                cx.cancelled().await;
            });
        }
        // Their first polls are not what is measured.
        roll.complete::<Asupersync>(&scope, siblings).await;
        let watch = Stopwatch::start();
        for i in 0..n {
            let back = scope.spawn(async move |_| i).await;
            assert_eq!(back.into_result().expect("it returns"), i);
        }
        let lap = watch.lap();
        scope.close();
        lap
    });
    lap.await.expect("to be stopped is no failure")
}

/// Regions below the root, and regions below each of those.
const BRANCHES: u32 = 10;

/// From the request at the root to the end of everything below.
async fn cancel_tree(cx: Cx, n: u32) -> Lap {
    let leaves = BRANCHES * BRANCHES;
    let each = n.div_ceil(leaves);
    let roll = Roll::default();
    let mut watch = Stopwatch::start();
    let ended = cx.region(async |root: Scope| {
        for _ in 0..BRANCHES {
            let roll = roll.clone();
            root.spawn(async move |cx: Cx| {
                open_below(&cx, move |branch| {
                    for _ in 0..BRANCHES {
                        let roll = roll.clone();
                        branch.spawn(async move |cx: Cx| {
                            open_below(&cx, move |leaf| {
                                for _ in 0..each {
                                    let roll = roll.clone();
                                    leaf.spawn(async move |cx: Cx| {
                                        roll.call();
                                        cx.cancelled().await;
                                    });
                                }
                            })
                            .await;
                        });
                    }
                })
                .await;
            });
        }
        roll.complete::<Asupersync>(&root, each * leaves).await;
        watch = Stopwatch::start();
        root.close();
    });
    ended.await.expect("to be stopped is no failure");
    watch.lap()
}

/// A region that `fill` spawns into, until it is asked to stop.
async fn open_below(cx: &Cx, fill: impl FnOnce(&Scope) + Send) {
    let ended = cx.region(async |scope: Scope| fill(&scope));
    // It is cancelled with the root.
    drop(ended.await);
}

async fn checkpoint(cx: Cx, n: u32) {
    for _ in 0..n {
        black_box(&cx).checkpoint().expect(UNCANCELLED);
    }
}

/// An effect of which nothing is left but the obligation.
struct Nothing;

impl Effect for Nothing {
    type Staged = Nothing;
    type Error = Infallible;

    async fn reserve(&self, _cx: &Cx) -> Result<Nothing, Infallible> {
        Ok(Nothing)
    }
}

impl Staged for Nothing {
    fn commit(self) {}
    fn rollback(self) {}
}

async fn obligation(cx: Cx, n: u32) {
    for _ in 0..n {
        let Ok(reserved) = black_box(&cx).reserve(&Nothing).await;
        reserved.rollback();
    }
}

async fn reserve(cx: Cx, n: u32) {
    let (tx, mut rx) = mpsc::channel(8);
    for i in 0..n {
        let permit = tx.reserve(&cx).await.expect("the receiver lives");
        permit.send(i).expect("the receiver lives");
        assert_eq!(rx.recv(&cx).await.expect("one was sent"), i);
    }
}

async fn race_of_two(cx: Cx, n: u32) {
    for _ in 0..n {
        let winner = race!(&cx, |_s| std::future::ready(1), |s| async move {
            s.cancelled().await;
            2
        });
        black_box(winner.await.expect(UNCANCELLED));
    }
}

async fn defer(cx: Cx, n: u32) {
    for _ in 0..n {
        let task = cx.spawn(async |cx: Cx| cx.defer_sync(|| {}));
        task.await.into_result().expect("it returns");
    }
}

async fn timeout_drained(cx: Cx, n: u32) {
    for _ in 0..n {
        let in_time = cx.timeout(Duration::from_secs(1), async |s: Scope| s.yield_now().await);
        in_time
            .await
            .expect("a yield takes no second")
            .expect(UNCANCELLED);
    }
}

const UNCANCELLED: &str = "nobody cancels a task of this benchmark";
