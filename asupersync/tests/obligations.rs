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
    Cancelled, Cx, LabConfig, LabRuntime, Outcome, Policy, RegionOptions, Runtime, Scope,
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
