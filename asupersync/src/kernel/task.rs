//! The life of a task, from its birth to its outcome.
//!
//! | phase | request | checkpoint | body ends |
//! |---|---|---|---|
//! | Created | → CancelRequested, body skipped | - | - |
//! | Running | → CancelRequested | goes on | → Finalizing |
//! | CancelRequested | strengthens | mask 0: → Cancelling and fails; mask k: goes on, k − 1 left | → Finalizing |
//! | Cancelling | strengthens | fails | → Finalizing |
//! | Finalizing | strengthens | - (finalizers run through the cleanup view) | - |
//! | Completed | nothing | - | - |
//!
//! Invariants:
//! 1. CANCEL-ORDER: the phase never goes back;
//! 2. a request strengthens, cleanup limits only tighten;
//! 3. MASK: deferrals are finite and never grow while a mask is held.

pub use super::request::{CleanupLimits, Requested};

use super::request::Request;
use crate::types::cancel::CancelReason;
use crate::types::error::{Error, ErrorKind};
use crate::types::time::Time;
use std::sync::Arc;

/// Checkpoints that a mask lets pass unless it says otherwise.
pub const MASK_DEFERRALS: u32 = 64;
/// Masks that may be nested.
pub const MASK_DEPTH: u32 = 8;

/// Where a task is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum TaskPhase {
    /// Admitted, not polled yet.
    #[default]
    Created,
    /// Polled at least once.
    Running,
    /// Asked to cancel; has not seen it yet.
    CancelRequested,
    /// Has seen the request; cleans up.
    Cancelling,
    /// The body ended; deferred work runs.
    Finalizing,
    /// Has its outcome.
    Completed,
}

impl TaskPhase {
    /// Every phase, in order.
    pub const ALL: [TaskPhase; 6] = [
        TaskPhase::Created,
        TaskPhase::Running,
        TaskPhase::CancelRequested,
        TaskPhase::Cancelling,
        TaskPhase::Finalizing,
        TaskPhase::Completed,
    ];

    /// The step to `to`, for whoever checks what was recorded.
    ///
    /// # Errors
    /// Of kind `InvalidStateTransition` when the table above has no such step.
    pub fn step(self, to: TaskPhase) -> Result<TaskPhase, Error> {
        let legal = match self {
            TaskPhase::Created | TaskPhase::Running => {
                to > self && to <= TaskPhase::Finalizing && to != TaskPhase::Cancelling
            }
            TaskPhase::CancelRequested => {
                matches!(to, TaskPhase::Cancelling | TaskPhase::Finalizing)
            }
            TaskPhase::Cancelling => to == TaskPhase::Finalizing,
            TaskPhase::Finalizing => to == TaskPhase::Completed,
            TaskPhase::Completed => false,
        };
        if legal {
            return Ok(to);
        }
        let message = format!("a task cannot go from {self:?} to {to:?}");
        Err(Error::new(ErrorKind::InvalidStateTransition, message))
    }
}

/// The cancellation side of a task. A task that was never asked, masked or
/// metered has none: its phase is in its state word alone.
#[derive(Clone, Debug)]
pub struct TaskRecord {
    /// Where it is.
    pub phase: TaskPhase,
    /// Why it was asked to cancel, when, and what is left for its cleanup.
    pub asked: Request,
    /// Whether a checkpoint has told it: what it does from there on may follow from the request.
    pub seen: bool,
    /// Nesting depth of masks.
    pub mask_depth: u32,
    /// Checkpoints the masks still let pass.
    pub deferrals: u32,
    /// Polls left of its work budget.
    pub poll_quota: u32,
    /// Cost units left of its work budget; `None` is unlimited.
    pub cost_quota: Option<u64>,
    /// The note of its last checkpoint.
    pub note: Option<&'static str>,
}

impl Default for TaskRecord {
    fn default() -> Self {
        TaskRecord {
            phase: TaskPhase::Created,
            asked: Request::NONE,
            seen: false,
            mask_depth: 0,
            deferrals: 0,
            poll_quota: u32::MAX,
            cost_quota: None,
            note: None,
        }
    }
}

/// What a checkpoint says.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a checkpoint that fails has to be obeyed"]
pub enum Checkpoint {
    /// Go on: nobody asked.
    Go,
    /// Go on: a mask let it pass.
    Masked,
    /// Stop. `first` when the request had not been seen before.
    Stop {
        /// Why.
        reason: Arc<CancelReason>,
        /// Whether this is the acknowledgement.
        first: bool,
    },
}

impl TaskRecord {
    /// Somebody asks the task to cancel.
    pub fn request(
        &mut self,
        reason: Arc<CancelReason>,
        now: Time,
        limits: CleanupLimits,
    ) -> Requested {
        if self.phase == TaskPhase::Completed {
            return Requested::TooLate;
        }
        self.phase = self.phase.max(TaskPhase::CancelRequested);
        self.asked.ask(reason, now, limits)
    }

    /// The task reaches a checkpoint.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let Some(reason) = &self.asked.reason else {
            return Checkpoint::Go;
        };
        let reason = reason.clone();
        if self.spend_mask() {
            return Checkpoint::Masked;
        }
        let first = self.phase == TaskPhase::CancelRequested;
        if first {
            self.phase = TaskPhase::Cancelling;
            self.seen = true;
        }
        Checkpoint::Stop { reason, first }
    }

    /// A checkpoint asks to pass under a mask: `true` uses one deferral up.
    pub fn spend_mask(&mut self) -> bool {
        let masked = self.is_masked();
        if masked {
            self.deferrals -= 1;
        }
        masked
    }

    /// Whether a mask lets the next checkpoint pass.
    pub fn is_masked(&self) -> bool {
        self.mask_depth > 0 && self.deferrals > 0
    }

    /// A mask begins; `false` when masks are nested too deeply. Only the
    /// outermost brings deferrals, so nesting cannot renew them.
    pub fn mask(&mut self, deferrals: u32) -> bool {
        if self.mask_depth == MASK_DEPTH {
            return false;
        }
        if self.mask_depth == 0 {
            self.deferrals = deferrals;
        }
        self.mask_depth += 1;
        true
    }

    /// A mask ends.
    pub fn unmask(&mut self) {
        debug_assert!(self.mask_depth > 0, "an unmask without its mask");
        self.mask_depth -= 1;
    }

    /// The task is about to be polled. `true` when its work quota is now spent
    /// for the first time; `Err` when its cleanup polls are.
    pub fn polled(&mut self) -> Result<bool, CleanupSpent> {
        if self.asked.reason.is_some() {
            if self.asked.limits.polls == 0 {
                return Err(CleanupSpent);
            }
            if self.asked.limits.polls != u32::MAX {
                self.asked.limits.polls -= 1;
            }
            return Ok(false);
        }
        if self.poll_quota == u32::MAX {
            return Ok(false);
        }
        let spent = self.poll_quota == 0;
        self.poll_quota = self.poll_quota.saturating_sub(1);
        Ok(spent)
    }

    /// The task uses up `cost` units; what was left to it before, if it has a quota.
    pub fn charge(&mut self, cost: u64) -> Option<u64> {
        let before = self.cost_quota?;
        self.cost_quota = Some(before.saturating_sub(cost));
        Some(before)
    }

    /// The body ended.
    pub fn body_ended(&mut self) {
        self.phase = TaskPhase::Finalizing;
    }

    /// Deferred work is done and the outcome is set.
    pub fn completed(&mut self) {
        self.phase = TaskPhase::Completed;
    }
}

/// The cleanup budget is used up: the future is dropped at this poll boundary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CleanupSpent;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::cancel::CancelKind;
    use proptest::prelude::*;

    const LIMITS: CleanupLimits = CleanupLimits {
        deadline: Time::from_nanos(100),
        polls: 3,
    };

    fn reason(kind: CancelKind) -> Arc<CancelReason> {
        Arc::new(CancelReason::new(kind))
    }

    /// Every event in every phase, asked before and not, masked and not, against
    /// the table at the top of this file.
    #[test]
    fn every_event_in_every_phase_does_what_the_table_says() {
        use TaskPhase::*;
        for phase in TaskPhase::ALL {
            // Asked before its phase could say so is nobody, and asked is who says so.
            let asked: &[bool] = match phase {
                Created | Running => &[false],
                CancelRequested | Cancelling => &[true],
                Finalizing | Completed => &[false, true],
            };
            for asked in asked.iter().copied() {
                let fresh = || {
                    let mut r = TaskRecord {
                        phase,
                        ..TaskRecord::default()
                    };
                    if asked {
                        let _ = r.asked.ask(reason(CancelKind::Timeout), Time::ZERO, LIMITS);
                    }
                    r
                };
                let case = format!("{phase:?}, asked before: {asked}");

                // A request.
                for (kind, again) in [
                    (CancelKind::User, Requested::Absorbed),
                    (CancelKind::Timeout, Requested::Absorbed),
                    (CancelKind::Shutdown, Requested::Strengthened),
                ] {
                    let mut r = fresh();
                    let told = r.request(reason(kind), Time::ZERO, LIMITS);
                    let expected = match phase {
                        Completed => Requested::TooLate,
                        _ if asked => again,
                        _ => Requested::Fresh,
                    };
                    assert_eq!(told, expected, "{kind:?} in {case}");
                    let after = match phase {
                        Created | Running => CancelRequested,
                        other => other,
                    };
                    assert_eq!(r.phase, after, "{kind:?} in {case}");
                }

                // A checkpoint, without a mask and under one.
                for masked in [false, true] {
                    let mut r = fresh();
                    assert!(!masked || r.mask(2));
                    let told = r.checkpoint();
                    let stops = asked && !masked;
                    let case = format!("{case}, masked: {masked}");
                    match told {
                        Checkpoint::Go => assert!(!asked, "{case}"),
                        Checkpoint::Masked => {
                            assert!(asked && masked, "{case}");
                            assert_eq!(r.deferrals, 1, "{case}");
                        }
                        Checkpoint::Stop { first, .. } => {
                            assert!(stops, "{case}");
                            assert_eq!(first, phase == CancelRequested, "{case}");
                        }
                    }
                    let after = match phase {
                        CancelRequested if stops => Cancelling,
                        other => other,
                    };
                    assert_eq!((r.phase, r.seen), (after, after != phase), "{case}");
                }

                // The body ends, and the task is done: from where a body can end.
                if phase < Finalizing {
                    let mut r = fresh();
                    r.body_ended();
                    assert_eq!(r.phase, Finalizing, "{case}");
                    r.completed();
                    assert_eq!(r.phase, Completed, "{case}");
                }
            }
        }
    }

    #[test]
    fn steps_are_those_of_the_table_and_no_others() {
        use TaskPhase::*;
        let legal = [
            (Created, Running),
            (Created, CancelRequested),
            (Created, Finalizing),
            (Running, CancelRequested),
            (Running, Finalizing),
            (CancelRequested, Cancelling),
            (CancelRequested, Finalizing),
            (Cancelling, Finalizing),
            (Finalizing, Completed),
        ];
        for from in TaskPhase::ALL {
            for to in TaskPhase::ALL {
                let expected = legal.contains(&(from, to));
                assert_eq!(from.step(to).is_ok(), expected, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_masked_task_acknowledges_at_the_checkpoint_after_its_deferrals() {
        let mut r = TaskRecord {
            phase: TaskPhase::Running,
            ..TaskRecord::default()
        };
        assert!(r.mask(MASK_DEFERRALS));
        assert_eq!(
            r.request(reason(CancelKind::User), Time::ZERO, LIMITS),
            Requested::Fresh
        );
        for _ in 0..MASK_DEFERRALS {
            assert_eq!(r.checkpoint(), Checkpoint::Masked);
        }
        assert!(matches!(
            r.checkpoint(),
            Checkpoint::Stop { first: true, .. }
        ));
        assert!(matches!(
            r.checkpoint(),
            Checkpoint::Stop { first: false, .. }
        ));
        assert_eq!(r.phase, TaskPhase::Cancelling);
    }

    #[test]
    fn nested_masks_do_not_renew_deferrals() {
        let mut r = TaskRecord::default();
        assert!(r.mask(MASK_DEFERRALS));
        r.deferrals = 1;
        for _ in 1..MASK_DEPTH {
            assert!(r.mask(MASK_DEFERRALS));
        }
        assert!(!r.mask(MASK_DEFERRALS), "one deeper than allowed");
        assert_eq!(r.deferrals, 1);
    }

    #[test]
    fn cleanup_polls_run_out() {
        let mut r = TaskRecord {
            phase: TaskPhase::Running,
            ..TaskRecord::default()
        };
        assert_eq!(r.polled(), Ok(false));
        assert_eq!(
            r.request(reason(CancelKind::User), Time::ZERO, LIMITS),
            Requested::Fresh
        );
        for _ in 0..LIMITS.polls {
            assert_eq!(r.polled(), Ok(false));
        }
        assert_eq!(r.polled(), Err(CleanupSpent));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Request(CancelKind, u64, u32),
        Checkpoint,
        Poll,
        Mask,
        BodyEnds,
        Completes,
    }

    fn step() -> impl Strategy<Value = Step> {
        let kind = prop_oneof![
            Just(CancelKind::User),
            Just(CancelKind::Timeout),
            Just(CancelKind::FailFast),
            Just(CancelKind::Shutdown)
        ];
        prop_oneof![
            (kind, 0u64..200, 0u32..9).prop_map(|(k, d, p)| Step::Request(k, d, p)),
            Just(Step::Checkpoint),
            Just(Step::Poll),
            Just(Step::Mask),
            Just(Step::BodyEnds),
            Just(Step::Completes),
        ]
    }

    proptest! {
        #[test]
        fn phases_never_go_back_and_limits_never_grow(steps in prop::collection::vec(step(), 0..60)) {
            let mut r = TaskRecord { phase: TaskPhase::Running, ..TaskRecord::default() };
            for s in steps {
                let before = r.clone();
                match s {
                    Step::Request(kind, d, polls) => {
                        let limits = CleanupLimits { deadline: Time::from_nanos(d), polls };
                        let done = r.request(reason(kind), Time::ZERO, limits);
                        prop_assert_eq!(done == Requested::TooLate, before.phase == TaskPhase::Completed);
                    }
                    Step::Checkpoint => match r.checkpoint() {
                        Checkpoint::Go => prop_assert!(r.asked.reason.is_none()),
                        Checkpoint::Masked => prop_assert!(before.is_masked()),
                        Checkpoint::Stop { first, .. } => {
                            prop_assert_eq!(first, before.phase == TaskPhase::CancelRequested);
                        }
                    },
                    Step::Poll => drop(r.polled()),
                    Step::Mask => drop(r.mask(MASK_DEFERRALS)),
                    Step::BodyEnds if r.phase < TaskPhase::Finalizing => r.body_ended(),
                    Step::Completes if r.phase == TaskPhase::Finalizing => r.completed(),
                    Step::BodyEnds | Step::Completes => {}
                }
                prop_assert!(r.phase >= before.phase);
                if before.asked.reason.is_some() {
                    let (old, new) = (before.asked.reason.unwrap(), r.asked.reason.clone().unwrap());
                    prop_assert!(new.kind.rank() >= old.kind.rank());
                    prop_assert!(r.asked.limits.deadline <= before.asked.limits.deadline);
                    prop_assert!(r.asked.limits.polls <= before.asked.limits.polls);
                }
            }
        }
    }
}
