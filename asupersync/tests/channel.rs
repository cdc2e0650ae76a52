//! Channels through real tasks, in every world, and their futures polled by hand.

use asupersync::channel::{mpsc, oneshot};
use asupersync::types::cancel::reason_in;
use asupersync::{CancelKind, Cx, LabConfig, LabRuntime, Scope, select};
use std::error::Error;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

mod by_hand;
mod worlds;
use by_hand::{Count, poll};
use worlds::{everywhere, in_lab, until, whoever_is_lost};

#[test]
fn values_arrive_once_and_in_the_order_of_each_sender() {
    const SENDERS: usize = 5;
    const EACH: usize = 40;
    everywhere(async |cx: Scope| {
        for capacity in [1, 2, 7] {
            let (tx, mut rx) = mpsc::channel(capacity);
            for sender in 0..SENDERS {
                let tx = tx.clone();
                cx.spawn(async move |cx| {
                    for n in 0..EACH {
                        // All the ways to send.
                        match (sender + n) % 4 {
                            0 => tx.send(&cx, (sender, n)).await.unwrap(),
                            1 => tx.reserve(&cx).await.unwrap().send((sender, n)).unwrap(),
                            2 => {
                                let permit = tx.clone().reserve_owned(&cx).await.unwrap();
                                permit.send((sender, n)).unwrap();
                            }
                            _ => {
                                while let Err(full) = tx.try_send((sender, n)) {
                                    assert!(matches!(full, mpsc::TrySendError::Full(_)));
                                    cx.yield_now().await.unwrap();
                                }
                            }
                        }
                    }
                });
            }
            drop(tx);
            let mut next = [0; SENDERS];
            loop {
                match rx.recv(&cx).await {
                    Ok((sender, n)) => {
                        assert_eq!(n, next[sender], "the values of one sender keep their order");
                        next[sender] += 1;
                        assert!(rx.len() <= capacity);
                    }
                    Err(e) => {
                        assert_eq!(e, mpsc::RecvError::Closed);
                        break;
                    }
                }
            }
            assert_eq!(next, [EACH; SENDERS], "nothing is lost");
        }
    });
}

#[test]
fn an_unbounded_channel_keeps_order_and_ends() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::unbounded_channel("bounded by the test");
        let producer = cx.spawn(async move |_cx| {
            for n in 0..1000 {
                tx.send(n).unwrap();
            }
        });
        for n in 0..1000 {
            assert_eq!(rx.recv(&cx).await.unwrap(), n);
        }
        assert_eq!(rx.recv(&cx).await, Err(mpsc::RecvError::Closed));
        producer.await.into_result().unwrap();
        assert!(format!("{rx:?}").contains("bounded by the test"));
    });
}

#[test]
fn many_values_are_received_at_once_and_their_places_passed_on() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(40);
        (0..40).for_each(|n| tx.try_send(n).unwrap());
        let senders: Vec<_> = (40..80)
            .map(|n| {
                let tx = tx.clone();
                cx.spawn(async move |cx| tx.send(&cx, n).await.unwrap())
            })
            .collect();
        until(&cx, || tx.statistics().waiting == 40).await;
        let mut buffer = vec![usize::MAX];
        assert_eq!(rx.recv_many(&cx, &mut buffer, 0).await, Ok(0));
        assert_eq!(rx.recv_many(&cx, &mut buffer, 5).await, Ok(5));
        assert_eq!(buffer, [usize::MAX, 0, 1, 2, 3, 4], "appended, in order");
        drop(tx);
        buffer.clear();
        while rx.recv_many(&cx, &mut buffer, usize::MAX).await.is_ok() {}
        assert_eq!(buffer[..35], (5..40).collect::<Vec<_>>());
        buffer.sort_unstable();
        assert_eq!(buffer, (5..80).collect::<Vec<_>>());
        for sender in senders {
            sender.await.into_result().unwrap();
        }
    });
}

#[test]
fn a_weak_sender_does_not_keep_the_channel_open() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let weak = tx.downgrade();
        let other = weak.clone().upgrade().unwrap();
        assert!(other.same_channel(&tx));
        assert_eq!(rx.statistics().senders, 2);
        drop(tx);
        other.send(&cx, 1).await.unwrap();
        drop(other);
        assert!(weak.upgrade().is_none(), "the last sender is gone");
        assert_eq!(rx.recv(&cx).await, Ok(1));
        assert_eq!(rx.recv(&cx).await, Err(mpsc::RecvError::Closed));

        let (tx, mut rx) = mpsc::unbounded_channel("one value");
        let weak = tx.downgrade();
        weak.upgrade().unwrap().send(2).unwrap();
        assert_eq!(rx.statistics().capacity, None);
        drop(tx);
        assert!(weak.upgrade().is_none());
        assert_eq!(rx.recv(&cx).await, Ok(2));
        assert_eq!(rx.recv(&cx).await, Err(mpsc::RecvError::Closed));
    });
}

#[test]
fn a_sender_that_finds_no_place_comes_back() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let permit = tx.try_reserve_owned(&cx).unwrap();
        assert_eq!(rx.statistics().reserved, 1);
        let tx = permit.send(1).unwrap();
        let Err(mpsc::TrySendError::Full(tx)) = tx.try_reserve_owned(&cx) else {
            panic!("there is no place");
        };
        assert_eq!(rx.recv(&cx).await, Ok(1));
        let tx = tx.try_reserve_owned(&cx).unwrap().abort();
        drop(rx);
        let closed = tx.try_reserve_owned(&cx);
        assert!(matches!(closed, Err(mpsc::TrySendError::Closed(_))));
    });
}

#[test]
fn many_values_can_be_polled_for() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(4);
        let (woken, waker) = Count::new();
        let task = &mut Context::from_waker(&waker);
        let mut buffer = Vec::new();
        assert_eq!(rx.poll_recv_many(task, &mut buffer, 0), Poll::Ready(0));
        assert_eq!(rx.poll_recv_many(task, &mut buffer, 3), Poll::Pending);
        for n in 0..4 {
            tx.send(&cx, n).await.unwrap();
        }
        assert_eq!(woken.get(), 1);
        assert_eq!(rx.poll_recv_many(task, &mut buffer, 3), Poll::Ready(3));
        drop(tx);
        assert_eq!(rx.poll_recv_many(task, &mut buffer, 3), Poll::Ready(1));
        assert_eq!(rx.poll_recv_many(task, &mut buffer, 3), Poll::Ready(0));
        assert_eq!(buffer, [0, 1, 2, 3]);
    });
}

#[test]
fn a_oneshot_receiver_knows_whether_it_is_done() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = oneshot::channel();
        assert!(rx.is_empty() && !rx.is_terminated());
        tx.send(1).unwrap();
        assert!(!rx.is_empty() && !rx.is_terminated());
        let (mut got, mut ticks) = (Vec::new(), 0);
        while ticks < 3 {
            select! {
                v = rx.recv(&cx), if !rx.is_terminated() => got.push(v.unwrap()),
                _ = cx.yield_now() => ticks += 1,
            }
        }
        assert_eq!(got, [1], "once");
        assert!(rx.is_empty() && rx.is_terminated());

        let (tx, mut rx) = oneshot::channel::<u8>();
        drop(tx);
        assert!(rx.is_empty() && !rx.is_terminated(), "it has not said so");
        assert!(rx.recv(&cx).await.is_err() && rx.is_terminated());
    });
}

#[test]
fn threads_outside_receive_many() {
    let (tx, mut rx) = mpsc::channel(3);
    let thread = std::thread::spawn(move || {
        let (mut all, mut most) = (Vec::new(), 0);
        while let Ok(n) = rx.blocking_recv_many(&mut all, 2) {
            most = most.max(n);
        }
        assert_eq!(rx.blocking_recv_many(&mut all, 0), Ok(0));
        (all, most)
    });
    for n in 0..100 {
        tx.blocking_send(n).unwrap();
    }
    drop(tx);
    let (all, most) = thread.join().unwrap();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    assert!((1..=2).contains(&most), "{most}");
}

#[test]
fn threads_outside_send_and_receive() {
    let (tx, mut rx) = mpsc::channel(2);
    let (back, mut answers) = mpsc::channel(2);
    let (done, mut end) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let mut sum = 0;
        while let Ok(n) = rx.blocking_recv() {
            sum += n;
            back.blocking_send(n).unwrap();
        }
        done.send(sum).unwrap();
    });
    worlds::current_thread(async |cx: Scope| {
        cx.spawn(async move |cx| {
            for n in 0..100u32 {
                tx.send(&cx, n).await.unwrap();
            }
        });
        for n in 0..100 {
            assert_eq!(answers.recv(&cx).await, Ok(n));
        }
    });
    assert_eq!(end.blocking_recv(), Ok((0..100).sum()));
    thread.join().unwrap();

    let (tx, rx) = mpsc::channel(1);
    tx.blocking_send(1).unwrap();
    let full = std::thread::spawn(move || tx.blocking_send(2));
    drop(rx);
    assert_eq!(full.join().unwrap(), Err(mpsc::SendError::Closed(2)));
}

#[test]
#[should_panic(expected = "a task must not block its worker")]
fn a_task_must_not_block() {
    worlds::current_thread(async |cx: Scope| {
        let (tx, _rx) = mpsc::channel(1);
        tx.try_send(1).unwrap();
        cx.spawn(async move |_cx| tx.blocking_send(2))
            .await
            .into_result()
            .unwrap()
            .unwrap();
    });
}

/// Whoever is lost at whatever point: no value is lost or seen twice, the values
/// of one sender keep their order, and no place drifts away.
#[test]
fn nothing_is_lost_whoever_is_cancelled_or_dropped() {
    whoever_is_lost(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let sent = Arc::new(AtomicUsize::new(0));
        for sender in 0..3 {
            let (tx, sent) = (tx.clone(), sent.clone());
            cx.spawn(async move |cx| {
                for n in 0..3 {
                    let value = (sender, n);
                    let done = match n % 2 {
                        0 => tx.send(&cx, value).await.is_ok(),
                        _ => match tx.reserve(&cx).await {
                            Ok(permit) => permit.send(value).is_ok(),
                            Err(_) => false,
                        },
                    };
                    if !done {
                        break;
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let weak = tx.downgrade();
        drop(tx);
        let (mut next, mut received) = ([0; 3], 0);
        while let Ok((sender, n)) = rx.recv(cx.cleanup()).await {
            assert_eq!(n, next[sender]);
            next[sender] += 1;
            received += 1;
        }
        assert!(weak.upgrade().is_none());
        assert_eq!(received, sent.load(Ordering::Relaxed));
        let left = rx.statistics();
        assert_eq!((left.queued, left.reserved, left.waiting), (0, 0, 0));
    });
}

/// The same from the other end: a receiver that is asked at any await has what it
/// received, and the rest is in the channel.
#[test]
fn a_receiver_cancelled_at_any_await_has_lost_nothing() {
    whoever_is_lost(async |cx: Scope| {
        let (tx, rx) = mpsc::channel(2);
        let kept = Arc::new(Mutex::new((Some(rx), Vec::new())));
        let shared = kept.clone();
        let receiver = cx.spawn(async move |cx| {
            let rx = shared.lock().unwrap().0.take().unwrap();
            // Hands the receiver on, however this task ends.
            let mut lent = Lent(Some(rx), shared.clone());
            let rx = lent.0.as_mut().unwrap();
            let mut buffer = Vec::new();
            for round in 0.. {
                let seen = if round % 2 == 0 {
                    rx.recv(&cx).await.map(|n| vec![n])
                } else {
                    let got = rx.recv_many(&cx, &mut buffer, 2).await;
                    got.map(|_| std::mem::take(&mut buffer))
                };
                match seen {
                    Ok(values) => shared.lock().unwrap().1.extend(values),
                    Err(_) => break,
                }
            }
            assert!(buffer.is_empty(), "nothing comes with an error");
        });
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        let sender = cx.spawn(async move |cx| {
            for n in 0..4 {
                if tx.send(&cx, n).await.is_err() {
                    break;
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _ = receiver.await;
        let (rx, mut seen) = std::mem::take(&mut *kept.lock().unwrap());
        if let Some(mut rx) = rx {
            while let Ok(n) = rx.recv(cx.cleanup()).await {
                seen.push(n);
            }
        }
        let _ = sender.await;
        let sent = sent.load(Ordering::Relaxed);
        assert_eq!(seen, (0..sent).collect::<Vec<_>>());
    });
}

/// A receiver while nobody has it, and what was received.
type Kept = Arc<Mutex<(Option<mpsc::Receiver<usize>>, Vec<usize>)>>;

/// A receiver that goes back to where it was taken from.
struct Lent(Option<mpsc::Receiver<usize>>, Kept);

impl Drop for Lent {
    fn drop(&mut self) {
        self.1.lock().unwrap().0 = self.0.take();
    }
}

#[test]
fn a_waiter_cancelled_at_any_place_in_line_hands_its_turn_on() {
    const WAITERS: usize = 4;
    everywhere(async |cx: Scope| {
        for victim in 0..WAITERS {
            let (tx, mut rx) = mpsc::channel(1);
            tx.try_send(usize::MAX).unwrap();
            let mut tasks = Vec::new();
            for n in 0..WAITERS {
                let sender = tx.clone();
                tasks.push(cx.spawn(async move |cx| sender.send(&cx, n).await));
                // One by one, so that the line is in the order of the names.
                until(&cx, || tx.statistics().waiting == n + 1).await;
            }
            tasks[victim].cancel(CancelKind::User);
            until(&cx, || tasks[victim].is_complete()).await;
            assert_eq!(tx.statistics().waiting, WAITERS - 1);
            drop(tx);

            let mut received = Vec::new();
            while let Ok(n) = rx.recv(&cx).await {
                received.push(n);
            }
            let survivors = (0..WAITERS).filter(|n| *n != victim);
            let expected: Vec<_> = std::iter::once(usize::MAX).chain(survivors).collect();
            assert_eq!(received, expected);
            for (n, task) in tasks.into_iter().enumerate() {
                match task.await.into_result().unwrap() {
                    Ok(()) => assert_ne!(n, victim),
                    Err(mpsc::SendError::Cancelled(value, cancelled)) => {
                        assert_eq!((n, value), (victim, victim), "the value comes back");
                        assert_eq!(cancelled.reason().kind, CancelKind::User);
                    }
                    Err(e) => panic!("{n}: {e}"),
                }
            }
        }
    });
}

#[test]
fn a_waiter_cancelled_after_its_grant_passes_it_on() {
    // Only where tasks do not run in parallel is there a moment between the
    // grant and the first waiter's noticing it.
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        tx.try_send(0).unwrap();
        let (first, second) = (tx.clone(), tx.clone());
        let first = cx.spawn(async move |cx| first.send(&cx, 1).await);
        until(&cx, || tx.statistics().waiting == 1).await;
        let second = cx.spawn(async move |cx| second.send(&cx, 2).await);
        until(&cx, || tx.statistics().waiting == 2).await;

        assert_eq!(rx.try_recv(), Ok(0));
        assert_eq!(tx.statistics().reserved, 1, "the first was granted");
        first.cancel(CancelKind::User);
        assert_eq!(rx.recv(&cx).await, Ok(2));
        let Ok(Err(mpsc::SendError::Cancelled(1, _))) = first.await.into_result() else {
            panic!("the first was cancelled, and its value came back");
        };
        second.await.into_result().unwrap().unwrap();
        let (queued, reserved) = (tx.statistics().queued, tx.statistics().reserved);
        assert_eq!((queued, reserved), (0, 0), "no capacity drifts away");
    });
}

#[test]
fn futures_dropped_in_any_state_lose_nothing_and_wake_exactly() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel::<u32>(1);

        // A reserve dropped unpolled, in line, and granted.
        drop(tx.reserve(&cx));
        let held = tx.try_reserve(&cx).unwrap();
        let (a, wake_a) = Count::new();
        let (b, wake_b) = Count::new();
        let mut first = tx.reserve(&cx);
        let mut second = tx.reserve(&cx);
        assert!(poll(&mut first, &wake_a).is_pending());
        assert!(poll(&mut second, &wake_b).is_pending());
        assert!(
            matches!(tx.try_reserve(&cx), Err(mpsc::TryReserveError::Full)),
            "no barging"
        );
        held.abort();
        assert_eq!(
            (a.get(), b.get()),
            (1, 0),
            "only the first in line is woken"
        );
        drop(first);
        assert_eq!((a.get(), b.get()), (1, 1), "its grant goes to the next");
        let Poll::Ready(Ok(permit)) = poll(&mut second, &wake_b) else {
            panic!("the second was granted");
        };
        permit.send(1).unwrap();

        // A send dropped in line drops its value and nothing else.
        let (_, wake) = Count::new();
        let mut send = tx.send(&cx, 2);
        assert!(poll(&mut send, &wake).is_pending());
        drop(send);
        assert_eq!(tx.statistics().waiting, 0);
        assert_eq!(rx.try_recv(), Ok(1));
        assert_eq!(rx.try_recv(), Err(mpsc::TryRecvError::Empty));

        // A receiver is woken once for two values, and not at all when it does not wait.
        let (count, wake) = Count::new();
        {
            let mut recv = rx.recv(&cx);
            assert!(poll(&mut recv, &wake).is_pending());
            assert!(poll(&mut recv, &wake).is_pending());
        }
        tx.try_send(3).unwrap();
        assert_eq!(count.get(), 0, "a dropped recv is not woken");
        assert_eq!(rx.try_recv(), Ok(3));
        let mut recv = rx.recv(&cx);
        assert!(poll(&mut recv, &wake).is_pending());
        tx.try_send(4).unwrap();
        assert_eq!(count.get(), 1);
        assert!(matches!(tx.try_send(5), Err(mpsc::TrySendError::Full(5))));
        assert_eq!(count.get(), 1);
        drop(recv);
        assert_eq!(
            rx.try_recv(),
            Ok(4),
            "a recv dropped after its wake loses nothing"
        );
    });
}

#[test]
fn a_permit_gives_its_place_back() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        tx.reserve(&cx).await.unwrap().abort();
        let owned = tx.clone().reserve_owned(&cx).await.unwrap();
        assert!(owned.abort().same_channel(&tx));

        // A task that ends by cancellation drops the permit it holds.
        let sender = tx.clone();
        let holder = cx.spawn(async move |cx| {
            let _permit = sender.reserve(&cx).await.unwrap();
            cx.cancelled().await
        });
        until(&cx, || tx.statistics().reserved == 1).await;
        let waiter = {
            let sender = tx.clone();
            cx.spawn(async move |cx| sender.send(&cx, 7).await)
        };
        until(&cx, || tx.statistics().waiting == 1).await;
        holder.cancel(CancelKind::User);
        assert_eq!(rx.recv(&cx).await, Ok(7));
        waiter.await.into_result().unwrap().unwrap();
        holder.await.into_result().unwrap();
        assert_eq!(tx.statistics().reserved, 0);
    });
}

/// Whether a run in which a running task drops a permit is reported.
fn lab_accepts(body: impl AsyncFnOnce(Scope)) -> bool {
    LabRuntime::new(LabConfig::default().seed(1))
        .try_run(body)
        .is_ok()
}

#[test]
fn the_lab_reports_a_permit_dropped_without_a_word() {
    assert!(lab_accepts(async |cx: Scope| {
        let (tx, _rx) = mpsc::channel::<u8>(1);
        tx.reserve(&cx).await.unwrap().abort();
        tx.reserve(&cx).await.unwrap().send(1).unwrap();
    }));
    assert!(!lab_accepts(async |cx: Scope| {
        let (tx, _rx) = mpsc::channel::<u8>(1);
        drop(tx.reserve(&cx).await.unwrap());
    }));
    assert!(!lab_accepts(async |cx: Scope| {
        let (tx, _rx) = mpsc::channel::<u8>(1);
        std::mem::forget(tx.reserve(&cx).await.unwrap());
    }));
    assert!(!lab_accepts(async |cx: Scope| {
        let (tx, _rx) = oneshot::channel::<u8>();
        drop(tx.reserve(&cx));
    }));
}

#[test]
fn a_transferred_permit_is_kept_by_its_new_holder() {
    let body = async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let (pass, mut get) = oneshot::channel::<mpsc::OwnedPermit<u8>>();
        let taker = cx.spawn(async move |cx| {
            let permit = get.recv(&cx).await.unwrap().transfer(&cx);
            permit.send(1).unwrap();
        });
        let giver = cx.spawn(async move |cx| {
            let permit = tx.reserve_owned(&cx).await.unwrap();
            // Handed over as it is: the taker transfers it to itself at once.
            assert!(pass.send(permit).is_ok());
            cx.sleep(Duration::from_secs(1)).await.unwrap();
        });
        assert_eq!(rx.recv(&cx).await, Ok(1));
        taker.await.into_result().unwrap();
        giver.await.into_result().unwrap();
    };
    in_lab(body);
}

#[test]
fn closing_wakes_everyone_and_hands_values_back() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(2);
        let permit = tx.reserve(&cx).await.unwrap();
        tx.try_send(1).unwrap();
        let (a, b) = (tx.clone(), tx.clone());
        let sending = cx.spawn(async move |cx| a.send(&cx, 2).await);
        let watching = cx.spawn(async move |cx| b.closed(&cx).await);
        until(&cx, || tx.statistics().waiting == 1).await;
        assert!(!tx.is_closed());
        rx.close();
        assert!(tx.is_closed() && rx.is_closed());
        assert_eq!(
            sending.await.into_result().unwrap(),
            Err(mpsc::SendError::Closed(2))
        );
        assert_eq!(watching.await.into_result().unwrap(), Ok(()));
        assert_eq!(tx.try_send(3), Err(mpsc::TrySendError::Closed(3)));
        assert!(matches!(
            tx.reserve(&cx).await,
            Err(mpsc::ReserveError::Closed)
        ));
        assert_eq!(tx.send(&cx, 4).await, Err(mpsc::SendError::Closed(4)));

        // What was queued or reserved before still arrives; then it is over.
        assert_eq!(rx.recv(&cx).await, Ok(1));
        assert_eq!(
            rx.try_recv(),
            Err(mpsc::TryRecvError::Empty),
            "the permit may still send"
        );
        permit.send(5).unwrap();
        assert_eq!(rx.recv(&cx).await, Ok(5));
        assert_eq!(rx.recv(&cx).await, Err(mpsc::RecvError::Closed));
    });
}

#[test]
fn an_aborted_last_permit_ends_a_closed_channel() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel::<u8>(1);
        let permit = tx.clone().reserve_owned(&cx).await.unwrap();
        let receiver = cx.spawn(async move |cx| {
            rx.close();
            rx.recv(&cx).await
        });
        until(&cx, || tx.is_closed()).await;
        drop(permit.abort());
        assert_eq!(
            receiver.await.into_result().unwrap(),
            Err(mpsc::RecvError::Closed)
        );
    });
}

#[test]
fn a_dropped_receiver_drops_what_is_queued_and_refuses_the_rest() {
    everywhere(async |cx: Scope| {
        let value = Arc::new(());
        let (tx, rx) = mpsc::channel(3);
        let permit = tx.reserve(&cx).await.unwrap();
        tx.try_send(value.clone()).unwrap();
        tx.try_send(value.clone()).unwrap();
        let waiter = {
            let (tx, value) = (tx.clone(), value.clone());
            cx.spawn(async move |cx| tx.send(&cx, value).await)
        };
        until(&cx, || tx.statistics().waiting == 1).await;
        drop(rx);
        let Err(mpsc::SendError::Closed(_)) = waiter.await.into_result().unwrap() else {
            panic!("the waiter is told");
        };
        let Err(e) = permit.send(value.clone()) else {
            panic!("the permit is told")
        };
        assert_eq!(
            Arc::strong_count(&value),
            2,
            "here and in the error: nothing leaks"
        );
        drop(e.into_inner());
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn draining_makes_room_for_those_in_line() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(2);
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        let tasks: Vec<_> = (3..6)
            .map(|n| {
                let tx = tx.clone();
                cx.spawn(async move |cx| tx.send(&cx, n).await.unwrap())
            })
            .collect();
        until(&cx, || tx.statistics().waiting == 3).await;
        assert_eq!(rx.drain().collect::<Vec<_>>(), [1, 2]);
        drop(tx);
        let mut rest = Vec::new();
        while let Ok(n) = rx.recv(&cx).await {
            rest.push(n);
        }
        rest.sort_unstable();
        assert_eq!(rest, [3, 4, 5]);
        for task in tasks {
            task.await.into_result().unwrap();
        }
    });
}

#[test]
fn a_cancelled_consumer_can_drain_through_the_cleanup_view() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(4);
        for n in 0..3 {
            tx.try_send(n).unwrap();
        }
        let (started, mut start) = oneshot::channel();
        let consumer = cx.spawn(async move |cx| {
            started.send(()).unwrap();
            cx.cancelled().await;
            assert!(matches!(
                rx.recv(&cx).await,
                Err(mpsc::RecvError::Cancelled(_))
            ));
            let mut drained = Vec::new();
            while let Ok(n) = rx.recv(cx.cleanup()).await {
                drained.push(n);
            }
            drained
        });
        start.recv(&cx).await.unwrap();
        consumer.cancel(CancelKind::User);
        tx.send(&cx, 3).await.unwrap();
        drop(tx);
        assert_eq!(consumer.await.into_result().unwrap(), [0, 1, 2, 3]);
    });
}

#[test]
fn errors_lead_to_the_reason_of_the_cancellation() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel::<u8>(1);
        let (_one, mut answer) = oneshot::channel::<u8>();
        let (started, mut start) = oneshot::channel();
        let task = cx.spawn(async move |cx| {
            started.send(()).unwrap();
            cx.cancelled().await;
            let recv: Box<dyn Error + Send + Sync> = rx.recv(&cx).await.unwrap_err().into();
            let send: Box<dyn Error + Send + Sync> = tx.send(&cx, 1).await.unwrap_err().into();
            let reserve = tx.reserve(&cx).await.unwrap_err().into();
            let many = tx.reserve_many(&cx, 1).await.unwrap_err().into();
            let once = answer.recv(&cx).await.unwrap_err().into();
            let io = std::io::Error::from(rx.recv(&cx).await.unwrap_err());
            let other = std::io::Error::other(tx.send(&cx, 1).await.unwrap_err());
            for e in [recv, send, reserve, many, once, io.into(), other.into()] {
                let reason = reason_in(&*e).unwrap_or_else(|| panic!("{e:?} has no reason"));
                assert!(reason.any_cause_is(CancelKind::User), "{e}");
            }
        });
        start.recv(&cx).await.unwrap();
        task.cancel(CancelKind::User);
        task.await.into_result().unwrap();

        // So a task that passes such an error on ends cancelled, not failed.
        let (_tx, mut rx) = mpsc::channel::<u8>(1);
        let region = cx.region(async |scope| {
            let (started, mut start) = oneshot::channel();
            let task = scope.try_spawn(async move |cx| {
                started.send(()).unwrap();
                let value = rx.recv(&cx).await?;
                Ok::<u8, Box<dyn Error + Send + Sync>>(value)
            });
            start.recv(&scope).await.unwrap();
            task.cancel(CancelKind::User);
            assert!(task.await.is_cancelled());
        });
        assert_eq!(
            region.await.unwrap_err().cancel_reason().unwrap().kind,
            CancelKind::User
        );

        let closed = std::io::Error::from(mpsc::SendError::Closed("value"));
        assert_eq!(closed.kind(), std::io::ErrorKind::BrokenPipe);
        assert!(reason_in(&closed).is_none());
    });
}

#[test]
fn a_channel_that_is_always_ready_does_not_starve_others() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let stop = Arc::new(AtomicUsize::new(0));
        let seen = stop.clone();
        let spinner = cx.spawn(async move |cx| {
            // Never has to wait: only the turn budget makes it yield.
            while seen.load(Ordering::Relaxed) == 0 {
                tx.send(&cx, ()).await.unwrap();
                rx.recv(&cx).await.unwrap();
            }
        });
        let stopper = cx.spawn(async move |_cx| stop.store(1, Ordering::Relaxed));
        stopper.await.into_result().unwrap();
        spinner.await.into_result().unwrap();
    });
}

/// What the sending side of a oneshot does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Send,
    Drop,
    ReserveSend,
    ReserveAbort,
}

#[test]
fn oneshot_table() {
    everywhere(async |cx: Scope| {
        for act in [Act::Send, Act::Drop, Act::ReserveSend, Act::ReserveAbort] {
            let sends = matches!(act, Act::Send | Act::ReserveSend);
            let go = |tx: oneshot::Sender<u8>, cx: &Cx| match act {
                Act::Send => Some(tx.send(1)),
                Act::ReserveSend => Some(tx.reserve(cx).send(1)),
                Act::Drop => None,
                Act::ReserveAbort => {
                    tx.reserve(cx).abort();
                    None
                }
            };
            let expected = if sends {
                Ok(1)
            } else {
                Err(oneshot::RecvError::Closed)
            };

            // Before, and while, the receiver waits.
            let (tx, mut rx) = oneshot::channel();
            assert_eq!(rx.try_recv(), Err(oneshot::TryRecvError::Empty));
            assert!(go(tx, &cx).is_none_or(|sent| sent == Ok(())));
            assert_eq!(rx.recv(&cx).await, expected, "{act:?}");
            assert_eq!(
                rx.recv(&cx).await,
                Err(oneshot::RecvError::Closed),
                "{act:?} again"
            );

            let (tx, mut rx) = oneshot::channel();
            let (count, wake) = Count::new();
            let mut recv = rx.recv(&cx);
            assert!(poll(&mut recv, &wake).is_pending());
            go(tx, &cx);
            assert_eq!(count.get(), 1, "{act:?} wakes the receiver once");
            assert_eq!(poll(&mut recv, &wake), Poll::Ready(expected), "{act:?}");

            // After the receiver has gone, and after it has closed.
            let (tx, rx) = oneshot::channel();
            assert!(!tx.is_closed());
            drop(rx);
            assert!(tx.is_closed());
            assert!(
                go(tx, &cx).is_none_or(|sent| sent == Err(1)),
                "{act:?} comes back"
            );
            let (tx, mut rx) = oneshot::channel();
            rx.close();
            assert!(
                go(tx, &cx).is_none_or(|sent| sent == Err(1)),
                "{act:?} comes back"
            );
            assert_eq!(rx.try_recv(), Err(oneshot::TryRecvError::Closed));
        }

        // A value sent before the receiver closes is still received.
        let (tx, mut rx) = oneshot::channel();
        tx.send(1).unwrap();
        rx.close();
        assert_eq!(rx.try_recv(), Ok(1));

        // A sender that watches its receiver.
        let (mut tx, rx) = oneshot::channel::<u8>();
        let (count, wake) = Count::new();
        assert!(poll(&mut tx.closed(&cx), &wake).is_pending());
        let mut closed = tx.closed(&cx);
        assert!(poll(&mut closed, &wake).is_pending());
        drop(rx);
        assert_eq!(count.get(), 1, "only the future that still waits");
        assert_eq!(poll(&mut closed, &wake), Poll::Ready(Ok(())));

        // A value nobody received is dropped with its receiver.
        let value = Arc::new(());
        let (tx, rx) = oneshot::channel();
        tx.send(value.clone()).unwrap();
        drop(rx);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_oneshot_recv_cancelled_or_dropped_keeps_the_value() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = oneshot::channel();
        {
            let mut recv = pin!(rx.recv(&cx));
            let (_, wake) = Count::new();
            assert!(
                recv.as_mut()
                    .poll(&mut Context::from_waker(&wake))
                    .is_pending()
            );
        }
        tx.send(1).unwrap();
        let (started, mut start) = oneshot::channel();
        let task = cx.spawn(async move |cx| {
            started.send(()).unwrap();
            cx.cancelled().await;
            assert!(matches!(
                rx.recv(&cx).await,
                Err(oneshot::RecvError::Cancelled(_))
            ));
            rx.recv(cx.cleanup()).await
        });
        start.recv(&cx).await.unwrap();
        task.cancel(CancelKind::User);
        assert_eq!(task.await.into_result().unwrap(), Ok(1));
    });
}
