//! Broadcast and watch channels through real tasks, in every world.

use asupersync::channel::broadcast::{self, RecvError, TryRecvError};
use asupersync::channel::watch;
use asupersync::{CancelKind, Cx, Scope, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab, until, whoever_is_lost};

/// Receives until the end; what was received, and how many were missed.
async fn collect(cx: &Cx, rx: &mut broadcast::Receiver<u64>) -> (Vec<u64>, u64) {
    let (mut received, mut missed) = (Vec::new(), 0);
    loop {
        match rx.recv(cx).await {
            Ok(n) => received.push(n),
            Err(RecvError::Lagged(n)) => missed += n,
            Err(RecvError::Closed) => return (received, missed),
            Err(RecvError::Cancelled(c)) => panic!("{c}"),
        }
    }
}

#[test]
fn every_receiver_gets_or_misses_every_value_in_order() {
    const SENT: u64 = 200;
    everywhere(async |cx: Scope| {
        let (tx, rx) = broadcast::channel(4);
        let mut receivers = vec![rx];
        receivers.extend((0..3).map(|_| tx.subscribe()));
        assert_eq!(tx.receiver_count(), 4);
        let tasks: Vec<_> = receivers
            .into_iter()
            .map(|mut rx| cx.spawn(async move |cx| collect(&cx, &mut rx).await))
            .collect();
        for n in 0..SENT {
            tx.send(n).unwrap();
            if n % 3 == 0 {
                cx.yield_now().await.unwrap();
            }
        }
        drop(tx);
        for task in tasks {
            let (received, missed) = task.await.into_result().unwrap();
            assert!(received.is_sorted(), "in order");
            assert_eq!(received.last(), Some(&(SENT - 1)), "the newest is there");
            assert_eq!(received.len() as u64 + missed, SENT, "lag counts are exact");
        }
    });
}

/// A value that counts its clones and those alive.
struct Tracked {
    alive: Arc<AtomicUsize>,
    clones: Arc<AtomicUsize>,
}

impl Tracked {
    fn new() -> Self {
        let alive = Arc::new(AtomicUsize::new(1));
        let clones = Arc::default();
        Tracked { alive, clones }
    }
}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        self.alive.fetch_add(1, Ordering::Relaxed);
        self.clones.fetch_add(1, Ordering::Relaxed);
        Tracked {
            alive: self.alive.clone(),
            clones: self.clones.clone(),
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn the_last_reader_gets_the_value_itself_and_nothing_is_kept() {
    everywhere(async |_cx: Scope| {
        let value = Tracked::new();
        let (alive, clones) = (value.alive.clone(), value.clones.clone());
        let (tx, mut a) = broadcast::channel(4);
        let mut b = tx.subscribe();
        assert_eq!(tx.send(value).unwrap(), 2);
        drop(a.try_recv().unwrap());
        assert_eq!(clones.load(Ordering::Relaxed), 1);
        let last = b.try_recv().unwrap();
        assert_eq!(clones.load(Ordering::Relaxed), 1, "moved, not cloned");
        assert_eq!(tx.statistics().queued, 0);
        drop(last);
        assert_eq!(alive.load(Ordering::Relaxed), 0);

        // A receiver that goes takes along what only it had not read.
        let value = Tracked::new();
        let alive = value.alive.clone();
        tx.send(value).unwrap();
        drop(a);
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        drop(b);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert!(tx.send(Tracked::new()).is_err(), "nobody listens");
        let late = tx.subscribe();
        assert!(late.is_empty() && tx.is_empty());
    });
}

#[test]
fn a_receiver_joins_at_the_present() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = broadcast::channel(2);
        tx.send(1).unwrap();
        let mut late = tx.subscribe();
        tx.send(2).unwrap();
        let mut later = rx.resubscribe();
        tx.send(3).unwrap();
        assert_eq!(rx.len(), 3);
        assert_eq!(rx.recv(&cx).await, Err(RecvError::Lagged(1)));
        assert_eq!(rx.try_recv(), Ok(2));
        assert_eq!(late.recv(&cx).await, Ok(2));
        assert_eq!(later.recv(&cx).await, Ok(3));
        assert_eq!(later.try_recv(), Err(TryRecvError::Empty));
        drop(tx);
        assert_eq!(later.recv(&cx).await, Err(RecvError::Closed));
        assert_eq!(late.recv(&cx).await, Ok(3));
        assert_eq!(late.try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn a_weak_broadcast_sender_does_not_keep_the_channel_open() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = broadcast::channel(2);
        let weak = tx.downgrade();
        let other = weak.clone().upgrade().unwrap();
        assert!(other.same_channel(&tx) && weak.statistics().receivers == 1);
        drop(tx);
        other.send(1).unwrap();
        drop(other);
        assert!(weak.upgrade().is_none(), "the last sender is gone");
        assert_eq!(rx.recv(&cx).await, Ok(1));
        assert_eq!(rx.recv(&cx).await, Err(RecvError::Closed));
    });
}

#[test]
fn a_cancelled_broadcast_recv_loses_nothing() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = broadcast::channel(4);
        let waiting = tx.clone();
        let task = cx.spawn(async move |cx| {
            let Err(RecvError::Cancelled(c)) = rx.recv(&cx).await else {
                panic!("it was cancelled while it waited");
            };
            assert_eq!(c.reason().kind, CancelKind::User);
            rx.recv(cx.cleanup()).await
        });
        until(&cx, || waiting.statistics().waiting == 1).await;
        task.cancel(CancelKind::User);
        until(&cx, || waiting.statistics().waiting == 1).await;
        tx.send(7).unwrap();
        assert_eq!(task.await.into_result().unwrap(), Ok(7));
    });
}

#[test]
fn broadcast_in_a_select_misses_nothing() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = broadcast::channel(64);
        let (other, mut noise) = broadcast::channel(64);
        cx.spawn(async move |cx| {
            for n in 0..50u64 {
                tx.send(n).unwrap();
                other.send(n).unwrap();
                cx.yield_now().await.unwrap();
            }
        });
        let (mut next, mut next_noise) = (0, 0);
        let mut open = (true, true);
        while open != (false, false) {
            select! {
                v = rx.recv(&cx), if open.0 => match v {
                    Ok(n) => { assert_eq!(n, next); next += 1; }
                    Err(e) => { assert_eq!(e, RecvError::Closed); open.0 = false; }
                },
                v = noise.recv(&cx), if open.1 => match v {
                    Ok(n) => { assert_eq!(n, next_noise); next_noise += 1; }
                    Err(e) => { assert_eq!(e, RecvError::Closed); open.1 = false; }
                },
            }
        }
        assert_eq!((next, next_noise), (50, 50));
    });
}

#[test]
fn a_watch_receiver_ends_at_the_last_value_and_versions_only_rise() {
    const SENT: u64 = 300;
    everywhere(async |cx: Scope| {
        let (tx, rx) = watch::channel(0);
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let mut rx = rx.clone();
                cx.spawn(async move |cx| {
                    let mut last = *rx.borrow_and_update();
                    loop {
                        match rx.changed(&cx).await {
                            Ok(()) => {
                                let now = *rx.borrow_and_update();
                                assert!(now > last, "a change is never seen twice");
                                last = now;
                            }
                            Err(e) => {
                                assert_eq!(e, watch::RecvError::Closed);
                                return last;
                            }
                        }
                    }
                })
            })
            .collect();
        drop(rx);
        for n in 1..=SENT {
            tx.send(n).unwrap();
            if n % 3 == 0 {
                cx.yield_now().await.unwrap();
            }
        }
        drop(tx);
        for task in tasks {
            assert_eq!(
                task.await.into_result().unwrap(),
                SENT,
                "no change is missed"
            );
        }
    });
}

#[test]
fn a_reference_blocks_nobody() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = watch::channel(String::from("a"));
        let before = rx.borrow();
        tx.send(String::from("b")).unwrap();
        // Kept across an await, and while others send.
        cx.yield_now().await.unwrap();
        assert_eq!(*before, "a");
        assert!(rx.has_changed() && rx.borrow().has_changed());
        let after = rx.borrow_and_update();
        assert!(*after == "b" && after.has_changed() && !before.has_changed());
        assert!(!rx.has_changed() && !rx.borrow().has_changed() && !tx.borrow().has_changed());
        assert_eq!(before.into_owned(), "a");
        assert_eq!(*tx.send_replace(String::from("c")), "b");
        assert_eq!(*tx.borrow(), "c");
    });
}

#[test]
fn modifications_are_seen_whole_or_not_at_all() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = watch::channel(0u64);
        assert!(!tx.send_if_modified(|n| {
            *n = 9;
            false
        }));
        assert!(!rx.has_changed() && *rx.borrow() == 0, "forgotten");
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let tx = tx.clone();
                cx.spawn(async move |cx| {
                    for _ in 0..50 {
                        tx.send_modify(|n| *n += 1);
                        cx.yield_now().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.into_result().unwrap();
        }
        assert_eq!(*rx.wait_for(&cx, |n| *n == 200).await.unwrap(), 200);
        assert_eq!(tx.statistics().version, 200);
    });
}

#[test]
fn wait_for_looks_at_the_present_first_and_ends_with_the_senders() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = watch::channel(1);
        assert_eq!(*rx.wait_for(&cx, |n| *n == 1).await.unwrap(), 1);
        let mut other = rx.clone();
        let task = cx.spawn(async move |cx| other.wait_for(&cx, |n| *n == 3).await.map(|n| *n));
        until(&cx, || tx.statistics().waiting == 1).await;
        tx.send(2).unwrap();
        until(&cx, || tx.statistics().waiting == 1).await;
        tx.send(3).unwrap();
        assert_eq!(task.await.into_result().unwrap(), Ok(3));
        drop(tx);
        assert!(rx.is_closed());
        assert_eq!(rx.changed(&cx).await, Ok(()), "3 was not seen");
        let end = rx.wait_for(&cx, |n| *n == 4).await.map(|n| *n);
        assert_eq!(end, Err(watch::RecvError::Closed));
        rx.mark_changed();
        assert_eq!(rx.changed(&cx).await, Ok(()));
        rx.mark_changed();
        rx.mark_unchanged();
        assert_eq!(rx.changed(&cx).await, Err(watch::RecvError::Closed));
    });
}

#[test]
fn a_sender_learns_that_its_receivers_are_gone() {
    everywhere(async |cx: Scope| {
        let (tx, rx) = watch::channel(0);
        let (mut a, b) = (rx.clone(), rx);
        let sender = tx.clone();
        let task = cx.spawn(async move |cx| sender.closed(&cx).await);
        drop(b);
        assert_eq!(tx.receiver_count(), 1);
        a.mark_unchanged();
        drop(a);
        assert_eq!(task.await.into_result().unwrap(), Ok(()));
        assert!(tx.is_closed());
        assert_eq!(tx.send(1), Err(watch::SendError::Closed(1)));
        let late = tx.subscribe();
        assert!(!tx.is_closed() && !late.has_changed());
        tx.send(2).unwrap();
        assert!(late.has_changed());
    });
}

#[test]
fn a_broadcasting_sender_learns_that_its_receivers_are_gone() {
    everywhere(async |cx: Scope| {
        let tx = broadcast::Sender::new(2);
        assert_eq!(tx.closed(&cx).await, Ok(()), "it has none yet");
        let (a, b) = (tx.subscribe(), tx.subscribe());
        let sender = tx.clone();
        assert_eq!((b.statistics().senders, b.is_closed()), (2, false));
        let task = cx.spawn(async move |cx| sender.closed(&cx).await);
        drop(b);
        cx.yield_now().await.unwrap();
        assert!(!task.is_complete());
        drop(a);
        assert_eq!(task.await.into_result().unwrap(), Ok(()));
        assert_eq!(tx.statistics().senders, 1);
        assert!(tx.send(1).is_err());
        let late = tx.subscribe();
        assert_eq!(tx.send(2).unwrap(), 1);
        drop(tx);
        assert!(late.is_closed() && !late.is_empty());
    });
}

/// Whoever is lost: a sender that waits for its receivers to go learns of it, and
/// leaves no waker behind.
#[test]
fn senders_learn_that_receivers_are_gone_whoever_is_lost() {
    whoever_is_lost(async |cx: Scope| {
        let tx = broadcast::Sender::new(2);
        let (mut rx, watched) = (tx.subscribe(), watch::Sender::new(0));
        let mut changes = watched.subscribe();
        cx.spawn(async move |cx| drop(rx.recv(&cx).await));
        cx.spawn(async move |cx| drop(changes.changed(&cx).await));
        let sender = tx.clone();
        cx.spawn(async move |cx| drop(sender.closed(&cx).await));
        cx.yield_now().await.ok();
        tx.send(1).ok();
        watched.send(1).ok();
        tx.closed(cx.cleanup()).await.unwrap();
        watched.closed(cx.cleanup()).await.unwrap();
        assert!(watched.is_closed() && tx.receiver_count() == 0);
        assert_eq!(watched.statistics().senders, 1);
    });
}

#[test]
fn no_change_is_missed_when_a_receiver_is_cancelled_and_comes_back() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = watch::channel(0);
        let waiting = tx.clone();
        let task = cx.spawn(async move |cx| {
            let cancelled = rx.changed(&cx).await;
            assert!(matches!(cancelled, Err(watch::RecvError::Cancelled(_))));
            rx.changed(cx.cleanup()).await.map(|()| *rx.borrow())
        });
        until(&cx, || waiting.statistics().waiting == 1).await;
        task.cancel(CancelKind::User);
        tx.send(1).unwrap();
        assert_eq!(task.await.into_result().unwrap(), Ok(1));
    });
}

#[test]
fn threads_outside_wait_for_broadcast_and_watch() {
    let (tx, mut rx) = broadcast::channel(4);
    let (set, mut value) = watch::channel(0);
    let thread = std::thread::spawn(move || {
        let received = rx.blocking_recv();
        let changed = value.blocking_changed();
        let now = *value.borrow();
        (received, changed, now, value.blocking_changed())
    });
    while tx.statistics().waiting == 0 {
        std::thread::yield_now();
    }
    tx.send(5).unwrap();
    while set.statistics().waiting == 0 {
        std::thread::yield_now();
    }
    set.send(6).unwrap();
    drop(set);
    let end = Err(watch::RecvError::Closed);
    assert_eq!(thread.join().unwrap(), (Ok(5), Ok(()), 6, end));
}

/// Cancels or drops every task at every point; whoever is left must still see
/// everything.
#[test]
fn a_task_lost_at_any_point_disturbs_no_other() {
    whoever_is_lost(async |cx: Scope| {
        let (tx, rx) = broadcast::channel(2);
        let (set, mut value) = watch::channel(0u64);
        let sent = Arc::new(AtomicU64::new(0));
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let (mut rx, mut value) = (rx.resubscribe(), value.clone());
                cx.spawn(async move |cx| {
                    let (mut seen, mut last) = (0, None);
                    let heard_all = loop {
                        match rx.recv(&cx).await {
                            Ok(n) => {
                                assert!(last < Some(n), "in order, and none twice");
                                (seen, last) = (seen + 1, Some(n));
                            }
                            Err(RecvError::Lagged(n)) => seen += n,
                            Err(RecvError::Closed) => break true,
                            Err(RecvError::Cancelled(_)) => break false,
                        }
                    };
                    let ended = value.wait_for(&cx, |n| *n == 6).await.map(|n| *n);
                    (heard_all.then_some(seen), ended)
                })
            })
            .collect();
        drop(rx);
        let told = sent.clone();
        let sender = cx.spawn(async move |cx| {
            for n in 1..=6u64 {
                // Both receivers may be gone; the watch has one here.
                let _ = tx.send(n);
                set.send(n).unwrap();
                told.store(n, Ordering::Relaxed);
                // More at once than there is room for.
                if n % 3 == 0 && cx.sleep(Duration::from_millis(1)).await.is_err() {
                    break;
                }
            }
        });
        let _ = sender.await;
        let sent = sent.load(Ordering::Relaxed);
        let mut whole = 0;
        for receiver in receivers {
            let Ok((seen, ended)) = receiver.await.into_result() else {
                continue;
            };
            if let Some(seen) = seen {
                assert_eq!(seen, sent, "whoever is left gets or misses everything");
                whole += 1;
            }
            match ended {
                Ok(n) => assert_eq!((n, sent), (6, 6)),
                Err(watch::RecvError::Closed) => assert!(sent < 6, "it was there to be seen"),
                Err(watch::RecvError::Cancelled(_)) => {}
            }
        }
        // One is lost at a time, if any; the root may be the one that is asked.
        if cx.checkpoint().is_ok() {
            assert!(whole >= 1, "nobody has heard everything");
        }
        while value.changed(cx.cleanup()).await.is_ok() {}
        assert_eq!(*value.borrow(), sent, "no change is missed");
        assert_eq!(value.statistics().waiting, 0);
    });
}
