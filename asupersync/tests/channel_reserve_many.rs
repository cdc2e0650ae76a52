//! Many places of a channel reserved in one step: who waits for whom, what is lost
//! (nothing), and whose promise a place is.

use asupersync::channel::mpsc::{self, ReserveManyError, TooMany, TryReserveManyError};
use asupersync::types::obligation::{LeakResponse, ObligationKind};
use asupersync::{
    CancelKind, Cx, ErrorKind, LabConfig, LabRuntime, RegionOptions, Runtime, Scope, TaskHandle,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

mod by_hand;
mod worlds;
use by_hand::{Count, poll};
use worlds::{every_schedule, everywhere, in_lab, until, whoever_is_lost};

/// Sends all of the values, or none.
async fn send_many<T>(
    cx: &Cx,
    tx: &mpsc::Sender<T>,
    values: Vec<T>,
) -> Result<(), ReserveManyError> {
    let places = tx.reserve_many(cx, values.len()).await?;
    assert_eq!(places.len(), values.len());
    for (place, value) in places.zip(values) {
        place.send(value).map_err(|_| ReserveManyError::Closed)?;
    }
    Ok(())
}

fn is_untouched<T>(tx: &mpsc::Sender<T>) -> bool {
    let now = tx.statistics();
    (now.queued, now.reserved, now.waiting) == (0, 0, 0)
}

#[test]
fn places_are_taken_out_one_by_one_and_the_rest_comes_back() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(4);
        let mut places = tx.reserve_many(&cx, 3).await.unwrap();
        assert_eq!((places.len(), tx.statistics().reserved), (3, 3));
        places.next().unwrap().send(1).unwrap();
        places.next().unwrap().abort();
        assert_eq!(places.size_hint(), (1, Some(1)));
        assert!(format!("{places:?}").contains("left: 1"), "{places:?}");
        let now = tx.statistics();
        assert_eq!((now.queued, now.reserved), (1, 1));
        let full = tx.try_reserve_many(&cx, 3);
        assert_eq!(full.unwrap_err(), TryReserveManyError::Full);
        drop(places);
        assert_eq!(tx.statistics().reserved, 0);

        let mut places = tx.try_reserve_many(&cx, 3).unwrap();
        let mut all: Vec<_> = places.by_ref().collect();
        assert!(places.next().is_none() && places.next().is_none(), "fused");
        drop(places);
        assert_eq!(tx.statistics().reserved, 3, "each is its own");
        all.pop().unwrap().send(2).unwrap();
        all.into_iter().for_each(mpsc::Permit::abort);
        assert_eq!(rx.drain().collect::<Vec<_>>(), [1, 2]);
        assert!(is_untouched(&tx));
    });
}

#[test]
fn no_places_are_had_at_once_and_too_many_never() {
    everywhere(async |cx: Scope| {
        let (tx, rx) = mpsc::channel(2);
        let full = tx.reserve_many(&cx, 2).await.unwrap();
        // Nobody is passed by who takes nothing.
        let waiting = tx.clone();
        let waiter = cx.spawn(async move |cx| waiting.send(&cx, 1).await);
        until(&cx, || tx.statistics().waiting == 1).await;
        assert_eq!(tx.reserve_many(&cx, 0).await.unwrap().len(), 0);
        assert_eq!(tx.try_reserve_many(&cx, 0).unwrap().len(), 0);

        let too_many = TooMany {
            wanted: 3,
            capacity: 2,
        };
        let error = tx.reserve_many(&cx, 3).await.unwrap_err();
        assert_eq!(error, ReserveManyError::TooMany(too_many));
        assert_eq!(
            error.to_string(),
            "the channel has 2 places and will never have 3: reserve fewer at a time, or make it larger"
        );
        let io = std::io::Error::from(error.clone());
        assert_eq!(io.kind(), std::io::ErrorKind::InvalidInput);
        assert_eq!(asupersync::Error::from(error).kind(), ErrorKind::Config);
        let error = tx.try_reserve_many(&cx, 3).unwrap_err();
        assert_eq!(error, TryReserveManyError::TooMany(too_many));
        assert_eq!(asupersync::Error::from(error).kind(), ErrorKind::Config);
        let refused = tx.try_reserve_many(&cx, 1).unwrap_err();
        assert_eq!(
            asupersync::Error::from(refused).kind(),
            ErrorKind::ChannelFull
        );

        drop(full);
        waiter.await.into_result().unwrap().unwrap();
        drop(rx);
        for n in 0..3 {
            let error = tx.try_reserve_many(&cx, n).unwrap_err();
            assert_eq!(error, TryReserveManyError::Closed, "{n}");
            let error = tx.reserve_many(&cx, n).await.unwrap_err();
            assert_eq!(error, ReserveManyError::Closed, "{n}");
            assert_eq!(
                asupersync::Error::from(error).kind(),
                ErrorKind::ChannelClosed
            );
        }
    });
}

/// Tasks that want so many places each, in the order of the line; and the names of
/// those who got them, in the order in which they did.
struct Lined {
    tasks: Vec<TaskHandle<Result<(), ReserveManyError>>>,
    got: Arc<Mutex<Vec<usize>>>,
}

impl Lined {
    async fn up(cx: &Scope, tx: &mpsc::Sender<usize>, wants: &[usize]) -> Self {
        let (mut tasks, got) = (Vec::new(), Arc::<Mutex<Vec<_>>>::default());
        for (name, want) in wants.iter().enumerate() {
            let (tx, got, want) = (tx.clone(), got.clone(), *want);
            let waits = tx.clone();
            tasks.push(cx.spawn(async move |cx| {
                let places = tx.reserve_many(&cx, want).await?;
                assert_eq!(places.len(), want);
                got.lock().unwrap().push(name);
                places.for_each(|place| place.send(name).unwrap());
                Ok(())
            }));
            // One by one, so that the line is in the order of the names.
            until(cx, || waits.statistics().waiting == name + 1).await;
        }
        Lined { tasks, got }
    }

    /// Everyone who is still there ends well, and got its places in this order.
    async fn end(self, order: &[usize]) {
        for task in self.tasks {
            task.await.into_result().unwrap().unwrap();
        }
        assert_eq!(*self.got.lock().unwrap(), order);
    }
}

/// A channel for four values with as many in it.
fn full() -> (mpsc::Sender<usize>, mpsc::Receiver<usize>) {
    let (tx, rx) = mpsc::channel(4);
    (0..4).for_each(|_| tx.try_send(usize::MAX).unwrap());
    (tx, rx)
}

// Neighbours in these lines, also when one in between is gone, want more together
// than there is: one has its places, and has said so, before the next can get them.

#[test]
fn who_wants_many_is_not_passed_by_who_wants_few() {
    everywhere(async |cx: Scope| {
        const WANTS: [usize; 7] = [1, 4, 1, 4, 2, 3, 2];
        let (tx, mut rx) = full();
        let lined = Lined::up(&cx, &tx, &WANTS).await;
        let all = WANTS.iter().sum::<usize>() + 4;
        for _ in 0..all {
            rx.recv(&cx).await.unwrap();
            let now = rx.statistics();
            assert!(now.queued + now.reserved <= 4);
            if now.waiting > 0 {
                // Whoever comes now passes nobody.
                let barging = tx.try_reserve(&cx).map(mpsc::Permit::abort);
                assert_eq!(barging, Err(mpsc::TryReserveError::Full));
            }
        }
        lined.end(&[0, 1, 2, 3, 4, 5, 6]).await;
        assert!(is_untouched(&tx));
    });
}

#[test]
fn a_waiter_cancelled_at_any_place_in_line_hands_on_what_it_has_collected() {
    const WANTS: [usize; 4] = [3, 2, 4, 3];
    everywhere(async |cx: Scope| {
        for victim in 0..WANTS.len() {
            for collected in 0..3 {
                let (tx, mut rx) = full();
                let mut lined = Lined::up(&cx, &tx, &WANTS).await;
                for _ in 0..collected {
                    assert_eq!(rx.try_recv(), Ok(usize::MAX));
                }
                let now = tx.statistics();
                let now = (now.queued, now.reserved, now.waiting);
                let expected = (4 - collected, collected, WANTS.len());
                assert_eq!(now, expected, "the first collects");
                let task = lined.tasks.remove(victim);
                task.cancel(CancelKind::User);
                let Err(ReserveManyError::Cancelled(c)) = task.await.into_result().unwrap() else {
                    panic!("{victim} was cancelled");
                };
                assert_eq!(c.reason().kind, CancelKind::User);

                let mut survivors: Vec<_> = (0..WANTS.len()).collect();
                survivors.remove(victim);
                let wanted: usize = survivors.iter().map(|name| WANTS[*name]).sum();
                for _ in 0..4 - collected + wanted {
                    assert_ne!(rx.recv(&cx).await, Ok(victim), "{collected}");
                }
                lined.end(&survivors).await;
                assert!(is_untouched(&tx), "{victim}, {collected}");
            }
        }
    });
}

#[test]
fn futures_dropped_in_any_state_wake_exactly() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(3);
        (0..3).for_each(|n| tx.try_send(n).unwrap());
        drop(tx.reserve_many(&cx, 2));
        let (a, wake_a) = Count::new();
        let (b, wake_b) = Count::new();
        let (c, wake_c) = Count::new();
        let woken = || (a.get(), b.get(), c.get());
        let mut first = tx.reserve_many(&cx, 3);
        let mut second = tx.reserve(&cx);
        let mut third = tx.reserve_many(&cx, 2);
        assert!(poll(&mut first, &wake_a).is_pending());
        assert!(poll(&mut second, &wake_b).is_pending());
        assert!(poll(&mut third, &wake_c).is_pending());
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(0), Ok(1)));
        assert_eq!(woken(), (0, 0, 0), "nobody has all that it wants");
        assert!(poll(&mut first, &wake_a).is_pending());
        // It has two: one for the second, and one for the third, who wants one more.
        drop(first);
        assert_eq!(woken(), (0, 1, 0));
        assert_eq!(rx.try_recv(), Ok(2));
        assert_eq!(woken(), (0, 1, 1));
        // Granted and dropped unseen.
        drop(third);
        let Poll::Ready(Ok(permit)) = poll(&mut second, &wake_b) else {
            panic!("the second was granted");
        };
        assert_eq!(tx.statistics().reserved, 1);
        permit.abort();
        assert!(is_untouched(&tx));
    });
}

#[test]
fn places_given_back_wake_more_than_fit_into_a_batch() {
    const WAITERS: usize = 40;
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(WAITERS);
        let places = tx.reserve_many(&cx, WAITERS).await.unwrap();
        let lined = Lined::up(&cx, &tx, &[1; WAITERS]).await;
        drop(places);
        for task in lined.tasks {
            task.await.into_result().unwrap().unwrap();
        }
        assert_eq!(rx.drain().collect::<Vec<_>>().len(), WAITERS);
        assert!(is_untouched(&tx));
    });
}

#[test]
fn closing_tells_who_waits_and_the_receiver_when_the_last_place_is_back() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(3);
        tx.try_send(1).unwrap();
        // It has two, and wants three.
        let sender = tx.clone();
        let waiter = cx.spawn(async move |cx| sender.reserve_many(&cx, 3).await.map(drop));
        until(&cx, || tx.statistics().reserved == 2).await;
        rx.close();
        assert_eq!(rx.recv(&cx).await, Ok(1));
        assert_eq!(rx.recv(&cx).await, Err(mpsc::RecvError::Closed));
        let told = waiter.await.into_result().unwrap();
        assert_eq!(told, Err(ReserveManyError::Closed));
        assert!(is_untouched(&tx));

        // Places that were reserved before can be used after.
        let (tx, mut rx) = mpsc::channel(3);
        let mut places = tx.reserve_many(&cx, 3).await.unwrap();
        rx.close();
        places.next().unwrap().send(1).unwrap();
        assert_eq!(rx.recv(&cx).await, Ok(1));
        let receiver = cx.spawn(async move |cx| rx.recv(&cx).await);
        cx.yield_now().await.unwrap();
        drop(places);
        let ended = receiver.await.into_result().unwrap();
        assert_eq!(ended, Err(mpsc::RecvError::Closed));

        // Without a receiver a permit says so, and the rest can be dropped.
        let (tx, rx) = mpsc::channel(3);
        let mut places = tx.reserve_many(&cx, 3).await.unwrap();
        drop(rx);
        let error = places.next().unwrap().send(1).unwrap_err();
        assert_eq!(error, mpsc::SendError::Closed(1));
        drop(places);
        assert!(is_untouched(&tx));
    });
}

/// Whoever is lost at whatever point: what was reserved together arrives, all of it or
/// nothing, and no place drifts away.
#[test]
fn nothing_is_lost_whoever_is_cancelled_or_dropped() {
    let points = whoever_is_lost(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(4);
        let sent = Arc::new(AtomicUsize::new(0));
        for name in 0..2usize {
            let (tx, sent) = (tx.clone(), sent.clone());
            cx.spawn(async move |cx| {
                for n in 0..2 {
                    if send_many(&cx, &tx, vec![(name, n); 3]).await.is_err() {
                        break;
                    }
                    sent.fetch_add(3, Ordering::Relaxed);
                }
            });
        }
        for name in 2..4usize {
            let (tx, sent) = (tx.clone(), sent.clone());
            cx.spawn(async move |cx| {
                if tx.send(&cx, (name, 0)).await.is_ok() {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let weak = tx.downgrade();
        drop(tx);
        let mut received = BTreeMap::<(usize, usize), usize>::new();
        while let Ok(value) = rx.recv(cx.cleanup()).await {
            *received.entry(value).or_default() += 1;
        }
        assert!(weak.upgrade().is_none());
        let all: usize = received.values().sum();
        assert_eq!(all, sent.load(Ordering::Relaxed));
        for ((name, _), times) in &received {
            assert_eq!(*times, if *name < 2 { 3 } else { 1 }, "{received:?}");
        }
        let left = rx.statistics();
        assert_eq!((left.queued, left.reserved, left.waiting), (0, 0, 0));
    });
    assert!(points >= 6, "{points}");
}

#[test]
fn cancels_that_race_with_grants_lose_no_place() {
    let runtime = Runtime::builder().worker_threads(3).build().unwrap();
    let ended = runtime.block_on(async |cx: Scope| {
        for round in 0..200 {
            let (tx, mut rx) = mpsc::channel(4);
            let begun = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..6)
                .map(|name| {
                    let (tx, want) = (tx.clone(), 1 + (round + name) % 4);
                    let begun = begun.clone();
                    cx.spawn(async move |cx| {
                        begun.fetch_add(1, Ordering::Relaxed);
                        let mut sent = 0;
                        while sent < 12 && send_many(&cx, &tx, vec![name; want]).await.is_ok() {
                            sent += want;
                        }
                        sent
                    })
                })
                .collect();
            until(&cx, || begun.load(Ordering::Relaxed) == 6).await;
            let weak = tx.downgrade();
            drop(tx);
            let mut received = 0;
            while rx.recv(&cx).await.is_ok() {
                received += 1;
                if received % 4 == round % 4 {
                    tasks[received % 6].cancel(CancelKind::User);
                }
            }
            let mut sent = 0;
            for task in tasks {
                sent += task.await.into_result().unwrap();
            }
            assert_eq!(received, sent, "{round}");
            let left = weak.statistics();
            assert_eq!(
                (left.queued, left.reserved, left.waiting),
                (0, 0, 0),
                "{round}"
            );
        }
    });
    ended.unwrap();
}

/// Several who want many of four places, beside some who want one, and one who
/// receives: the lab would call a run in which they wait for each other stuck.
#[test]
fn those_who_collect_do_not_wait_for_each_other_under_any_schedule() {
    for (wants, yields) in [
        (&[3, 3, 1][..], true),
        (&[2, 4, 3], true),
        (&[3, 3, 1, 1], false),
        (&[3, 1, 3, 2], false),
    ] {
        let expected: BTreeMap<_, _> = wants.iter().copied().enumerate().collect();
        let schedules = every_schedule(
            async |cx: Scope| {
                let (tx, mut rx) = mpsc::channel(4);
                tx.try_send(usize::MAX).unwrap();
                for (name, want) in wants.iter().enumerate() {
                    let (tx, want) = (tx.clone(), *want);
                    cx.spawn(async move |cx| match want {
                        1 => tx.send(&cx, name).await.unwrap(),
                        _ => send_many(&cx, &tx, vec![name; want]).await.unwrap(),
                    });
                }
                drop(tx);
                assert_eq!(rx.recv(&cx).await, Ok(usize::MAX));
                let mut received = BTreeMap::<_, usize>::new();
                while let Ok(name) = rx.recv(&cx).await {
                    *received.entry(name).or_default() += 1;
                    if yields {
                        cx.yield_now().await.unwrap();
                    }
                }
                received
            },
            |received| assert_eq!(received, expected),
        );
        assert!(schedules > 400, "{wants:?}: {schedules}");
    }
}

/// Deals with four places.
type Deal = fn(mpsc::PermitIterator<'_, u8>);

/// How many promises a task of production leaves behind.
fn leaks(deal: Deal) -> usize {
    let counts = Runtime::builder().current_thread();
    let runtime = counts.leak_response(LeakResponse::Count).build().unwrap();
    let ended = runtime.block_on(async |cx: Scope| {
        let region = cx.region_report(RegionOptions::default(), async |scope: Scope| {
            let task = scope.spawn(async move |cx: Cx| {
                let (tx, _rx) = mpsc::channel(5);
                deal(tx.reserve_many(&cx, 4).await.unwrap());
            });
            task.await.into_result().unwrap();
        });
        region.await.unwrap().report.leaks
    });
    let leaks = ended.unwrap();
    assert!(
        leaks
            .iter()
            .all(|leak| leak.kind == ObligationKind::SendPermit)
    );
    leaks.len()
}

/// Whether a strict lab accepts that.
fn lab_accepts(deal: Deal) -> bool {
    let lab = LabRuntime::new(LabConfig::default().seed(1));
    let ran = lab.try_run(async |cx: Scope| {
        let (tx, _rx) = mpsc::channel(5);
        deal(tx.reserve_many(&cx, 4).await.unwrap());
    });
    ran.is_ok()
}

#[test]
fn what_is_left_is_one_promise_and_each_place_taken_out_another() {
    let table: [(&str, Deal, usize, bool); 8] = [
        (
            "used",
            |places| places.for_each(|place| place.send(1).unwrap()),
            0,
            true,
        ),
        (
            "aborted",
            |places| places.for_each(mpsc::Permit::abort),
            0,
            true,
        ),
        ("dropped", |places| drop(places), 0, true),
        (
            "one used, the rest dropped",
            |mut places| places.next().unwrap().send(1).unwrap(),
            0,
            true,
        ),
        (
            "one taken out and dropped",
            |mut places| drop(places.next()),
            0,
            false,
        ),
        ("forgotten", |places| std::mem::forget(places), 1, false),
        (
            "three forgotten, and what is left",
            |mut places| {
                places.by_ref().take(3).for_each(std::mem::forget);
                assert_eq!(places.len(), 1);
                std::mem::forget(places);
            },
            4,
            false,
        ),
        (
            "all forgotten: the last takes the promise of the rest along",
            |mut places| {
                places.by_ref().for_each(std::mem::forget);
                assert_eq!(places.len(), 0);
            },
            4,
            false,
        ),
    ];
    for (case, deal, leaked, accepted) in table {
        assert_eq!(leaks(deal), leaked, "{case}");
        assert_eq!(lab_accepts(deal), accepted, "{case}");
    }
}

#[test]
fn places_that_are_handed_over_are_promised_by_whoever_has_them() {
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(3);
        // The body of the inner region reserves, and the one outside takes over.
        let places = cx
            .region(async |scope: Scope| {
                let places = tx.try_reserve_many(&scope, 3).unwrap();
                places.transfer(&cx)
            })
            .await
            .unwrap();
        assert_eq!(places.len(), 3);
        for (place, n) in places.zip(1..) {
            place.send(n).unwrap();
        }
        assert_eq!(rx.drain().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(is_untouched(&tx));
    });
}
