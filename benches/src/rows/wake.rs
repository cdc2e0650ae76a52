//! Waking: yields, and pairs of tasks that wake each other.

use super::{Run, timed};
use crate::engine::Engine;

pub(super) fn runs<E: Engine>(engine: &'static E) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "yield", yields::<E>),
        timed(engine, "ping-pong", ping_pong::<E>),
    ]
}

const YIELDERS: u32 = 200;

async fn yields<E: Engine>(cx: E::Cx, n: u32) {
    let task = |_| {
        E::spawn(&cx, move |cx| async move {
            for _ in 0..n.div_ceil(YIELDERS) {
                E::yield_now(&cx).await;
            }
        })
    };
    let tasks: Vec<E::Join<()>> = (0..YIELDERS).map(task).collect();
    for task in tasks {
        task.await;
    }
}

/// Pairs alive at once.
const PAIRS: u32 = 1_000;

async fn ping_pong<E: Engine>(cx: E::Cx, n: u32) {
    let mut left = n;
    while left > 0 {
        let pairs = left.min(PAIRS);
        left -= pairs;
        let tasks: Vec<E::Join<()>> = (0..pairs).map(|_| E::spawn(&cx, pair::<E>)).collect();
        for task in tasks {
            task.await;
        }
    }
}

async fn pair<E: Engine>(cx: E::Cx) {
    let (ping, pinged) = E::oneshot();
    let (pong, ponged) = E::oneshot();
    let other = E::spawn(&cx, move |cx| async move {
        E::recv_one(&cx, pinged).await;
        E::send_one(pong, ());
    });
    E::send_one(ping, ());
    E::recv_one(&cx, ponged).await;
    E::detach(other);
}
