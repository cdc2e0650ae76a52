//! Sending and receiving allocates nothing once a channel has grown to its size.
//!
//! A counting allocator needs a process of its own, and a thread of its own:
//! hence one test, on the current-thread runtime.

use asupersync::channel::ack_queue::{Redelivery, ack_queue};
use asupersync::channel::rpc::rpc;
use asupersync::channel::{broadcast, mpsc, oneshot, watch};
use asupersync::{Cx, Scope};

mod counting;
mod worlds;
use counting::rounds;

/// A task that waits for the channel and answers through another, so that each
/// round waits and wakes at both ends.
#[test]
fn a_round_through_any_channel_allocates_nothing() {
    worlds::current_thread(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let (back, mut echoed) = mpsc::channel(1);
        cx.spawn(async move |cx: Cx| {
            while let Ok(n) = rx.recv(&cx).await {
                back.send(&cx, n).await.unwrap();
            }
        });
        rounds("mpsc, send", 0, async || {
            // The second waits for room.
            tx.send(&cx, 1).await.unwrap();
            tx.send(&cx, 2).await.unwrap();
            echoed.recv(&cx).await.unwrap();
            echoed.recv(&cx).await.unwrap();
        })
        .await;
        rounds("mpsc, reserve", 0, async || {
            tx.reserve(&cx).await.unwrap().send(1).unwrap();
            echoed.recv(&cx).await.unwrap();
        })
        .await;

        rounds("mpsc, without waiting", 0, async || {
            tx.try_send(1).unwrap();
            echoed.recv(&cx).await.unwrap();
            tx.try_reserve(&cx).unwrap().send(1).unwrap();
            echoed.recv(&cx).await.unwrap();
            let permit = tx.clone().reserve_owned(&cx).await.unwrap();
            drop(permit.send(1).unwrap());
            echoed.recv(&cx).await.unwrap();
        })
        .await;

        let (tx, mut rx) = mpsc::unbounded_channel("received at once");
        let mut buffer = Vec::new();
        rounds("mpsc, unbounded, many at once", 0, async || {
            (0..5).for_each(|n| tx.send(n).unwrap());
            rx.recv_many(&cx, &mut buffer, 4).await.unwrap();
            rx.recv(&cx).await.unwrap();
            buffer.clear();
        })
        .await;

        let (tx, mut rx) = mpsc::channel(4);
        let (back, mut echoed) = mpsc::channel(4);
        cx.spawn(async move |cx: Cx| {
            while let Ok(n) = rx.recv(&cx).await {
                back.send(&cx, n).await.unwrap();
            }
        });
        rounds("mpsc, reserve_many", 0, async || {
            // The second waits until at least two places come free.
            for _ in 0..2 {
                let places = tx.reserve_many(&cx, 3).await.unwrap();
                (places.zip(1..)).for_each(|(place, n)| place.send(n).unwrap());
            }
            for n in [1, 2, 3, 1, 2, 3] {
                assert_eq!(echoed.recv(&cx).await, Ok(n));
            }
        })
        .await;

        let (tx, mut rx) = broadcast::channel(4);
        let mut own = tx.subscribe();
        let (answer, mut heard) = mpsc::channel(1);
        cx.spawn(async move |cx: Cx| {
            while let Ok(n) = rx.recv(&cx).await {
                answer.send(&cx, n).await.unwrap();
            }
        });
        rounds("broadcast", 0, async || {
            tx.send(1).unwrap();
            own.recv(&cx).await.unwrap();
            heard.recv(&cx).await.unwrap();
        })
        .await;

        let (tx, mut rx) = watch::channel(0);
        let (seen, mut looked) = mpsc::channel(1);
        cx.spawn(async move |cx: Cx| {
            while rx.changed(&cx).await.is_ok() {
                let n = *rx.borrow_and_update();
                seen.send(&cx, n).await.unwrap();
            }
        });
        rounds("watch", 0, async || {
            tx.send(1).unwrap();
            looked.recv(&cx).await.unwrap();
        })
        .await;

        let (tx, rx) = ack_queue(2, Redelivery::attempts(2));
        let (done, mut worked) = mpsc::channel(1);
        cx.spawn(async move |cx: Cx| {
            while let Ok((n, ack)) = rx.recv(&cx).await {
                if ack.attempt() == 1 {
                    ack.nack();
                } else {
                    ack.commit();
                    done.send(&cx, n).await.unwrap();
                }
            }
        });
        rounds("ack_queue, each delivered twice", 0, async || {
            tx.send(&cx, 1).await.unwrap();
            worked.recv(&cx).await.unwrap();
        })
        .await;

        let (client, mut server) = rpc::<u32, u32>(1);
        cx.spawn(async move |cx: Cx| {
            while let Ok((n, reply)) = server.recv(&cx).await {
                reply.send(n).unwrap();
            }
        });
        rounds("rpc: the place for the answer", 1, async || {
            client.call(&cx, 1).await.unwrap();
        })
        .await;

        rounds("oneshot: the channel itself", 1, async || {
            let (tx, mut rx) = oneshot::channel();
            tx.send(1).unwrap();
            rx.recv(&cx).await.unwrap();
        })
        .await;
    });
}
