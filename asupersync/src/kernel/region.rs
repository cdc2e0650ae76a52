//! The life of a region: it opens, owns, ends, drains, finalizes and closes.
//!
//! | state | admits | leaves when |
//! |---|---|---|
//! | Open | yes | cancelled; or the body ended and no foreground child lives → Draining |
//! | Draining | shielded regions only | body ended and no child lives → Finalizing |
//! | Finalizing | shielded regions only | finalizers ran and no subregion lives → Closed |
//! | Closed | no | never |
//!
//! Closing, the instant between "no longer Open" and "everyone was asked", has
//! no state of its own here: a rule that leaves Open returns the sweep that the
//! shell owes, and the record is Draining from then on.
//!
//! Invariants:
//! 1. QUIESCENCE: Closed implies body ended, no child, no finalizer left;
//! 2. what leaves Open returns a sweep exactly once, a stronger reason sweeps again;
//! 3. a region that is not Open and has nothing alive always has its driver notified.

use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::id::TaskId;
use crate::types::outcome::Severity;
use crate::types::policy::{Limit, RegionLimits};
use crate::types::report::{Failure, MAX_FAILURES};
use crate::types::time::Time;
use std::sync::Arc;

/// Where a region is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RegionState {
    /// Admits children.
    Open,
    /// Everything alive was asked to cancel, or is being awaited after it was.
    Draining,
    /// Nothing alive; finalizers run.
    Finalizing,
    /// Quiescent.
    Closed,
}

/// How a child counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Keeps the region open.
    Foreground,
    /// Is asked to end when the last foreground child has ended.
    Daemon,
}

/// The countable part of a region.
#[derive(Debug)]
pub struct RegionRecord {
    /// Where it is.
    pub state: RegionState,
    /// Why it was cancelled, strongest so far.
    pub reason: Option<Arc<CancelReason>>,
    /// When it was first cancelled.
    pub requested: Option<Time>,
    /// Children alive when it was first cancelled.
    pub alive_at_request: u64,
    /// Ends by severity.
    pub counts: [u64; 4],
    /// Ends that were asked for: not failures.
    pub stopped: u64,
    /// Bad ends, in the order they came, at most [`MAX_FAILURES`].
    pub failures: Vec<Failure>,
    severity: Severity,
    /// The first to go of a full list of failures, and its place.
    last: Option<(usize, Place)>,
    limits: RegionLimits,
    body_live: bool,
    foreground: u32,
    daemons: u32,
    subregions: u32,
    blocking: u32,
}

/// Whom the shell has to ask to cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sweep {
    /// Nobody.
    #[default]
    Nobody,
    /// Every live task and unshielded subregion, with `RegionEnd`.
    End,
    /// Every live task and unshielded subregion, with the region's reason.
    Cancel,
}

/// What the shell owes after a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use = "the shell sweeps and wakes after a rule"]
pub struct Next {
    /// Whom to ask.
    pub sweep: Sweep,
    /// Whether whoever drives the region has something to do now.
    pub notify_driver: bool,
    /// Whether nothing is alive from here on but what finalizers bring.
    pub finalizing: bool,
}

/// Where a failure stands among others: whether it follows from another, and
/// the order of [`Failure::place`].
type Place = (bool, (Time, bool, Option<TaskId>));

/// The end of a child, as the record counts it.
#[derive(Debug)]
pub enum End {
    /// Well.
    Ok,
    /// Asked for by the owner, or as the loser of a race.
    Stopped,
    /// Badly.
    Failed(Failure),
}

/// Why a child is not admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The region is past admitting.
    Past(RegionState),
    /// It has as many children as it may have.
    Full(Limit),
}

impl RegionRecord {
    /// An open region whose body is about to run.
    pub fn new() -> Self {
        Self::with_limits(RegionLimits::NONE)
    }

    /// As [`RegionRecord::new`], for a region that admits so many children.
    pub fn with_limits(limits: RegionLimits) -> Self {
        RegionRecord {
            state: RegionState::Open,
            reason: None,
            requested: None,
            alive_at_request: 0,
            counts: [0; 4],
            stopped: 0,
            failures: Vec::new(),
            severity: Severity::Ok,
            last: None,
            limits,
            body_live: true,
            foreground: 0,
            daemons: 0,
            subregions: 0,
            blocking: 0,
        }
    }

    /// A task wants in.
    pub fn admit_task(&mut self, role: Role) -> Result<(), Refused> {
        if self.state != RegionState::Open {
            return Err(Refused::Past(self.state));
        }
        let max = self.limits.max_tasks;
        if self.tasks() >= u64::from(max) {
            return Err(Refused::Full(Limit::Tasks(max)));
        }
        *self.count_of(role) += 1;
        Ok(())
    }

    /// A task wants in whose code runs on the blocking pool.
    pub fn admit_blocking(&mut self, role: Role) -> Result<(), Refused> {
        let max = self.limits.max_blocking;
        if self.state == RegionState::Open && self.blocking >= max {
            return Err(Refused::Full(Limit::Blocking(max)));
        }
        self.admit_task(role)?;
        self.blocking += 1;
        Ok(())
    }

    /// A subregion wants in. One that does cleanup is shielded and admitted until the end.
    pub fn admit_region(&mut self, role: Role, shielded: bool) -> Result<(), Refused> {
        let admitted = match self.state {
            RegionState::Open => true,
            RegionState::Draining | RegionState::Finalizing => shielded,
            RegionState::Closed => false,
        };
        if !admitted {
            return Err(Refused::Past(self.state));
        }
        let max = self.limits.max_regions;
        if !shielded && self.subregions >= max {
            return Err(Refused::Full(Limit::Regions(max)));
        }
        self.subregions += 1;
        *self.count_of(role) += 1;
        Ok(())
    }

    /// A task of the runtime itself, which drains a region that lost its
    /// opener, joins the region above; that one cannot be closed, since the
    /// orphaned region is its child.
    pub fn admit_driver(&mut self) {
        debug_assert!(
            self.state != RegionState::Closed,
            "a region closes after its subregions"
        );
        self.foreground += 1;
    }

    /// The runtime's own task ended: it is nobody's failure and not counted.
    pub fn driver_ended(&mut self) -> Next {
        self.foreground -= 1;
        self.settle()
    }

    /// A child task ended, and gives up its place.
    pub fn task_ended(&mut self, role: Role, end: End) -> Next {
        self.count(end);
        self.task_left(role)
    }

    /// A child task ended. It keeps its place, so the region cannot close yet:
    /// a policy decides first what the end means for the siblings.
    pub fn count(&mut self, end: End) {
        match end {
            End::Ok => self.counts[0] += 1,
            End::Stopped => self.stopped += 1,
            End::Failed(f) => {
                self.counts[f.severity as usize] += 1;
                self.fail(f);
            }
        }
    }

    /// A child task whose end was counted gives up its place.
    pub fn task_left(&mut self, role: Role) -> Next {
        *self.count_of(role) -= 1;
        self.settle()
    }

    /// As [`RegionRecord::task_left`], for a task on the blocking pool.
    pub fn blocking_left(&mut self, role: Role) -> Next {
        self.blocking -= 1;
        self.task_left(role)
    }

    /// A subregion closed.
    pub fn region_ended(&mut self, role: Role) -> Next {
        self.subregions -= 1;
        *self.count_of(role) -= 1;
        self.settle()
    }

    /// A failure that is not a child's: of the body, of a finalizer, of a
    /// region that was handed over, or one that was escalated from below.
    pub fn fail(&mut self, f: Failure) {
        self.severity = self.severity.max(f.severity);
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(f);
            self.last = None;
            return;
        }
        // Kept are those that followed from nothing, the earliest first: however
        // many siblings end because one failed, the cause is not what is lost.
        // Ranked once for as long as the list is the same: who follows from
        // whom changes only with what is kept.
        let Some((at, last)) = self.last.or_else(|| {
            let all = self.failures.iter().map(|f| (self.follows(f), f.place()));
            all.enumerate().max_by_key(|(_, place)| *place)
        }) else {
            return;
        };
        self.last = Some((at, last));
        // Most ends come after all that are kept, and cannot follow less.
        let hopeless = !last.0 && f.place() >= last.1;
        if !hopeless && (self.follows(&f), f.place()) < last {
            self.failures[at] = f;
            self.last = None;
        }
    }

    /// The body returned, or was dropped.
    pub fn body_ended(&mut self) -> Next {
        debug_assert!(self.body_live, "a body ends once");
        self.body_live = false;
        self.settle()
    }

    /// Somebody cancels the region.
    pub fn cancel(&mut self, reason: Arc<CancelReason>, now: Time) -> Next {
        if self.state >= RegionState::Finalizing {
            return Next::default();
        }
        let sweep = match &self.reason {
            None => {
                self.requested = Some(now);
                self.alive_at_request = self.tasks();
                self.reason = Some(reason);
                Sweep::Cancel
            }
            Some(old) => {
                let stronger = CancelReason::clone(old).strengthen(CancelReason::clone(&reason));
                if stronger == **old {
                    return Next::default();
                }
                self.reason = Some(reason);
                Sweep::Cancel
            }
        };
        if self.state == RegionState::Open {
            self.state = RegionState::Draining;
        }
        let next = self.settle();
        // The driver is always told: the body must see the request too.
        Next {
            sweep,
            notify_driver: true,
            ..next
        }
    }

    /// All finalizers ran; `true` when the region is now Closed.
    pub fn finalized(&mut self) -> bool {
        debug_assert_eq!(
            self.state,
            RegionState::Finalizing,
            "finalizers run after the drain"
        );
        if self.subregions == 0 && self.foreground == 0 && self.daemons == 0 {
            self.state = RegionState::Closed;
        }
        self.state == RegionState::Closed
    }

    /// Live tasks and regions, daemons included.
    pub fn alive(&self) -> u64 {
        u64::from(self.foreground) + u64::from(self.daemons)
    }

    /// Live tasks, daemons included.
    pub fn tasks(&self) -> u64 {
        self.alive() - u64::from(self.subregions)
    }

    /// Whether the region is quiescent, for good.
    pub fn is_closed(&self) -> bool {
        self.state == RegionState::Closed
    }

    /// Whether the body has not ended yet.
    pub fn body_is_live(&self) -> bool {
        self.body_live
    }

    /// The worst end so far.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The failure that caused the others: the earliest that does not follow
    /// from another failed end of this region.
    pub fn primary(&self) -> Option<&Failure> {
        let origin = self
            .failures
            .iter()
            .filter(|f| !self.follows(f))
            .min_by_key(|f| f.place());
        origin.or_else(|| self.failures.iter().min_by_key(|f| f.place()))
    }

    /// Whether an end is the consequence of another failed end of this region.
    fn follows(&self, f: &Failure) -> bool {
        let root = f.reason.as_ref().map(CancelReason::root_cause);
        let cause: Option<TaskId> = root.and_then(|r| r.task);
        cause.is_some_and(|t| Some(t) != f.task && self.failures.iter().any(|g| g.task == Some(t)))
    }

    fn count_of(&mut self, role: Role) -> &mut u32 {
        match role {
            Role::Foreground => &mut self.foreground,
            Role::Daemon => &mut self.daemons,
        }
    }

    /// Takes every step that the counts now allow.
    fn settle(&mut self) -> Next {
        let mut next = Next::default();
        if self.state == RegionState::Open && !self.body_live && self.foreground == 0 {
            self.state = RegionState::Draining;
            if self.daemons > 0 {
                next.sweep = Sweep::End;
                // The driver keeps the time from here on.
                next.notify_driver = true;
            }
        }
        if self.state == RegionState::Draining && !self.body_live && self.alive() == 0 {
            self.state = RegionState::Finalizing;
            next.notify_driver = true;
            next.finalizing = true;
        } else if self.state == RegionState::Finalizing && self.alive() == 0 {
            // A shielded region of a finalizer closed.
            next.notify_driver = true;
        }
        next
    }
}

impl Default for RegionRecord {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether an end counts as a stop: its owner wanted it to end.
pub fn is_stop(reason: &CancelReason) -> bool {
    matches!(
        reason.root_cause().kind,
        CancelKind::RegionEnd | CancelKind::RaceLost
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::policy::Name;
    use proptest::prelude::*;

    fn reason(kind: CancelKind) -> Arc<CancelReason> {
        Arc::new(CancelReason::new(kind))
    }

    fn failure(task: u32, severity: Severity, at: u64, reason: Option<CancelReason>) -> Failure {
        Failure {
            task: Some(TaskId::new(task, 0)),
            name: Name::NONE,
            severity,
            at: Time::from_nanos(at),
            message: String::new(),
            reason,
            value: None,
        }
    }

    #[test]
    fn an_empty_region_finalizes_when_its_body_ends() {
        let mut r = RegionRecord::new();
        assert!(r.body_ended().notify_driver);
        assert_eq!(r.state, RegionState::Finalizing);
        assert!(r.finalized());
    }

    #[test]
    fn daemons_are_asked_to_end_after_the_last_foreground_child() {
        let mut r = RegionRecord::new();
        r.admit_task(Role::Daemon).unwrap();
        r.admit_task(Role::Foreground).unwrap();
        assert_eq!(r.body_ended(), Next::default());
        r.admit_task(Role::Foreground)
            .expect("open while a foreground child lives");
        assert_eq!(r.task_ended(Role::Foreground, End::Ok), Next::default());
        assert_eq!(r.task_ended(Role::Foreground, End::Ok).sweep, Sweep::End);
        assert!(r.admit_task(Role::Foreground).is_err());
        assert!(r.task_ended(Role::Daemon, End::Stopped).notify_driver);
        assert_eq!(r.severity(), Severity::Ok);
    }

    #[test]
    fn the_failure_that_caused_the_others_is_primary() {
        let mut r = RegionRecord::new();
        for _ in 0..3 {
            r.admit_task(Role::Foreground).unwrap();
        }
        let origin = failure(2, Severity::Err, 5, None);
        let mut followed = CancelReason::new(CancelKind::FailFast);
        followed.task = origin.task;
        let _ = r.task_ended(
            Role::Foreground,
            End::Failed(failure(0, Severity::Cancelled, 1, Some(followed.clone()))),
        );
        let _ = r.task_ended(Role::Foreground, End::Failed(origin));
        let _ = r.task_ended(
            Role::Foreground,
            End::Failed(failure(1, Severity::Cancelled, 9, Some(followed))),
        );
        assert_eq!(r.primary().unwrap().task, Some(TaskId::new(2, 0)));
        assert_eq!(r.severity(), Severity::Cancelled);
    }

    #[test]
    fn a_full_region_refuses_until_a_child_has_left() {
        let mut r = RegionRecord::with_limits(RegionLimits {
            max_tasks: 2,
            max_regions: 1,
            max_blocking: 1,
        });
        assert_eq!(r.admit_blocking(Role::Foreground), Ok(()));
        let full = |limit| Err(Refused::Full(limit));
        assert_eq!(r.admit_blocking(Role::Daemon), full(Limit::Blocking(1)));
        assert_eq!(r.admit_task(Role::Daemon), Ok(()));
        assert_eq!(r.admit_task(Role::Foreground), full(Limit::Tasks(2)));
        assert_eq!(r.admit_region(Role::Foreground, false), Ok(()));
        let refused = r.admit_region(Role::Foreground, false);
        assert_eq!(refused, full(Limit::Regions(1)));
        assert_eq!(r.admit_region(Role::Foreground, true), Ok(()));
        r.count(End::Ok);
        assert_eq!(r.blocking_left(Role::Foreground), Next::default());
        assert_eq!(r.admit_blocking(Role::Foreground), Ok(()));
        let _ = r.cancel(reason(CancelKind::User), Time::ZERO);
        let past = Err(Refused::Past(RegionState::Draining));
        assert_eq!(
            r.admit_blocking(Role::Foreground),
            past,
            "not for being full"
        );
    }

    #[test]
    fn an_origin_is_kept_although_its_followers_have_filled_the_list() {
        let mut r = RegionRecord::new();
        let mut followed = CancelReason::new(CancelKind::FailFast);
        followed.task = Some(TaskId::new(1_000, 0));
        r.fail(failure(1_000, Severity::Err, 5, None));
        for task in 0..100 {
            r.fail(failure(
                task,
                Severity::Cancelled,
                7,
                Some(followed.clone()),
            ));
        }
        assert_eq!(r.failures.len(), MAX_FAILURES);
        assert_eq!(r.primary().unwrap().task, followed.task);
        // Failures of their own, the last one at the instant of the first.
        for task in (2_000..2_100).rev() {
            r.fail(failure(task, Severity::Err, 9, None));
        }
        r.fail(failure(999, Severity::Panicked, 5, None));
        assert_eq!(r.failures.len(), MAX_FAILURES);
        assert_eq!(r.primary().unwrap().task, Some(TaskId::new(999, 0)));
        assert_eq!(r.severity(), Severity::Panicked);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Spawn(bool),
        Open(bool),
        EndTask(bool),
        EndRegion,
        Cancel(CancelKind),
        BodyEnds,
        Finalized,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<bool>().prop_map(Step::Spawn),
            any::<bool>().prop_map(Step::Open),
            any::<bool>().prop_map(Step::EndTask),
            Just(Step::EndRegion),
            Just(Step::Cancel(CancelKind::User)),
            Just(Step::Cancel(CancelKind::Shutdown)),
            Just(Step::BodyEnds),
            Just(Step::Finalized),
        ]
    }

    fn role(daemon: bool) -> Role {
        if daemon {
            Role::Daemon
        } else {
            Role::Foreground
        }
    }

    proptest! {
        #[test]
        fn a_closed_region_is_quiescent_and_states_only_advance(steps in prop::collection::vec(step(), 0..80)) {
            let mut r = RegionRecord::new();
            let (mut tasks, mut regions, mut body) = ([0u32; 2], 0u32, true);
            for s in steps {
                let before = r.state;
                match s {
                    Step::Spawn(d) => {
                        let admitted = r.admit_task(role(d)).is_ok();
                        prop_assert_eq!(admitted, before == RegionState::Open);
                        tasks[usize::from(d)] += u32::from(admitted);
                    }
                    Step::Open(shielded) => {
                        let admitted = r.admit_region(Role::Foreground, shielded).is_ok();
                        let expected = before == RegionState::Open || (shielded && before < RegionState::Closed);
                        prop_assert_eq!(admitted, expected);
                        regions += u32::from(admitted);
                    }
                    Step::EndTask(d) if tasks[usize::from(d)] > 0 => {
                        tasks[usize::from(d)] -= 1;
                        let _ = r.task_ended(role(d), End::Ok);
                    }
                    Step::EndRegion if regions > 0 => {
                        regions -= 1;
                        let _ = r.region_ended(Role::Foreground);
                    }
                    Step::Cancel(kind) => {
                        let again = r.reason.is_some();
                        let next = r.cancel(reason(kind), Time::ZERO);
                        if before < RegionState::Finalizing && !again {
                            prop_assert_eq!(next.sweep, Sweep::Cancel);
                        }
                        prop_assert!(before >= RegionState::Finalizing || r.state > RegionState::Open);
                    }
                    Step::BodyEnds if body => {
                        body = false;
                        let _ = r.body_ended();
                    }
                    Step::Finalized if r.state == RegionState::Finalizing => {
                        prop_assert_eq!(r.finalized(), regions == 0);
                    }
                    _ => {}
                }
                prop_assert!(r.state >= before);
                prop_assert_eq!(r.alive(), u64::from(tasks[0] + tasks[1] + regions));
                if r.state >= RegionState::Finalizing {
                    prop_assert!(!body && tasks == [0, 0]);
                }
                if r.state == RegionState::Closed {
                    prop_assert_eq!(regions, 0);
                }
            }
        }
    }
}
