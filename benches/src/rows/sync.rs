//! A lock and a semaphore, alone and in company.

use super::{Run, timed};
use crate::engine::Engine;
use std::sync::Arc;

pub(super) fn runs<E: Engine>(engine: &'static E) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "mutex", async |cx, n| {
            let mutex = E::mutex();
            for _ in 0..n {
                E::count_locked(&cx, &mutex, false).await;
            }
            assert_eq!(E::counted(mutex), n);
        }),
        timed(engine, "mutex-2", async |cx, n| {
            locked::<E>(cx, 2, false, n).await
        }),
        timed(engine, "mutex-4", async |cx, n| {
            locked::<E>(cx, 4, true, n).await
        }),
        timed(engine, "semaphore", async |cx, n| {
            let semaphore = E::semaphore(1);
            for _ in 0..n {
                E::permitted(&cx, &semaphore, false).await;
            }
        }),
        timed(engine, "semaphore-8", async |cx, n| {
            permitted::<E>(cx, 8, 2, n).await
        }),
    ]
}

/// `tasks` tasks that count together, `n` in all; with a yield under the lock or without.
async fn locked<E: Engine>(cx: E::Cx, tasks: u32, yields: bool, n: u32) {
    let mutex = Arc::new(E::mutex());
    let share = n.div_ceil(tasks);
    let mut running = Vec::new();
    for _ in 0..tasks {
        let mutex = mutex.clone();
        running.push(E::spawn(&cx, move |cx| async move {
            for _ in 0..share {
                E::count_locked(&cx, &mutex, yields).await;
            }
        }));
    }
    for task in running {
        task.await;
    }
    let mutex = Arc::into_inner(mutex).expect("all tasks have ended");
    assert_eq!(E::counted(mutex), share * tasks);
}

/// `tasks` tasks that share `permits`, and yield while they hold one; `n` times in all.
async fn permitted<E: Engine>(cx: E::Cx, tasks: u32, permits: usize, n: u32) {
    let semaphore = Arc::new(E::semaphore(permits));
    let share = n.div_ceil(tasks);
    let mut running = Vec::new();
    for _ in 0..tasks {
        let semaphore = semaphore.clone();
        running.push(E::spawn(&cx, move |cx| async move {
            for _ in 0..share {
                E::permitted(&cx, &semaphore, true).await;
            }
        }));
    }
    for task in running {
        task.await;
    }
}
