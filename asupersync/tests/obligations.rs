//! What becomes of a promise that is not kept: each kind, each way to break it,
//! each response, in both worlds.

use asupersync::channel::ack_queue::{Redelivery, ack_queue};
use asupersync::channel::mpsc;
use asupersync::channel::rpc::rpc;
use asupersync::cx::{Effect, Staged};
use asupersync::lab::LabFailure;
use asupersync::sync::Semaphore;
use asupersync::types::obligation::{LeakResponse, ObligationKind};
use asupersync::types::report::LeakRecord;
use asupersync::{
    Cancelled, Cx, LabConfig, LabRuntime, Outcome, Policy, RegionOptions, Runtime, Scope, race,
};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Kinds whose promise can be held for longer than one operation.
const KINDS: [ObligationKind; 5] = [
    ObligationKind::SendPermit,
    ObligationKind::Ack,
    ObligationKind::Reply,
    ObligationKind::Effect,
    ObligationKind::Lease,
];

const RESPONSES: [LeakResponse; 3] = [LeakResponse::Panic, LeakResponse::Log, LeakResponse::Count];

/// An effect without consequences.
struct Nothing;

impl Effect for Nothing {
    type Staged = Nothing;
    type Error = Cancelled;

    async fn reserve(&self, cx: &Cx) -> Result<Nothing, Cancelled> {
        cx.checkpoint().map(|()| Nothing)
    }
}

impl Staged for Nothing {
    fn commit(self) {}
    fn rollback(self) {}
}

type Held = Box<dyn Any + Send>;

/// Promises something of this kind.
async fn promise(cx: &Cx, kind: ObligationKind) -> Held {
    match kind {
        ObligationKind::SendPermit => {
            let (tx, _rx) = mpsc::channel::<u8>(1);
            Box::new(tx.reserve_owned(cx).await.unwrap())
        }
        ObligationKind::Ack => {
            let (tx, rx) = ack_queue::<u8>(1, Redelivery::attempts(1));
            tx.send(cx, 1).await.unwrap();
            Box::new(rx.recv(cx).await.unwrap().1)
        }
        ObligationKind::Reply => {
            let (client, mut server) = rpc::<u8, u8>(1);
            let caller = cx.spawn(async move |cx| drop(client.call(&cx, 1).await));
            let (_, reply) = server.recv(cx).await.unwrap();
            // Who waits for an answer that never comes would never end.
            caller.cancel("nobody answers");
            Box::new(reply)
        }
        ObligationKind::Effect => Box::new(cx.reserve(&Nothing).await.unwrap()),
        ObligationKind::Lease => {
            let places = Arc::new(Semaphore::new(1));
            Box::new(places.acquire_owned(cx, 1).await.unwrap())
        }
        ObligationKind::IoOp => unreachable!("not in the list above"),
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Drop,
    Forget,
    Panic,
    ForgetAndPanic,
    /// The outcome carries it to another task without a transfer.
    Move,
    /// Dropped by a task that was asked to cancel.
    Cancel,
}

const WAYS: [Way; 6] = [
    Way::Drop,
    Way::Forget,
    Way::Panic,
    Way::ForgetAndPanic,
    Way::Move,
    Way::Cancel,
];

/// What was seen of the holder's end.
#[derive(Debug)]
struct Seen {
    panic: Option<String>,
    leaks: Vec<LeakRecord>,
}

/// Breaks one promise, in a region of its own.
async fn break_promise(cx: Scope, kind: ObligationKind, way: Way) -> Seen {
    let options = RegionOptions {
        policy: Policy::Collect,
        ..RegionOptions::named("careless")
    };
    let mut panic = None;
    let reported = cx
        .region_report(options, async |scope: Scope| {
            let holds = Arc::new(AtomicBool::new(false));
            let told = holds.clone();
            let holder = scope.task().name("holder").spawn(async move |cx: Cx| {
                let held = promise(&cx, kind).await;
                told.store(true, Ordering::Release);
                match way {
                    Way::Drop => drop(held),
                    Way::Forget => std::mem::forget(held),
                    Way::Panic => panic!("on purpose"),
                    Way::ForgetAndPanic => {
                        std::mem::forget(held);
                        panic!("on purpose");
                    }
                    Way::Move => return Some(held),
                    Way::Cancel => drop(cx.cancelled().await),
                }
                None
            });
            if way == Way::Cancel {
                while !holds.load(Ordering::Acquire) {
                    scope.yield_now().await.unwrap();
                }
                holder.cancel("stop");
            }
            if let Outcome::Panicked(p) = holder.await {
                panic = Some(p.message().to_owned());
            }
        })
        .await;
    Seen {
        panic,
        leaks: reported.unwrap().report.leaks,
    }
}

fn leaks(way: Way) -> bool {
    matches!(way, Way::Forget | Way::ForgetAndPanic | Way::Move)
}

fn check(seen: &Seen, kind: ObligationKind, way: Way, response: LeakResponse) {
    let case = format!("{kind:?} {way:?} {response:?}: {seen:?}");
    assert_eq!(seen.leaks.len(), usize::from(leaks(way)), "{case}");
    let text = seen.leaks.first().map(|leak| {
        assert_eq!((leak.kind, leak.name.as_str()), (kind, "holder"), "{case}");
        let (task, region) = (leak.task, leak.region);
        let expected = format!(
            "ObligationLeak detected: {kind:?} held by {task} \"holder\" of {region} \
             was not resolved when its holder ended"
        );
        assert_eq!(leak.to_string(), expected);
        expected
    });
    let expected = match way {
        Way::Panic | Way::ForgetAndPanic => Some("on purpose".to_owned()),
        _ => text.filter(|_| response == LeakResponse::Panic),
    };
    assert_eq!(seen.panic, expected, "{case}");
}

/// Every case of the table.
fn cases() -> impl Iterator<Item = (ObligationKind, Way, LeakResponse)> {
    KINDS.into_iter().flat_map(|kind| {
        WAYS.into_iter()
            .flat_map(move |way| RESPONSES.into_iter().map(move |r| (kind, way, r)))
    })
}

#[test]
fn production_responds_to_a_leak_as_it_was_told() {
    for (kind, way, response) in cases() {
        let runtime = Runtime::builder().current_thread().leak_response(response);
        let seen = runtime
            .build()
            .unwrap()
            .block_on(async |cx: Scope| break_promise(cx, kind, way).await)
            .unwrap();
        check(&seen, kind, way, response);
    }
}

#[test]
fn the_lab_calls_what_production_responds_to_a_violation() {
    for (kind, way, response) in cases() {
        let lab = LabRuntime::new(LabConfig::default().leak_response(response));
        let mut seen = None;
        let failure = lab
            .try_run(async |cx: Scope| seen = Some(break_promise(cx, kind, way).await))
            .err();
        let dropped = way == Way::Drop && kind.is_strict();
        let violated = leaks(way) || dropped;
        let case = format!("{kind:?} {way:?} {response:?}: {failure:?}");
        assert_eq!(lab.obligation_leak_oracle().is_err(), violated, "{case}");
        let said =
            matches!(&failure, Some(LabFailure::Violation(v)) if v.oracle == "obligation leak");
        assert_eq!(said, violated, "{case}");
        // A run ends where a law is broken.
        assert_eq!(seen.is_none(), violated, "{case}");
        seen.iter()
            .for_each(|seen| check(seen, kind, way, response));
    }
}

type Permit = mpsc::OwnedPermit<u8>;

/// A permit that belongs to the region whose body asks for it.
async fn permit(scope: &Cx) -> Permit {
    let (tx, _rx) = mpsc::channel(1);
    tx.reserve_owned(scope).await.unwrap()
}

/// What the law of obligations says of a program; what else ends a run is a failure.
fn judged(body: impl AsyncFn(Scope)) -> Option<String> {
    let mut said = Vec::new();
    for seed in 0..20 {
        let lab = LabRuntime::new(LabConfig::default().seed(seed));
        let failure = lab.try_run(async |scope| body(scope).await).err();
        said.push(failure.map(|failure| match failure {
            LabFailure::Violation(v) if v.oracle == "obligation leak" => v.what,
            other => panic!("seed {seed}: {other}"),
        }));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "every seed says the same: {said:?}");
    said.pop().flatten()
}

#[test]
fn what_a_body_promised_and_does_not_return_is_resolved_when_its_region_closes() {
    let closed = |said: Option<String>| {
        let said = said.expect("it has leaked");
        assert!(
            said.contains("was still reserved when R1, whose body promised it, closed"),
            "{said}"
        );
    };
    closed(judged(async |cx: Scope| {
        cx.region(async |scope| std::mem::forget(permit(&scope).await))
            .await
            .unwrap();
    }));
    // A variable outside is no way out.
    closed(judged(async |cx: Scope| {
        let mut outside = None;
        cx.region(async |scope| outside = Some(permit(&scope).await))
            .await
            .unwrap();
        outside.unwrap().abort();
    }));
    // Nor is a task's own region, or one that was dropped.
    closed(judged(async |cx: Scope| {
        let shelf = std::sync::Mutex::new(Vec::new());
        let mut region = Box::pin(cx.region(async |scope| {
            let kept = permit(&scope).await;
            shelf.lock().unwrap().push(kept);
            std::future::pending::<()>().await;
        }));
        assert!(futures::poll!(&mut region).is_pending());
        drop(region);
        cx.sleep(std::time::Duration::from_secs(1)).await.unwrap();
        shelf.into_inner().unwrap().pop().unwrap().abort();
    }));
}

#[test]
fn what_a_body_returns_leaves_its_region_with_the_promise() {
    let clean = |said: Option<String>| assert_eq!(said, None);
    clean(judged(async |cx: Scope| {
        let permit = cx.region(async |scope| permit(&scope).await).await;
        permit.unwrap().abort();
    }));
    // Out of two regions, and out of a race and a timeout.
    clean(judged(async |cx: Scope| {
        cx.spawn(async |cx: Cx| {
            let twice = cx.region(async |a| a.region(async |b| permit(&b).await).await);
            twice.await.unwrap().unwrap().abort();
            let won = race!(&cx, |s| async move { permit(s).await }, |s| async move {
                s.cancelled().await;
                permit(s.cleanup()).await
            })
            .await;
            won.unwrap().value.abort();
            let soon = std::time::Duration::from_secs(1);
            let timely = cx.timeout(soon, async |scope: Scope| permit(&scope).await);
            timely.await.unwrap().abort();
        })
        .await
        .into_result()
        .unwrap();
    }));
    // What is promised through an outer context is not the region's to begin with.
    clean(judged(async |cx: Scope| {
        let mut outside = None;
        cx.region(async |_scope| outside = Some(permit(&cx).await))
            .await
            .unwrap();
        outside.unwrap().abort();
    }));
    // Work that is deferred to the region's end is part of it.
    clean(judged(async |cx: Scope| {
        cx.region(async |scope| {
            let kept = permit(&scope).await;
            scope.defer_sync(move || drop(kept.abort()));
        })
        .await
        .unwrap();
    }));
}

#[test]
fn what_may_have_left_with_a_value_is_judged_at_the_end_of_whoever_got_it() {
    // A text owns something, so it cannot be told from a permit.
    let careless = async |scope: Scope| {
        std::mem::forget(permit(&scope).await);
        String::new()
    };
    let said = judged(async |cx: Scope| {
        cx.region(async |outer| drop(outer.region(careless).await))
            .await
            .unwrap();
    });
    let said = said.expect("it has leaked");
    assert!(said.contains("when R1, whose body"), "{said}");
    let said = judged(async |cx: Scope| {
        let task = cx.spawn(async move |cx: Cx| drop(cx.region(careless).await));
        drop(task.await);
    });
    let said = said.expect("it has leaked");
    assert!(said.contains("when its holder completed"), "{said}");
}
