//! Streams: what the adapters give, and what a request does to them.

use asupersync::lab::{Inject, Injector};
use asupersync::stream::{Stream, StreamExt};
use asupersync::{CancelKind, Cx, LabConfig, Scope};
use futures::stream;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab, until};

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// Not ready once; wakes at once.
async fn wait_once() {
    let mut waited = false;
    std::future::poll_fn(|task| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn all<T>(cx: &Cx, stream: impl Stream<Item = T>) -> Vec<T> {
    let mut stream = pin!(stream);
    let mut all = Vec::new();
    while let Some(value) = stream.next(cx).await.unwrap() {
        all.push(value);
    }
    all
}

#[test]
fn adapters() {
    everywhere(async |cx: Scope| {
        let numbers = || stream::iter(1..=7);
        assert_eq!(
            all(&cx, numbers().map(|x| x * 2)).await,
            [2, 4, 6, 8, 10, 12, 14]
        );
        assert_eq!(
            all(&cx, numbers().filter(|x| x % 2 == 1)).await,
            [1, 3, 5, 7]
        );
        let chunks = all(&cx, numbers().chunks(n(3))).await;
        assert_eq!(chunks, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
        let mut merged = all(&cx, numbers().merge(stream::iter(10..13))).await;
        merged.sort_unstable();
        assert_eq!(merged, [1, 2, 3, 4, 5, 6, 7, 10, 11, 12]);
    });
}

#[test]
fn buffered_bodies_run_side_by_side_and_come_in_order() {
    in_lab(async |cx: Scope| {
        let (live, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let start = cx.now();
        let bodies = [3u64, 1, 2, 1, 1].map(|secs| {
            let (live, most) = (live.clone(), most.clone());
            async move |cx: Cx| {
                most.fetch_max(live.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                cx.sleep(Duration::from_secs(secs)).await.unwrap();
                live.fetch_sub(1, Ordering::Relaxed);
                secs
            }
        });
        let ends = all(&cx, stream::iter(bodies).buffered(&cx, n(2))).await;
        let ends: Vec<_> = ends.into_iter().map(|e| e.into_result().unwrap()).collect();
        assert_eq!(ends, [3, 1, 2, 1, 1]);
        assert_eq!(most.load(Ordering::Relaxed), 2);
        // 3 beside 1, whose place is free only when 3 was taken; then 2 beside 1; then 1.
        assert_eq!(cx.now().since(start), Duration::from_secs(3 + 2 + 1));
    });
}

#[test]
fn what_a_dropped_buffer_has_started_is_stopped_and_awaited() {
    in_lab(async |cx: Scope| {
        let ended = Arc::new(AtomicU32::new(0));
        cx.region(async |scope| {
            let bodies = [1u64, 100, 100].map(|secs| {
                let ended = ended.clone();
                async move |cx: Cx| {
                    let slept = cx.sleep(Duration::from_secs(secs)).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                    slept.is_ok()
                }
            });
            let mut buffered = pin!(stream::iter(bodies).buffered(&scope, n(3)));
            let first = buffered.next(&scope).await.unwrap().unwrap();
            assert!(first.into_result().unwrap());
        })
        .await
        .unwrap();
        assert_eq!(ended.load(Ordering::Relaxed), 3);
        assert_eq!(cx.now().as_nanos(), 1_000_000_000);
    });
}

#[test]
fn a_request_ends_a_stream_or_the_wait_for_it() {
    in_lab(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            let until = pin!(stream::pending::<u8>().take_until_cancelled(&cx));
            // Through code that knows no context.
            let seen: Vec<u8> = futures::StreamExt::collect(until).await;
            assert!(seen.is_empty());
            stream::pending::<u8>().next(&cx).await.is_err()
        });
        cx.sleep(Duration::from_secs(1)).await.unwrap();
        task.cancel(CancelKind::User);
        assert!(task.await.into_result().unwrap());
        // One that always has a value leaves the others their turn.
        let forever = cx.spawn(async |cx: Cx| {
            let until = stream::repeat(1u8).take_until_cancelled(&cx);
            futures::StreamExt::count(until).await
        });
        cx.yield_now().await.unwrap();
        forever.cancel(CancelKind::User);
        forever.await.into_result().ok();
    });
}

#[test]
fn a_cancel_at_any_await_leaves_every_value_taken_or_in_the_stream() {
    let report = Injector::new(LabConfig::default())
        .mode(Inject::Protocol)
        .check(async |cx: Scope| {
            let task = cx.spawn(async |cx: Cx| {
                let mut values = pin!(stream::unfold(0, async |n: u32| {
                    // Waits before every other value.
                    if n % 2 == 1 {
                        wait_once().await;
                    }
                    (n < 6).then_some((n, n + 1))
                }));
                let mut seen = Vec::new();
                loop {
                    let next = match values.next(&cx).await {
                        Ok(next) => next,
                        Err(_) => values.next(cx.cleanup()).await.unwrap(),
                    };
                    let Some(value) = next else { break };
                    seen.push(value);
                }
                assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
            });
            task.await.into_result().ok();
        });
    assert!(report.is_ok(), "{report}");
}

/// What the lab times above, wherever there are tasks.
#[test]
fn buffered_bodies_and_requests_in_every_world() {
    everywhere(async |cx: Scope| {
        let bodies = (0..20u32).map(|n| {
            async move |cx: Cx| {
                for _ in 0..(n * 7) % 5 {
                    cx.yield_now().await.unwrap();
                }
                n
            }
        });
        let ends = all(&cx, stream::iter(bodies).buffered(&cx, n(3))).await;
        let ends: Vec<_> = ends.into_iter().map(|e| e.into_result().unwrap()).collect();
        assert_eq!(ends, (0..20).collect::<Vec<_>>());

        let begun = Arc::new(AtomicU32::new(0));
        let (waits, ended) = (begun.clone(), Arc::new(AtomicU32::new(0)));
        let counted = ended.clone();
        let region = cx.region(async |scope: Scope| {
            let bodies = (0..3).map(|_| {
                let (begun, ended) = (begun.clone(), counted.clone());
                async move |cx: Cx| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    cx.cancelled().await;
                    ended.fetch_add(1, Ordering::SeqCst);
                }
            });
            let mut buffered = pin!(stream::iter(bodies).buffered(&scope, n(3)));
            assert!(futures::poll!(buffered.as_mut().next(&scope)).is_pending());
            until(&scope, || waits.load(Ordering::SeqCst) == 3).await;
        });
        region.await.unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), 3, "stopped, and awaited");

        let begun = Arc::new(AtomicU32::new(0));
        let waits = begun.clone();
        let task = cx.spawn(async move |cx: Cx| {
            begun.fetch_add(1, Ordering::SeqCst);
            let until = pin!(stream::pending::<u8>().take_until_cancelled(&cx));
            let seen: Vec<u8> = futures::StreamExt::collect(until).await;
            seen.is_empty() && stream::pending::<u8>().next(&cx).await.is_err()
        });
        until(&cx, || waits.load(Ordering::SeqCst) == 1).await;
        task.cancel(CancelKind::User);
        assert!(task.await.into_result().unwrap());
    });
}
