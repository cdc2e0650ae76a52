//! What was asked of somebody: why, since when, and what is left for the cleanup.
//!
//! A task that was asked alone keeps one in its record. Children that were
//! asked together share one, which their region keeps: asking a thousand of
//! them costs a bit each, and a record only for those that need their own.
//!
//! Invariants:
//! 1. requests form a join semilattice: the reason only grows stronger, the
//!    limits only tighten, in whatever order requests come;
//! 2. the time of the first request stands.

use crate::types::cancel::CancelReason;
use crate::types::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// How long a task that was asked to cancel may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CleanupLimits {
    /// From here on it is dropped at the next poll boundary.
    pub deadline: Time,
    /// Polls left.
    pub polls: u32,
}

impl CleanupLimits {
    /// No limit.
    pub const NONE: CleanupLimits = CleanupLimits {
        deadline: Time::MAX,
        polls: u32::MAX,
    };

    /// What `(time, polls)` counted from `now` allows.
    pub fn starting(now: Time, (time, polls): (Duration, u32)) -> Self {
        CleanupLimits {
            deadline: now + time,
            polls,
        }
    }

    /// Both limits at once.
    #[must_use]
    pub fn meet(self, o: Self) -> Self {
        CleanupLimits {
            deadline: self.deadline.min(o.deadline),
            polls: self.polls.min(o.polls),
        }
    }
}

/// What a request to cancel did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the shell wakes the task after a fresh request"]
pub enum Requested {
    /// The first request: wake the task and move it to the cancel lane.
    Fresh,
    /// A later one that changed the reason or tightened the limits: move it within the cancel lane.
    Strengthened,
    /// A later one that changed nothing.
    Absorbed,
    /// The task has its outcome already.
    TooLate,
}

/// A standing request; empty while nobody has asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The strongest reason so far.
    pub reason: Option<Arc<CancelReason>>,
    /// When it was first made.
    pub since: Option<Time>,
    /// What is left for the cleanup. They may bind before anybody asks: those of
    /// a region that a cleanup opened do.
    pub limits: CleanupLimits,
}

impl Request {
    /// Nobody has asked.
    pub const NONE: Request = Request {
        reason: None,
        since: None,
        limits: CleanupLimits::NONE,
    };

    /// Somebody asks.
    pub fn ask(
        &mut self,
        reason: Arc<CancelReason>,
        now: Time,
        limits: CleanupLimits,
    ) -> Requested {
        let tightened = self.limits.meet(limits);
        let tighter = std::mem::replace(&mut self.limits, tightened) != tightened;
        match &self.reason {
            None => {
                self.reason = Some(reason);
                self.since = Some(now);
                Requested::Fresh
            }
            Some(old) if old.yields_to(&reason) => {
                self.reason = Some(reason);
                Requested::Strengthened
            }
            Some(_) if tighter => Requested::Strengthened,
            Some(_) => Requested::Absorbed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::cancel::CancelKind;
    use proptest::prelude::*;

    fn asked() -> impl Strategy<Value = (CancelReason, CleanupLimits)> {
        let kind = prop_oneof![
            Just(CancelKind::User),
            Just(CancelKind::RegionEnd),
            Just(CancelKind::Timeout),
            Just(CancelKind::FailFast),
            Just(CancelKind::RaceLost),
            Just(CancelKind::ParentCancelled),
            Just(CancelKind::Shutdown)
        ];
        (kind, 0u64..4, 0u64..9, 0u32..9).prop_map(|(kind, at, deadline, polls)| {
            let mut reason = CancelReason::new(kind);
            reason.at = Time::from_nanos(at);
            let deadline = Time::from_nanos(deadline);
            (reason, CleanupLimits { deadline, polls })
        })
    }

    fn ask(requests: &[(CancelReason, CleanupLimits)]) -> Request {
        let mut request = Request::NONE;
        for (reason, limits) in requests {
            // What it did is checked against the values before and after below.
            let before = request.clone();
            let did = request.ask(Arc::new(reason.clone()), Time::ZERO, *limits);
            let changed = before != request;
            assert_eq!(changed, did != Requested::Absorbed);
            assert_eq!(before.reason.is_none(), did == Requested::Fresh);
        }
        request
    }

    proptest! {
        #[test]
        fn two_requests_are_one_request_for_the_stronger(a in asked(), b in asked()) {
            let both = (a.0.clone().strengthen(b.0.clone()), a.1.meet(b.1));
            prop_assert_eq!(ask(&[a, b]), ask(&[both]));
        }

        #[test]
        fn the_order_and_number_of_requests_make_no_difference(
            mut requests in prop::collection::vec(asked(), 1..6),
        ) {
            let forward = ask(&requests);
            let again: Vec<_> = requests.iter().chain(&requests).cloned().collect();
            prop_assert_eq!(&ask(&again), &forward);
            requests.reverse();
            prop_assert_eq!(&ask(&requests), &forward);
        }
    }
}
