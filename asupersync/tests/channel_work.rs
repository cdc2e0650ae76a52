//! Queues with acknowledgement and calls, through real tasks, in every world.

use asupersync::channel::ack_queue::{self, Ack, Redelivery, ack_queue};
use asupersync::channel::rpc::{self, CallError, Reply, rpc};
use asupersync::types::cancel::reason_in;
use asupersync::{CancelKind, Cx, LabConfig, LabRuntime, Scope, TimeoutError, select};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab, until, whoever_is_lost};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn committed_messages_are_delivered_once_and_places_come_back() {
    const MESSAGES: u32 = 100;
    everywhere(async |cx: Scope| {
        let (tx, rx) = ack_queue(3, Redelivery::attempts(1));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (rx, seen) = (rx.clone(), seen.clone());
                cx.spawn(async move |cx| {
                    while let Ok((n, ack)) = rx.recv(&cx).await {
                        assert_eq!(ack.attempt(), 1);
                        seen.lock().unwrap().push(n);
                        cx.yield_now().await.unwrap();
                        ack.commit();
                    }
                })
            })
            .collect();
        drop(rx);
        for n in 0..MESSAGES {
            match n % 3 {
                0 => tx.send(&cx, n).await.unwrap(),
                1 => tx.reserve(&cx).await.unwrap().send(n).unwrap(),
                _ => {
                    while tx.try_send(n).is_err() {
                        cx.yield_now().await.unwrap();
                    }
                }
            }
            let s = tx.statistics();
            assert!(s.queued + s.in_flight + s.reserved <= 3, "{s:?}");
        }
        let idle = tx.clone();
        drop(tx);
        until(&cx, || {
            idle.statistics().in_flight + idle.statistics().queued == 0
        })
        .await;
        drop(idle);
        for worker in workers {
            worker.await.into_result().unwrap();
        }
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_handed_back_goes_before_what_is_new_in_the_order_of_handing_back() {
    everywhere(async |cx: Scope| {
        let (tx, rx) = ack_queue(8, Redelivery::attempts(2));
        for n in 1..=4 {
            tx.try_send(n).unwrap();
        }
        let (_, first) = rx.recv(&cx).await.unwrap();
        let (_, second) = rx.recv(&cx).await.unwrap();
        second.nack();
        first.nack();
        let mut order = Vec::new();
        for _ in 0..4 {
            let (n, ack) = rx.recv(&cx).await.unwrap();
            order.push((n, ack.attempt()));
            ack.commit();
        }
        assert_eq!(order, [(2, 2), (1, 2), (3, 1), (4, 1)]);
        drop(tx);
        let end = rx.recv(&cx).await.map(|(n, _)| n);
        assert_eq!(end, Err(ack_queue::RecvError::Closed));
    });
}

#[test]
fn a_message_comes_back_after_its_delay_and_ends_as_a_dead_letter() {
    in_lab(async |cx: Scope| {
        let rule = Redelivery::attempts(3).after(10 * SECOND);
        let (tx, rx) = ack_queue(2, rule);
        tx.send(&cx, "a").await.unwrap();
        let start = cx.now();
        for attempt in 1..=3 {
            let (message, ack) = rx.recv(&cx).await.unwrap();
            assert_eq!((message, ack.attempt()), ("a", attempt));
            let due = start + (attempt - 1) * 10 * SECOND;
            assert_eq!(cx.now(), due, "at the exact instant");
            ack.nack();
        }
        assert_eq!(tx.statistics().dead, 1);
        // It keeps its place until somebody takes it.
        tx.try_send("b").unwrap();
        assert_eq!(tx.try_send("c"), Err(ack_queue::TrySendError::Full("c")));
        let dead: Vec<_> = rx.dead_letters().collect();
        let expected = ack_queue::DeadLetter {
            value: "a",
            attempts: 3,
        };
        assert_eq!(dead, [expected]);
        tx.try_send("c").unwrap();
        assert_eq!(tx.dead_letters().len(), 0);
    });
}

#[test]
fn receivers_that_wait_already_hear_of_a_delayed_message() {
    in_lab(async |cx: Scope| {
        let (tx, rx) = ack_queue(2, Redelivery::attempts(9).after(SECOND));
        let others: Vec<_> = (0..3)
            .map(|_| {
                let rx = rx.clone();
                cx.spawn(async move |cx| match rx.recv(&cx).await {
                    Ok((n, ack)) => {
                        ack.commit();
                        Some((n, cx.now()))
                    }
                    Err(_) => None,
                })
            })
            .collect();
        tx.send(&cx, 1).await.unwrap();
        let (_, ack) = loop {
            match rx.try_recv(&cx) {
                Ok(got) => break got,
                // One of the others has it.
                Err(_) if tx.statistics().in_flight + tx.statistics().queued == 0 => return,
                Err(_) => cx.yield_now().await.unwrap(),
            }
        };
        until(&cx, || tx.statistics().waiting_to_receive == 3).await;
        let due = cx.now() + SECOND;
        ack.nack();
        drop((tx, rx));
        let mut got = Vec::new();
        for other in others {
            got.extend(other.await.into_result().unwrap());
        }
        assert_eq!(got, [(1, due)], "one of them, when it is due");
    });
}

/// How a worker loses a message.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Cancelled,
    Panicked,
    Dropped,
}

#[test]
fn a_message_whose_worker_is_lost_is_delivered_again() {
    for loss in [Loss::Cancelled, Loss::Panicked, Loss::Dropped] {
        everywhere(async |cx: Scope| {
            let (tx, rx) = ack_queue(1, Redelivery::attempts(2));
            tx.send(&cx, 7).await.unwrap();
            let worker = rx.clone();
            // In a region of its own, which may fail.
            let region = cx.region(async move |scope| {
                let queue = worker.clone();
                let task = scope.spawn(async move |cx| {
                    let (n, _ack) = worker.recv(&cx).await.unwrap();
                    assert_eq!(n, 7);
                    match loss {
                        Loss::Cancelled => drop(cx.cancelled().await),
                        Loss::Panicked => panic!("planted"),
                        Loss::Dropped => _ack.nack(),
                    }
                });
                if let Loss::Cancelled = loss {
                    until(&scope, || queue.statistics().in_flight == 1).await;
                    task.cancel(CancelKind::User);
                }
                drop(task.await);
            });
            drop(region.await);
            let (n, ack) = rx.recv(&cx).await.unwrap();
            assert_eq!((n, ack.attempt()), (7, 2), "{loss:?}");
            ack.commit();
            assert_eq!(tx.statistics().queued + tx.statistics().in_flight, 0);
        });
    }
}

#[test]
fn a_receiver_cancelled_after_its_grant_passes_it_on() {
    in_lab(async |cx: Scope| {
        let (tx, rx) = ack_queue(2, Redelivery::attempts(1));
        let worker = |rx: ack_queue::Receiver<u8>| {
            cx.spawn(async move |cx| match rx.recv(&cx).await {
                Ok((n, ack)) => {
                    ack.commit();
                    Some(n)
                }
                Err(_) => None,
            })
        };
        let first = worker(rx.clone());
        until(&cx, || tx.statistics().waiting_to_receive == 1).await;
        let second = worker(rx.clone());
        until(&cx, || tx.statistics().waiting_to_receive == 2).await;
        tx.try_send(1).unwrap();
        assert!(
            matches!(rx.try_recv(&cx), Err(ack_queue::TryRecvError::Empty)),
            "no newcomer passes the line"
        );
        first.cancel(CancelKind::User);
        assert_eq!(second.await.into_result().unwrap(), Some(1));
        assert_eq!(first.await.into_result().unwrap(), None);
    });
}

#[test]
fn the_last_receiver_takes_along_what_is_left_and_wakes_senders() {
    everywhere(async |cx: Scope| {
        let value = Arc::new(());
        let (tx, rx) = ack_queue(2, Redelivery::attempts(2));
        tx.send(&cx, value.clone()).await.unwrap();
        let (_, ack) = rx.recv(&cx).await.unwrap();
        tx.send(&cx, value.clone()).await.unwrap();
        let (waiting, watching) = (tx.clone(), tx.clone());
        let late = value.clone();
        let sender = cx.spawn(async move |cx| waiting.send(&cx, late).await);
        let watcher = cx.spawn(async move |cx| watching.closed(&cx).await);
        until(&cx, || tx.statistics().waiting_to_send == 1).await;
        drop(rx);
        assert!(tx.is_closed());
        let refused = sender.await.into_result().unwrap();
        assert!(matches!(refused, Err(ack_queue::SendError::Closed(_))));
        assert_eq!(watcher.await.into_result().unwrap(), Ok(()));
        ack.nack();
        drop(refused);
        assert_eq!(Arc::strong_count(&value), 1, "nothing is kept");
    });
}

#[test]
fn a_closed_queue_ends_once_everything_was_dealt_with() {
    everywhere(async |cx: Scope| {
        let (tx, rx) = ack_queue(4, Redelivery::attempts(2));
        let permit = tx.reserve(&cx).await.unwrap();
        rx.close();
        assert!(matches!(
            tx.try_send(0),
            Err(ack_queue::TrySendError::Closed(0))
        ));
        let other = rx.clone();
        let end = cx.spawn(async move |cx| {
            other.recv(&cx).await.map(|(n, ack)| {
                ack.commit();
                n
            })
        });
        permit.send(3).unwrap();
        assert_eq!(end.await.into_result().unwrap(), Ok(3));
        assert!(matches!(
            rx.recv(&cx).await,
            Err(ack_queue::RecvError::Closed)
        ));
    });
}

#[test]
fn an_ack_can_be_passed_to_another_task() {
    in_lab(async |cx: Scope| {
        let (tx, rx) = ack_queue(1, Redelivery::attempts(1));
        tx.try_send(1).unwrap();
        let (_, ack) = rx.recv(&cx).await.unwrap();
        let task = cx.spawn(async move |cx| ack.transfer(&cx).commit());
        task.await.into_result().unwrap();
        assert_eq!(tx.statistics().in_flight, 0);
    });
}

/// A value whose clone panics the first time.
struct Brittle(Arc<AtomicUsize>);

impl Clone for Brittle {
    fn clone(&self) -> Self {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "planted");
        Brittle(self.0.clone())
    }
}

#[test]
fn a_message_that_cannot_be_cloned_goes_back() {
    everywhere(async |cx: Scope| {
        let (tx, rx) = ack_queue(1, Redelivery::attempts(2));
        tx.send(&cx, Brittle(Arc::default())).await.unwrap();
        let worker = rx.clone();
        let region = cx.region(async move |scope| {
            drop(
                scope
                    .spawn(async move |cx| drop(worker.recv(&cx).await))
                    .await,
            );
        });
        assert!(region.await.is_err());
        let (_, ack) = rx.recv(&cx).await.unwrap();
        assert_eq!(ack.attempt(), 2);
        ack.commit();
    });
}

/// Every worker may be lost at any point; every message must still be committed
/// or become a dead letter, and none twice.
#[test]
fn at_least_once_whatever_is_lost() {
    let rule = Redelivery::attempts(3).after(Duration::from_millis(5));
    whoever_is_lost(async |cx: Scope| {
        let (tx, rx) = ack_queue(2, rule);
        let committed = Arc::new(Mutex::new(BTreeMap::new()));
        for _ in 0..2 {
            let (rx, committed) = (rx.clone(), committed.clone());
            cx.spawn(async move |cx: Cx| {
                while let Ok((n, ack)) = rx.recv(&cx).await {
                    if cx.sleep(Duration::from_millis(1)).await.is_err() {
                        ack.nack();
                        break;
                    }
                    *committed.lock().unwrap().entry(n).or_insert(0) += 1;
                    ack.commit();
                }
            });
        }
        let mut sent = Vec::new();
        for n in 0..4 {
            if tx.send(cx.cleanup(), n).await.is_ok() {
                sent.push(n);
            }
        }
        // What the others have lost is dealt with here.
        drop(tx);
        while let Ok((n, ack)) = rx.recv(cx.cleanup()).await {
            *committed.lock().unwrap().entry(n).or_insert(0) += 1;
            ack.commit();
        }
        let dead: Vec<u32> = rx.dead_letters().map(|d| d.value).collect();
        let committed = committed.lock().unwrap();
        for n in sent {
            let times = committed.get(&n).copied().unwrap_or(0);
            assert!(times <= 1, "{n} was committed {times} times");
            assert_eq!(times == 0, dead.contains(&n), "{n} is lost");
        }
    });
}

/// What a server does with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Serve {
    Answers,
    Declines,
    Panics,
    IsCancelled,
    GoesUnseen,
    ClosesUnseen,
}

#[test]
fn every_call_is_answered_whatever_the_server_does() {
    use Serve::*;
    let all = [
        Answers,
        Declines,
        Panics,
        IsCancelled,
        GoesUnseen,
        ClosesUnseen,
    ];
    for serve in all {
        everywhere(async |cx: Scope| {
            let (client, mut server) = rpc::<u32, u32>(1);
            let caller = {
                let client = client.clone();
                cx.spawn(async move |cx| client.call(&cx, 20).await)
            };
            until(&cx, || client.statistics().queued == 1).await;
            let queue = client.clone();
            let region = cx.region(async move |scope| {
                let task = scope.spawn(async move |cx| {
                    if serve == ClosesUnseen {
                        server.close();
                    }
                    if matches!(serve, GoesUnseen | ClosesUnseen) {
                        return;
                    }
                    let (n, reply) = server.recv(&cx).await.unwrap();
                    match serve {
                        Answers => reply.send(n + 1).unwrap(),
                        Declines => reply.decline("not today"),
                        IsCancelled => {
                            drop(cx.cancelled().await);
                            drop(reply);
                        }
                        Panics => panic!("planted"),
                        GoesUnseen | ClosesUnseen => unreachable!(),
                    }
                });
                if serve == IsCancelled {
                    until(&scope, || queue.statistics().queued == 0).await;
                    task.cancel(CancelKind::User);
                }
                drop(task.await);
            });
            drop(region.await);
            let answer = caller.await.into_result().unwrap();
            let expected = match serve {
                Answers => Ok(21),
                Declines => Err(CallError::Declined("not today".into())),
                IsCancelled | Panics => Err(CallError::NoReply),
                GoesUnseen | ClosesUnseen => Err(CallError::Closed),
            };
            assert_eq!(answer, expected, "{serve:?}");
            let again = client.call(&cx, 1).await;
            assert_eq!(
                again,
                Err(CallError::Closed),
                "{serve:?}: the server is gone"
            );
        });
    }
}

#[test]
fn a_forgotten_call_and_a_forgotten_message_are_not_lost() {
    // In production, where forgetting is no violation.
    worlds::current_thread(async |cx: Scope| {
        let (client, mut server) = rpc::<u32, u32>(1);
        let caller = cx.spawn(async move |cx| client.call(&cx, 1).await);
        drop(server.recv(&cx).await.unwrap());
        let answer = caller.await.into_result().unwrap();
        assert_eq!(answer, Err(CallError::NoReply));

        let (tx, rx) = ack_queue(1, Redelivery::attempts(2));
        tx.try_send(1).unwrap();
        drop(rx.recv(&cx).await.unwrap());
        let (n, ack) = rx.recv(&cx).await.unwrap();
        assert_eq!((n, ack.attempt()), (1, 2));
        ack.commit();
    });
}

#[test]
fn the_lab_reports_a_reply_or_an_ack_that_a_running_task_forgets() {
    let accepts = |body: fn(Forget)| {
        let lab = LabRuntime::new(LabConfig::default().seed(1));
        lab.try_run(async move |cx: Scope| {
            let (client, mut server) = rpc::<u32, u32>(1);
            let (tx, rx) = ack_queue(1, Redelivery::attempts(1));
            tx.try_send(1).unwrap();
            let caller = cx.spawn(async move |cx| drop(client.call(&cx, 1).await));
            let (_, reply) = server.recv(&cx).await.unwrap();
            let (_, ack) = rx.recv(&cx).await.unwrap();
            body(Forget { reply, ack });
            caller.await.into_result().unwrap();
        })
        .is_ok()
    };
    assert!(accepts(|f| {
        f.reply.send(1).unwrap();
        f.ack.commit();
    }));
    assert!(!accepts(|f| {
        f.ack.commit();
        drop(f.reply);
    }));
    assert!(!accepts(|f| {
        f.reply.decline("no");
        drop(f.ack);
    }));
}

struct Forget {
    reply: Reply<u32>,
    ack: Ack<u32>,
}

#[test]
fn a_caller_with_a_deadline_leaves_a_server_that_loops() {
    in_lab(async |cx: Scope| {
        let (client, mut server) = rpc::<(), ()>(1);
        let gone = Arc::new(AtomicUsize::new(0));
        let noticed = gone.clone();
        let task = cx.spawn(async move |cx| {
            let ((), mut reply) = server.recv(&cx).await.unwrap();
            // Works for ever, but looks after its caller.
            loop {
                select! {
                    closed = reply.closed(&cx) => {
                        closed.unwrap();
                        assert!(reply.is_closed());
                        break;
                    }
                    slept = cx.sleep(SECOND) => slept.unwrap(),
                }
            }
            noticed.fetch_add(1, Ordering::Relaxed);
            assert_eq!(reply.send(()), Err(()), "nobody waits for it");
        });
        let start = cx.now();
        let seen = Arc::new(Mutex::new(None));
        let inner = seen.clone();
        let answer = cx
            .timeout(5 * SECOND, async move |scope: Scope| {
                let answer = client.call(&scope, ()).await;
                *inner.lock().unwrap() = Some(answer.clone());
                answer
            })
            .await;
        assert!(matches!(answer, Err(TimeoutError::Elapsed)), "{answer:?}");
        let seen = seen.lock().unwrap().take();
        let Some(Err(error @ CallError::Timeout(_))) = seen else {
            panic!("{seen:?}");
        };
        assert!(reason_in(&error).is_some(), "its source says why");
        assert_eq!(cx.now(), start + 5 * SECOND);
        task.await.into_result().unwrap();
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    });
}

/// The same by the clock of the system.
#[test]
fn a_caller_with_a_deadline_does_not_hang_in_production() {
    worlds::current_thread(async |cx: Scope| {
        let (client, mut server) = rpc::<(), ()>(1);
        let task = cx.spawn(async move |cx| {
            let ((), mut reply) = server.recv(&cx).await.unwrap();
            reply.closed(&cx).await.unwrap();
            assert_eq!(reply.send(()), Err(()), "nobody waits for it");
        });
        let answer = cx.timeout(Duration::from_millis(5), async |scope: Scope| {
            client.call(&scope, ()).await
        });
        let answer = answer.await;
        assert!(matches!(answer, Err(TimeoutError::Elapsed)), "{answer:?}");
        task.await.into_result().unwrap();
    });
}

#[test]
fn a_cancelled_call_that_nobody_has_received_is_passed_over() {
    everywhere(async |cx: Scope| {
        let (client, mut server) = rpc::<u32, u32>(4);
        let first = {
            let client = client.clone();
            cx.spawn(async move |cx| client.call(&cx, 1).await)
        };
        until(&cx, || client.statistics().queued == 1).await;
        first.cancel(CancelKind::User);
        let ended = first.await.into_result().unwrap();
        assert!(matches!(ended, Err(CallError::Cancelled(_))));
        let second = {
            let client = client.clone();
            cx.spawn(async move |cx| client.call(&cx, 2).await)
        };
        let (n, reply) = server.recv(&cx).await.unwrap();
        assert_eq!(n, 2);
        reply.send(4).unwrap();
        assert_eq!(second.await.into_result().unwrap(), Ok(4));
        assert!(matches!(
            server.try_recv(&cx),
            Err(rpc::TryRecvError::Empty)
        ));
        drop(client);
        assert!(matches!(
            server.recv(&cx).await,
            Err(rpc::RecvError::Closed)
        ));
    });
}

/// Whoever is lost, no caller hangs, and an answer is the answer to its question.
#[test]
fn no_call_hangs_whatever_is_lost() {
    whoever_is_lost(async |cx: Scope| {
        let (client, mut server) = rpc::<u32, u32>(1);
        cx.spawn(async move |cx: Cx| {
            while let Ok((n, reply)) = server.recv(&cx).await {
                let _ = cx.sleep(Duration::from_millis(1)).await;
                if n % 3 == 0 {
                    reply.decline("three");
                } else {
                    let _ = reply.send(n * 2);
                }
            }
        });
        let callers: Vec<_> = (1..4)
            .map(|n| {
                let client = client.clone();
                cx.spawn(async move |cx: Cx| (n, client.call(&cx, n).await))
            })
            .collect();
        drop(client);
        for caller in callers {
            if let Ok((n, Ok(answer))) = caller.await.into_result() {
                assert_eq!(answer, n * 2);
            }
        }
    });
}
