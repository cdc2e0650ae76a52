//! What only asupersync has.

use super::{Run, inside, timed};
use crate::engine::Asupersync;
use crate::measure::{Lap, Stopwatch};
use asupersync::channel::mpsc;
use asupersync::{Cx, Scope, race};
use std::hint::black_box;
use std::time::Duration;

pub(super) fn runs(engine: &'static Asupersync) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "region", region),
        inside(engine, "spawn-among-1", async |cx, n| {
            spawn_among(cx, 1, n).await
        }),
        inside(engine, "spawn-among-10k", async |cx, n| {
            spawn_among(cx, 10_000, n).await
        }),
        inside(engine, "spawn-among-100k", async |cx, n| {
            spawn_among(cx, 100_000, n).await
        }),
        timed(engine, "checkpoint", checkpoint),
        timed(engine, "reserve", reserve),
        timed(engine, "race", race_of_two),
        timed(engine, "defer", defer),
        timed(engine, "timeout-drained", timeout_drained),
    ]
}

async fn region(cx: Cx, n: u32) {
    for i in 0..n {
        let back = cx.region(async |_scope| i).await.expect("it returns");
        assert_eq!(back, i);
    }
}

async fn spawn_among(cx: Cx, siblings: u32, n: u32) -> Lap {
    let lap = cx.region(async |scope: Scope| {
        for _ in 0..siblings {
            scope.spawn(async move |cx: Cx| cx.cancelled().await);
        }
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

async fn checkpoint(cx: Cx, n: u32) {
    for _ in 0..n {
        black_box(&cx).checkpoint().expect(UNCANCELLED);
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
