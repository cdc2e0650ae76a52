//! Everything that tasks wait for says how busy it is, in the same words: one task
//! waits in each and is counted, and is not any more when it has left.

use asupersync::channel::ack_queue::{Redelivery, ack_queue};
use asupersync::channel::rpc::rpc;
use asupersync::channel::{broadcast, mpsc, oneshot, watch};
use asupersync::combine::{Bulkhead, RateLimit};
use asupersync::sync::{Barrier, Mutex, Notify, OnceCell, Pool, RwLock, Semaphore};
use asupersync::{CancelKind, Cx, Scope, TaskHandle};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

mod worlds;
use worlds::{in_lab, until};

/// `task` has just been spawned; it waits, and counts as waiting until it is cancelled.
async fn counts<T>(cx: &Scope, what: &str, task: TaskHandle<T>, waiting: impl Fn() -> usize) {
    assert_eq!(waiting(), 0, "{what}: it has not run yet");
    until(cx, || waiting() == 1).await;
    task.cancel(CancelKind::User);
    drop(task.await);
    assert_eq!(waiting(), 0, "{what}: it has left");
}

#[test]
fn who_waits_in_a_channel_is_counted() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        tx.try_send(0).unwrap();
        let (sender, weak) = (tx.clone(), tx.downgrade());
        let task = cx.spawn(async move |cx: Cx| sender.send(&cx, 1).await);
        counts(&cx, "mpsc", task, || weak.statistics().waiting).await;
        assert_eq!(tx.statistics(), rx.statistics());
        assert_eq!((rx.try_recv(), tx.statistics().queued), (Ok(0), 0));

        let (tx, mut rx) = broadcast::channel::<u8>(1);
        let task = cx.spawn(async move |cx: Cx| rx.recv(&cx).await);
        counts(&cx, "broadcast", task, || tx.statistics().waiting).await;
        assert_eq!(tx.statistics().receivers, 0);

        let (tx, mut rx) = watch::channel(0);
        let task = cx.spawn(async move |cx: Cx| rx.changed(&cx).await);
        counts(&cx, "watch", task, || tx.statistics().waiting).await;

        let (tx, rx) = ack_queue::<u8>(1, Redelivery::attempts(1));
        let task = cx.spawn(async move |cx: Cx| rx.recv(&cx).await.map(drop));
        counts(&cx, "ack_queue, receive", task, || {
            tx.statistics().waiting_to_receive
        })
        .await;
        let (tx, rx) = ack_queue(1, Redelivery::attempts(1));
        tx.try_send(0).unwrap();
        let task = cx.spawn(async move |cx: Cx| tx.send(&cx, 1).await);
        counts(&cx, "ack_queue, send", task, || {
            rx.statistics().waiting_to_send
        })
        .await;

        let (client, server) = rpc::<u8, u8>(1);
        let other = client.clone();
        let first = cx.spawn(async move |cx: Cx| other.call(&cx, 0).await);
        until(&cx, || server.statistics().queued == 1).await;
        let task = cx.spawn(async move |cx: Cx| client.call(&cx, 1).await);
        counts(&cx, "rpc", task, || server.statistics().waiting).await;
        first.cancel(CancelKind::User);
    });
}

#[test]
fn a_oneshot_channel_says_how_far_it_has_come() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = oneshot::channel();
        let seen = |queued, reserved, waiting, closed| oneshot::Statistics {
            queued,
            reserved,
            waiting,
            closed,
        };
        assert_eq!(tx.statistics(), seen(false, false, false, false));
        let permit = tx.reserve(&cx);
        assert_eq!(rx.statistics(), seen(false, true, false, false));
        let task = cx.spawn(async move |cx: Cx| {
            assert!(rx.recv(&cx).await.is_err());
            rx
        });
        until(&cx, || permit.statistics().waiting).await;
        assert_eq!(permit.statistics(), seen(false, true, true, false));
        task.cancel(CancelKind::User);
        let mut rx = task.await.into_result().unwrap();
        assert_eq!(permit.statistics(), seen(false, true, false, false));
        permit.send(7).unwrap();
        assert_eq!(rx.statistics(), seen(true, false, false, true));
        assert!(format!("{rx:?}").contains("queued: true"), "{rx:?}");
        assert_eq!(rx.recv(&cx).await, Ok(7));
        assert_eq!(rx.statistics(), seen(false, false, false, true));

        let (tx, rx) = oneshot::channel::<u8>();
        drop(rx);
        assert_eq!(tx.statistics(), seen(false, false, false, true));
        let (tx, rx) = oneshot::channel::<u8>();
        tx.reserve(&cx).abort();
        assert_eq!(rx.statistics(), seen(false, false, false, true));
    });
}

#[test]
fn who_waits_for_a_primitive_is_counted() {
    in_lab(async |cx: Scope| {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock(&cx).await.unwrap();
        let other = lock.clone();
        let task = cx.spawn(async move |cx: Cx| other.lock(&cx).await.map(drop));
        counts(&cx, "Mutex", task, || lock.statistics().waiting).await;
        drop(held);

        let lock = Arc::new(RwLock::new(()));
        let held = lock.read(&cx).await.unwrap();
        let other = lock.clone();
        let task = cx.spawn(async move |cx: Cx| other.write(&cx).await.map(drop));
        counts(&cx, "RwLock", task, || lock.statistics().waiting).await;
        drop(held);

        let semaphore = Arc::new(Semaphore::new(1));
        let other = semaphore.clone();
        let task = cx.spawn(async move |cx: Cx| other.acquire(&cx, 2).await.map(drop));
        counts(&cx, "Semaphore", task, || semaphore.statistics().waiting).await;

        let barrier = Arc::new(Barrier::new(2));
        let other = barrier.clone();
        let task = cx.spawn(async move |cx: Cx| other.wait(&cx).await.map(drop));
        counts(&cx, "Barrier", task, || barrier.statistics().waiting).await;

        let notify = Arc::new(Notify::new());
        let other = notify.clone();
        let task = cx.spawn(async move |cx: Cx| other.notified(&cx).await);
        counts(&cx, "Notify", task, || notify.statistics().waiting).await;

        let cell = Arc::new(OnceCell::<u8>::new());
        let other = cell.clone();
        let first = cx.spawn(async move |cx: Cx| {
            let init = async || cx.sleep(Duration::from_secs(1)).await.map_or(0, |()| 1);
            other.get_or_init(&cx, init).await.copied()
        });
        until(&cx, || cell.statistics().initializing).await;
        let other = cell.clone();
        let init = async || 2;
        let task = cx.spawn(async move |cx: Cx| other.get_or_init(&cx, init).await.copied());
        counts(&cx, "OnceCell", task, || cell.statistics().waiting).await;
        assert_eq!(first.await.into_result().unwrap(), Ok(1));

        let pool = Pool::new([()]);
        let lent = pool.get(&cx).await.unwrap();
        let other = pool.clone();
        let task = cx.spawn(async move |cx: Cx| other.get(&cx).await.map(drop));
        counts(&cx, "Pool", task, || pool.statistics().waiting).await;
        drop(lent);

        let bulkhead = Arc::new(Bulkhead::new(1, 1));
        let other = bulkhead.clone();
        let first = cx.spawn(async move |cx: Cx| {
            let body = async |s: Scope| s.sleep(Duration::from_secs(1)).await;
            other.run(&cx, body).await.is_ok()
        });
        until(&cx, || bulkhead.statistics().running == 1).await;
        let other = bulkhead.clone();
        let task = cx.spawn(async move |cx: Cx| other.run(&cx, async |_s: Scope| ()).await.is_ok());
        counts(&cx, "Bulkhead", task, || bulkhead.statistics().waiting).await;
        assert!(first.await.into_result().unwrap());

        let limit = Arc::new(RateLimit::new(NonZeroU32::MIN, Duration::from_secs(1)));
        limit.acquire(&cx).await.unwrap();
        let other = limit.clone();
        let task = cx.spawn(async move |cx: Cx| other.acquire(&cx).await);
        counts(&cx, "RateLimit", task, || limit.statistics().waiting).await;
    });
}
