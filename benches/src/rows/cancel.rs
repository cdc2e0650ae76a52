//! Crowds of waiting tasks: what they weigh, and what it costs to be rid of them.

use super::{Run, inside};
use crate::allocations;
use crate::engine::{Engine, Wait};
use crate::measure::{Lap, Stopwatch};
use std::future::ready;

pub(super) fn runs<E: Engine>(engine: &'static E) -> Vec<(&'static str, Run)> {
    let drains = [
        ("cancel-pending", Wait::Pending),
        ("cancel-sleeping", Wait::Sleeping),
    ];
    let weights = [
        ("bytes-pending", Wait::Pending),
        ("bytes-sleeping", Wait::Sleeping),
        ("bytes-pending-1m", Wait::Pending),
        ("bytes-sleeping-1m", Wait::Sleeping),
    ];
    let drains = drains.map(|(row, wait)| {
        inside(engine, row, move |cx, n| async move {
            drain::<E>(cx, n, wait).await
        })
    });
    let weights = weights.map(|(row, wait)| {
        inside(engine, row, move |cx, n| async move {
            weigh::<E>(cx, n, wait).await
        })
    });
    drains.into_iter().chain(weights).collect()
}

/// From the request to the last task's end.
async fn drain<E: Engine>(cx: E::Cx, n: u32, wait: Wait) -> Lap {
    let mut watch = Stopwatch::start();
    let at_rest = || {
        watch = Stopwatch::start();
        ready(())
    };
    E::crowd(&cx, n, wait, at_rest).await;
    watch.lap()
}

/// All bytes that are on the heap because of the tasks: cells, timers, and
/// what the runtime and the owner need to find them.
///
/// They are counted beside another crowd, which has taken whatever memory the
/// runtime had kept of former tasks.
async fn weigh<E: Engine>(cx: E::Cx, n: u32, wait: Wait) -> Lap {
    let mut bytes = 0;
    let beside = async || {
        allocations::begin();
        E::crowd(&cx, n, wait, || {
            bytes = allocations::end().bytes;
            ready(())
        })
        .await;
    };
    E::crowd(&cx, n, wait, beside).await;
    Lap::value(bytes as f64)
}
