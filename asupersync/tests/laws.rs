//! The algebra of outcomes, budgets and reasons, law by law, and the protocol's law of idempotence.

use asupersync::{
    Budget, CancelKind, CancelReason, Cx, LabConfig, LabRuntime, Outcome, PanicPayload, RegionId,
    Scope, Severity, TaskId, Time, join_outcomes,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const KINDS: [CancelKind; 10] = [
    CancelKind::User,
    CancelKind::RegionEnd,
    CancelKind::Timeout,
    CancelKind::PollQuota,
    CancelKind::CostQuota,
    CancelKind::FailFast,
    CancelKind::RaceLost,
    CancelKind::LinkBroken,
    CancelKind::ParentCancelled,
    CancelKind::Shutdown,
];

const SEVERITIES: [Severity; 4] = [
    Severity::Ok,
    Severity::Err,
    Severity::Cancelled,
    Severity::Panicked,
];

/// Few values, so that equal ones and the ends of the chains come up often.
fn budget() -> impl Strategy<Value = Budget> {
    let deadline = prop_oneof![
        Just(None),
        (0u64..4).prop_map(|t| Some(Time::from_nanos(t)))
    ];
    let polls = prop_oneof![Just(u32::MAX), 0u32..4];
    let cost = prop_oneof![Just(None), (0u64..4).prop_map(Some)];
    let priority = prop_oneof![Just(0u8), Just(1), Just(255)];
    (deadline, polls, cost, priority).prop_map(|(deadline, poll_quota, cost_quota, priority)| {
        Budget {
            deadline,
            poll_quota,
            cost_quota,
            priority,
        }
    })
}

fn reason() -> impl Strategy<Value = CancelReason> {
    let link = (0usize..10, 0u64..3, 0u32..3, 0u32..3, 0u8..3).prop_map(
        |(kind, at, region, task, message)| {
            let mut r = CancelReason::new(KINDS[kind]);
            r.at = Time::from_nanos(at);
            r.region = (region > 0).then(|| RegionId::new(region, 0));
            r.task = (task > 0).then(|| TaskId::new(task, 0));
            match message {
                0 => r,
                m => r.with_message(if m == 1 { "a" } else { "b" }),
            }
        },
    );
    prop::collection::vec(link, 1..4).prop_map(|links| {
        let mut links = links.into_iter();
        let root = links.next().expect("at least one");
        links.fold(root, |cause, link| link.caused_by(Arc::new(cause)))
    })
}

fn outcome() -> impl Strategy<Value = Outcome<u8, u8>> {
    prop_oneof![
        any::<u8>().prop_map(Outcome::Ok),
        any::<u8>().prop_map(Outcome::Err),
        reason().prop_map(Outcome::Cancelled),
        Just(Outcome::Panicked(PanicPayload::from_any(Box::new("boom")))),
    ]
}

proptest! {
    #[test]
    fn budgets_are_a_bounded_distributive_lattice(a in budget(), b in budget(), c in budget()) {
        // Idempotent, commutative, associative, both ways.
        prop_assert_eq!(a.meet(a), a);
        prop_assert_eq!(a.join(a), a);
        prop_assert_eq!(a.meet(b), b.meet(a));
        prop_assert_eq!(a.join(b), b.join(a));
        prop_assert_eq!(a.meet(b).meet(c), a.meet(b.meet(c)));
        prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
        // Absorption.
        prop_assert_eq!(a.meet(a.join(b)), a);
        prop_assert_eq!(a.join(a.meet(b)), a);
        // Distributive, both ways.
        prop_assert_eq!(a.meet(b.join(c)), a.meet(b).join(a.meet(c)));
        prop_assert_eq!(a.join(b.meet(c)), a.join(b).meet(a.join(c)));
        // Bounded; with ⊕ = join and ⊗ = meet these are the zero and the one of a semiring.
        prop_assert_eq!(a.meet(Budget::INFINITE), a);
        prop_assert_eq!(a.join(Budget::INFINITE), Budget::INFINITE);
        prop_assert_eq!(a.meet(Budget::ZERO), Budget::ZERO);
        prop_assert_eq!(a.join(Budget::ZERO), a);
    }

    #[test]
    fn obeying_both_budgets_is_to_be_stopped_by_either(a in budget(), b in budget(), now in 0u64..5) {
        let now = Time::from_nanos(now);
        let either = a.spent(now).is_some() || b.spent(now).is_some();
        prop_assert_eq!(a.meet(b).spent(now).is_some(), either);
        prop_assert_eq!(a.meet(b).is_past_deadline(now), a.is_past_deadline(now) || b.is_past_deadline(now));
    }

    #[test]
    fn time_left_and_the_deadline_agree(d in 0u64..100, now in 0u64..200) {
        let (b, now) = (Budget::new().with_deadline(Time::from_nanos(d)), Time::from_nanos(now));
        let left = b.remaining_time(now).unwrap();
        prop_assert_eq!(left.is_zero(), b.is_past_deadline(now));
        prop_assert_eq!(Budget::new().with_timeout(now, Duration::MAX).deadline, Some(Time::MAX));
    }

    #[test]
    fn strengthening_is_a_semilattice_ordered_by_rank(a in reason(), b in reason(), c in reason()) {
        let stronger = |x: &CancelReason, y: &CancelReason| x.clone().strengthen(y.clone());
        prop_assert_eq!(stronger(&a, &a), a.clone());
        prop_assert_eq!(stronger(&a, &b), stronger(&b, &a));
        prop_assert_eq!(stronger(&stronger(&a, &b), &c), stronger(&a, &stronger(&b, &c)));
        let won = stronger(&a, &b);
        prop_assert!(won == a || won == b, "nothing is made up");
        prop_assert_eq!(won.kind.rank(), a.kind.rank().max(b.kind.rank()));
        if a.kind.rank() == b.kind.rank() {
            prop_assert_eq!(won.at, a.at.min(b.at));
        }
    }

    #[test]
    fn joining_outcomes_keeps_the_worst_and_the_first(a in outcome(), b in outcome()) {
        let joined = join_outcomes(a.clone(), b.clone());
        prop_assert_eq!(joined.severity(), a.severity().max(b.severity()));
        let expected = match (a, b) {
            (Outcome::Ok(a), Outcome::Ok(b)) => Outcome::Ok((a, b)),
            (a, b) => {
                let worst = if b.severity() > a.severity() { b } else { a };
                worst.map(|_| (0, 0))
            }
        };
        prop_assert_eq!(joined, expected);
    }

    #[test]
    fn mapping_outcomes_obeys_the_laws_of_a_monad(a in outcome(), k in any::<u8>()) {
        let f = |v: u8| if v < k { Outcome::Ok(v.wrapping_add(k)) } else { Outcome::Err(v) };
        let g = |v: u8| if v.is_multiple_of(2) { Outcome::Ok(v / 2) } else { Outcome::Err(k) };
        prop_assert_eq!(a.clone().and_then(Outcome::Ok), a.clone());
        prop_assert_eq!(Outcome::<u8, u8>::Ok(k).and_then(f), f(k));
        prop_assert_eq!(a.clone().and_then(f).and_then(g), a.clone().and_then(|v| f(v).and_then(g)));
        prop_assert_eq!(a.clone().map(|v| v), a.clone());
        prop_assert_eq!(a.clone().map_err(|e| e), a.clone());
        prop_assert_eq!(a.clone().into_result().is_ok(), a.is_ok());
    }

    /// Program level: whatever two requests come first, in whichever order, the
    /// task is told what one request with the stronger of them would have told it.
    #[test]
    fn two_requests_are_the_stronger_one(a in 0usize..10, b in 0usize..10, seed in any::<u64>()) {
        let (one, both) = (told(seed, &[a, b]), told(seed, &[b, a]));
        let alone = told(seed, &[if KINDS[b].rank() > KINDS[a].rank() { b } else { a }]);
        prop_assert_eq!(one.kind.rank(), both.kind.rank());
        prop_assert_eq!(one.kind.rank(), alone.kind.rank());
        prop_assert_eq!(told(seed, &[a, a]), told(seed, &[a]));
    }
}

/// What a task is told that was asked with these kinds, one after the other.
fn told(seed: u64, kinds: &[usize]) -> CancelReason {
    LabRuntime::new(LabConfig::default().seed(seed)).run(async |scope: Scope| {
        let task = scope.spawn(async |cx: Cx| CancelReason::from(cx.cancelled().await));
        // Virtual time passes only when the task waits.
        scope.sleep(Duration::from_millis(1)).await.unwrap();
        kinds.iter().for_each(|kind| task.cancel(KINDS[*kind]));
        let asked = task.cancel_reason();
        let told = task.await.into_result().unwrap();
        assert_eq!(asked.as_ref(), Some(&told));
        told
    })
}

#[test]
fn severities_are_a_bounded_chain_under_max() {
    for a in SEVERITIES {
        assert_eq!(a.max(a), a);
        assert_eq!(a.max(Severity::Ok), a);
        assert_eq!(a.max(Severity::Panicked), Severity::Panicked);
        for b in SEVERITIES {
            assert_eq!(a.max(b), b.max(a));
            for c in SEVERITIES {
                assert_eq!(a.max(b).max(c), a.max(b.max(c)));
            }
        }
    }
    assert!(SEVERITIES.is_sorted());
}

#[test]
fn ranks_are_those_of_the_table() {
    let ranks = KINDS.map(CancelKind::rank);
    assert_eq!(ranks, [0, 0, 1, 2, 2, 3, 3, 3, 4, 5]);
}

#[test]
fn a_chain_of_ten_thousand_causes_is_cut_and_says_so() {
    let mut reason = CancelReason::from("the root request");
    for _ in 0..10_000 {
        reason = CancelReason::new(CancelKind::ParentCancelled).caused_by(Arc::new(reason));
    }
    assert_eq!(reason.chain().count(), 32);
    assert!(reason.truncated);
    assert_eq!(
        reason.root_cause().message.as_deref(),
        Some("the root request")
    );
    assert!(reason.any_cause_is(CancelKind::User));
}

#[test]
fn a_message_is_cut_at_a_character_and_says_so() {
    let long = "é".repeat(200);
    let cut = CancelReason::new(CancelKind::User).with_message(&long);
    assert_eq!(cut.message.as_deref(), Some(&long[..256]));
    assert!(cut.truncated);
    let odd = format!("x{long}");
    let cut = CancelReason::new(CancelKind::User).with_message(&odd);
    assert_eq!(cut.message.as_deref(), Some(&odd[..255]));
    let exact = "x".repeat(256);
    assert!(
        !CancelReason::new(CancelKind::User)
            .with_message(exact)
            .truncated
    );
}
