//! Bounded channels of many senders and one receiver.

use super::{Run, timed};
use crate::engine::Engine;

pub(super) fn runs<E: Engine>(engine: &'static E) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "mpsc-1", async |cx, n| {
            stream::<E>(cx, 100, 1, n).await
        }),
        timed(engine, "mpsc-5", async |cx, n| {
            stream::<E>(cx, 100, 5, n).await
        }),
        timed(engine, "mpsc-tight", async |cx, n| {
            stream::<E>(cx, 1, 1, n).await
        }),
    ]
}

async fn stream<E: Engine>(cx: E::Cx, capacity: usize, producers: u32, n: u32) {
    let (tx, mut rx) = E::channel::<u32>(capacity);
    let share = n.div_ceil(producers);
    for _ in 0..producers {
        let tx = tx.clone();
        E::detach(E::spawn(&cx, move |cx| async move {
            for i in 0..share {
                E::send(&cx, &tx, i).await;
            }
        }));
    }
    drop(tx);
    let mut received = 0;
    while E::recv(&cx, &mut rx).await.is_some() {
        received += 1;
    }
    assert_eq!(received, share * producers);
}
