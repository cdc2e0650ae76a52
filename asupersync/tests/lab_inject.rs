//! The injector finds a planted fault at the points where it hurts, and nowhere else.
#![allow(
    clippy::let_underscore_future,
    reason = "a region awaits its tasks whether or not someone keeps their handles"
)]

use asupersync::channel::mpsc;
use asupersync::lab::{Inject, InjectReport, Injector, Points};
use asupersync::{Cx, LabConfig, Scope};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

fn inject<T>(mode: Inject, points: Points, body: impl AsyncFn(Scope) -> T) -> InjectReport {
    Injector::new(LabConfig::default().seed(4))
        .mode(mode)
        .points(points)
        .check(body)
}

fn failed(report: &InjectReport) -> Vec<u64> {
    report
        .failures
        .iter()
        .map(|f| f.point.expect("the recording is clean"))
        .collect()
}

/// One task that suspends ten times; between the fourth and the fifth time it
/// holds something which only goes back where the code goes on.
async fn holds_something_once(cx: Scope) {
    let held = Arc::new(AtomicU32::new(0));
    let inner = held.clone();
    let worker = cx.spawn(async move |cx: Cx| {
        for i in 0..10 {
            if i == 4 {
                inner.fetch_add(1, Ordering::Relaxed);
            }
            cx.yield_now().await?;
            if i == 4 {
                inner.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok::<(), asupersync::Cancelled>(())
    });
    let _ = worker.await;
    assert_eq!(held.load(Ordering::Relaxed), 0, "what was held is lost");
}

#[test]
fn a_planted_fault_is_found_at_its_point_and_nowhere_else() {
    for mode in [Inject::Protocol, Inject::Drop] {
        let report = inject(mode, Points::All, holds_something_once);
        // The body of the run waits once, for the worker; the worker yields ten times.
        assert_eq!(report.points, 11, "{report}");
        let found = failed(&report);
        assert_eq!(found.len(), 1, "{report}");
        let failure = &report.failures[0];
        assert!(failure.what.contains("what was held is lost"), "{report}");
        assert!(
            failure
                .repro
                .starts_with(&format!("ASUPERSYNC_POINT={} ASUPERSYNC_SEED=4", found[0])),
            "{report}"
        );
        let again = inject(mode, Points::Only(found.clone()), holds_something_once);
        assert_eq!((again.runs, failed(&again)), (2, found.clone()));
        let others = (0..report.points).filter(|p| *p != found[0]).collect();
        assert!(inject(mode, Points::Only(others), holds_something_once).is_ok());
    }
}

#[test]
fn the_points_are_stable_and_samples_are_drawn_from_them() {
    let all = inject(Inject::Protocol, Points::All, async |cx| {
        for i in 0..20 {
            let _ = cx.spawn(async move |cx: Cx| cx.sleep(Duration::from_millis(i)).await);
        }
    });
    assert!(all.is_ok(), "{all}");
    assert_eq!(all.runs, all.points + 1);
    let body = async |cx: Scope| {
        for i in 0..20 {
            let _ = cx.spawn(async move |cx: Cx| cx.sleep(Duration::from_millis(i)).await);
        }
    };
    let sample = |n| inject(Inject::Protocol, Points::Sample { n, seed: 1 }, body);
    assert_eq!((sample(5).points, sample(5).runs), (all.points, 6));
    assert_eq!(sample(usize::MAX).runs, all.runs);
}

/// Two producers, a bounded channel and a consumer that counts: no message is lost or doubled.
async fn exchange(cx: Scope) {
    let (tx, mut rx) = mpsc::channel::<u32>(2);
    let sent = Arc::new(AtomicU32::new(0));
    for _ in 0..2 {
        let (tx, sent) = (tx.clone(), sent.clone());
        let _ = cx.spawn(async move |cx: Cx| {
            for i in 0..5 {
                match tx.reserve(&cx).await {
                    Ok(permit) => permit.send(i).expect("the receiver stays"),
                    Err(_) => return,
                }
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    drop(tx);
    let mut got = 0;
    while rx.recv(cx.cleanup()).await.is_ok() {
        got += 1;
    }
    assert_eq!(got, sent.load(Ordering::Relaxed));
}

#[test]
fn an_exchange_survives_every_injection() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        let report = inject(mode, Points::All, exchange);
        assert!(report.is_ok(), "{report}");
        assert!(report.points >= 10 && report.runs > 4, "{report}");
    }
}

#[test]
fn code_that_ignores_the_request_is_reported() {
    let deaf = async |cx: Scope| {
        let told = Arc::new(AtomicBool::new(false));
        let tell = told.clone();
        let _ = cx.spawn(async move |cx: Cx| {
            poll_fn(|task| {
                if told.load(Ordering::Relaxed) {
                    return Poll::Ready(());
                }
                task.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            drop(cx);
        });
        for _ in 0..3 {
            let _ = cx.yield_now().await;
        }
        tell.store(true, Ordering::Relaxed);
    };
    assert!(
        inject(Inject::Protocol, Points::All, deaf).is_ok(),
        "it ends within its cleanup budget"
    );
    // Waits for ever once it was asked to cancel.
    let stuck = async |cx: Scope| {
        let task = cx.spawn(async move |cx: Cx| {
            let _ = cx.yield_now().await;
            poll_fn(|_| {
                if cx.is_cancel_requested() {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
        });
        let _ = task.await;
    };
    let report = inject(Inject::Protocol, Points::All, stuck);
    assert!(!report.is_ok(), "{report}");
    assert!(
        report
            .failures
            .iter()
            .all(|f| f.what.contains("did not react")),
        "{report}"
    );
}

#[test]
fn a_program_that_fails_by_itself_is_not_injected_into() {
    let report = inject(Inject::Protocol, Points::All, async |cx| {
        let _ = cx.yield_now().await;
        panic!("on its own");
    });
    assert_eq!((report.runs, report.failures.len()), (1, 1));
    assert!(
        report.failures[0]
            .what
            .contains("without injection: the body panicked: on its own"),
        "{report}"
    );
}
