//! Channels that smol does not have: broadcast and watch, against tokio's.

use super::{Run, timed};
use crate::engine::{Asupersync, Tokio};
use asupersync::Cx;
use asupersync::channel::{broadcast, watch};
use std::hint::black_box;

pub(super) fn asupersync(engine: &'static Asupersync) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "broadcast-4", our_broadcast),
        timed(engine, "watch-pair", our_watch),
    ]
}

pub(super) fn tokio(engine: &'static Tokio) -> Vec<(&'static str, Run)> {
    vec![
        timed(engine, "broadcast-4", tokio_broadcast),
        timed(engine, "watch-pair", tokio_watch),
    ]
}

/// Receivers of a broadcast.
const RECEIVERS: usize = 4;
/// Values a receiver may be behind.
const CAPACITY: usize = 64;

async fn our_broadcast(cx: Cx, n: u32) {
    let (tx, rx) = broadcast::channel(CAPACITY);
    let mut receivers: Vec<_> = (0..RECEIVERS).map(|_| rx.resubscribe()).collect();
    drop(rx);
    for i in 0..n {
        tx.send(i).expect("they listen");
        for rx in &mut receivers {
            assert_eq!(rx.recv(&cx).await, Ok(i));
        }
    }
}

async fn tokio_broadcast((): (), n: u32) {
    let (tx, rx) = tokio::sync::broadcast::channel(CAPACITY);
    let mut receivers: Vec<_> = (0..RECEIVERS).map(|_| rx.resubscribe()).collect();
    drop(rx);
    for i in 0..n {
        tx.send(i).expect("they listen");
        for rx in &mut receivers {
            assert_eq!(rx.recv().await, Ok(i));
        }
    }
}

async fn our_watch(cx: Cx, n: u32) {
    let (ping, mut pinged) = watch::channel(0);
    let (pong, mut ponged) = watch::channel(0);
    let echo = cx.spawn(async move |cx: Cx| {
        while pinged.changed(&cx).await.is_ok() {
            pong.send_replace(*pinged.borrow_and_update());
        }
    });
    for i in 1..=n {
        ping.send(black_box(i)).expect("it listens");
        ponged.changed(&cx).await.expect("it answers");
        assert_eq!(*ponged.borrow_and_update(), i);
    }
    drop(ping);
    echo.await.into_result().expect("it ends well");
}

async fn tokio_watch((): (), n: u32) {
    let (ping, mut pinged) = tokio::sync::watch::channel(0);
    let (pong, mut ponged) = tokio::sync::watch::channel(0);
    let echo = tokio::spawn(async move {
        while pinged.changed().await.is_ok() {
            let value = *pinged.borrow_and_update();
            pong.send_replace(value);
        }
    });
    for i in 1..=n {
        ping.send(black_box(i)).expect("it listens");
        ponged.changed().await.expect("it answers");
        assert_eq!(*ponged.borrow_and_update(), i);
    }
    drop(ping);
    echo.await.expect("it ends well");
}
