//! Starting tasks and joining them.

use super::{Run, inside, outside, timed};
use crate::engine::Engine;
use crate::measure::{Lap, Stopwatch};

pub(super) fn runs<E: Engine>(engine: &'static E) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "spawn-join", join_one::<E>),
        outside(engine, "spawn-join-outside", async |cx, n| {
            let watch = Stopwatch::start();
            join_one::<E>(cx, n).await;
            watch.lap()
        }),
        timed(engine, "spawn-10k", join_all::<E>),
        timed(engine, "chain", chain::<E>),
        inside(engine, "fork-join", fork_join::<E>),
    ]
}

async fn join_one<E: Engine>(cx: E::Cx, n: u32) {
    for i in 0..n {
        let back = E::spawn(&cx, move |_| async move { i }).await;
        assert_eq!(back, i);
    }
}

async fn join_all<E: Engine>(cx: E::Cx, n: u32) {
    let spawn = |i| E::spawn(&cx, move |_| async move { i });
    let tasks: Vec<E::Join<u32>> = (0..n).map(spawn).collect();
    let mut sum = 0;
    for task in tasks {
        sum += u64::from(task.await);
    }
    assert_eq!(sum, (0..u64::from(n)).sum::<u64>());
}

async fn chain<E: Engine>(cx: E::Cx, n: u32) {
    let (tx, rx) = E::oneshot();
    link::<E>(&cx, n, tx);
    E::recv_one(&cx, rx).await
}

/// Starts a task that starts the next one.
fn link<E: Engine>(cx: &E::Cx, left: u32, done: E::OneTx<()>) {
    let task = E::spawn(cx, move |cx| async move {
        match left {
            0 => E::send_one(done, ()),
            _ => link::<E>(&cx, left - 1, done),
        }
    });
    E::detach(task);
}

/// `n` tasks as one tree; the depth is the next that has as many.
async fn fork_join<E: Engine>(cx: E::Cx, n: u32) -> Lap {
    let depth = n.max(2).ilog2() - 1;
    let watch = Stopwatch::start();
    let leaves = fork::<E>(&cx, depth).await;
    let lap = watch.lap();
    assert_eq!(leaves, 1 << depth);
    lap
}

fn fork<E: Engine>(cx: &E::Cx, depth: u32) -> E::Join<u32> {
    E::spawn(cx, move |cx| async move {
        if depth == 0 {
            return 1;
        }
        let (left, right) = (fork::<E>(&cx, depth - 1), fork::<E>(&cx, depth - 1));
        left.await + right.await
    })
}
