//! A region: its record and its children behind its own lock, hot facts in atomics.
//!
//! The ledger's lock is the region's only lock; it is a leaf and is held for
//! arithmetic and moves alone. A region keeps its parent alive, a parent its
//! children; the cycle ends when the region closes and gives up its seat.

use super::ids::{Ids, Spare};
use super::meter::{self, Meter};
use super::seats::{Seat, Seats};
use super::task::{Finalizer, TaskRef};
use super::{cancel, contain, lock, state};
use crate::kernel::drain::Look;
use crate::kernel::region::{End, Next, Refused, RegionRecord, RegionState, Role, Sweep};
use crate::kernel::request::Request;
use crate::kernel::task::CleanupLimits;
use crate::types::budget::Budget;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::caps::{CapSet, Denials};
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use crate::types::outcome::Severity;
use crate::types::policy::{
    Action, ChildEnd, CleanupPolicy, Escalation, Name, Policy, RegionLimits,
};
use crate::types::report::{Abandoned, Failure, LeakRecord};
use crate::types::slots::Key;
use crate::types::time::Time;
use crate::world::{TimerKey, World};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::time::Duration;

/// How to open a region.
///
/// ```
/// use asupersync::{Policy, RegionOptions};
/// let o = RegionOptions { policy: Policy::Collect, ..RegionOptions::named("batch") };
/// assert_eq!(o.name.as_str(), "batch");
/// ```
#[derive(Clone, Debug, Default)]
pub struct RegionOptions {
    /// Name in reports.
    pub name: Name,
    /// Limits for everything inside, met with the parent's.
    pub budget: Budget,
    /// What to do when a child fails.
    pub policy: Policy,
    /// How long cleanup may take; `None` is the parent's.
    pub cleanup: Option<CleanupPolicy>,
    /// What happens to code that does not react in its cleanup budget; `None` is the parent's.
    pub escalation: Option<Escalation>,
    /// How many children it admits, met with the parent's limits.
    pub limits: RegionLimits,
    /// How long it may take to close, from the moment it admits nothing more.
    ///
    /// What happens then is the one exception to quiescence: whoever awaits the
    /// region gets the error `RegionCloseTimeout`, which says that it is *not*
    /// quiescent and who keeps it. A body that is still running is dropped, since
    /// it cannot outlive whoever awaits it. The region goes on draining under its
    /// parent, which cannot close before. The root of a run has no parent and
    /// ignores this: shut the runtime down with a timeout instead.
    pub close_timeout: Option<Duration>,
    /// Which effects the body and everything inside may perform, met with what the opener may.
    pub caps: CapSet,
}

impl RegionOptions {
    /// The defaults, with a name.
    pub fn named(name: impl Into<Name>) -> Self {
        RegionOptions {
            name: name.into(),
            ..RegionOptions::default()
        }
    }
}

/// What all regions of a run share.
pub(crate) struct Tree {
    pub(crate) world: Arc<dyn World>,
    /// Whether the world records events; asked once.
    pub(crate) records: bool,
    pub(crate) ids: Ids,
    fresh_races: AtomicU64,
    /// Effects that contexts of this run asked for and may not perform.
    pub(crate) denials: Denials,
}

impl Tree {
    pub(crate) fn new(world: Arc<dyn World>) -> Arc<Self> {
        let records = world.records();
        Arc::new(Tree {
            world,
            records,
            ids: Ids::new(),
            fresh_races: AtomicU64::new(0),
            denials: Denials::default(),
        })
    }

    /// A number for a race, for the record of a run.
    pub(crate) fn fresh_race(&self) -> u64 {
        self.fresh_races.fetch_add(1, Ordering::Relaxed)
    }
}

/// Bits of [`RegionCell::signals`].
pub(crate) mod signal {
    /// The region was cancelled: checkpoints of its body take the slow path.
    pub(crate) const CANCEL: u32 = 1;
    /// The body's cleanup budget is spent: it is dropped at its next poll.
    pub(crate) const ESCALATE: u32 = 1 << 1;
    /// The body has seen the request.
    pub(crate) const OBSERVED: u32 = 1 << 2;
}

/// A child, in its seat.
pub(crate) enum Child {
    Task(TaskRef),
    Region(Arc<RegionCell>),
}

impl Child {
    pub(crate) fn task(&self) -> Option<TaskRef> {
        match self {
            Child::Task(task) => Some(task.clone()),
            Child::Region(_) => None,
        }
    }
}

/// A region.
pub(crate) struct RegionCell {
    pub(crate) id: RegionId,
    pub(crate) name: Name,
    pub(crate) tree: Arc<Tree>,
    pub(crate) parent: Option<Arc<RegionCell>>,
    /// The task whose code the body is; gone once the region has left the tree.
    opener: Mutex<Option<TaskRef>>,
    pub(crate) role: Role,
    /// Opened by cleanup: requests from above do not reach it.
    pub(crate) shielded: bool,
    /// Requests to its opener do not reach it, nor its body: it is shielded, or the
    /// opener has opened it inside a region for which this holds.
    pub(crate) screened: bool,
    /// What it allows at the most; see [`RegionCell::budget_left`].
    pub(crate) budget: Budget,
    pub(crate) meter: Meter,
    pub(crate) policy: Policy,
    pub(crate) cleanup: CleanupPolicy,
    escalation: Escalation,
    limits: RegionLimits,
    pub(crate) close_timeout: Option<Duration>,
    pub(crate) signals: AtomicU32,
    /// Rank of what all children were asked together.
    pub(crate) asked_rank: AtomicU8,
    /// Polls that what they were asked together leaves to each.
    pub(crate) asked_polls: AtomicU32,
    pub(crate) ledger: Mutex<Ledger>,
}

/// What the region's lock guards.
pub(crate) struct Ledger {
    pub(crate) record: RegionRecord,
    pub(crate) children: Seats,
    /// The region's place among its parent's children.
    pub(crate) seat: Option<Seat>,
    /// The region's place among those its opener awaits.
    pub(crate) opened: Option<Key>,
    /// Ids that nobody has, last freed first.
    pub(crate) spare: Spare,
    /// Deferred work, run last in first out.
    pub(crate) finalizers: Vec<Finalizer>,
    /// Who waits for quiescence.
    pub(crate) driver: Option<Waker>,
    pub(crate) alarm: Option<TimerKey>,
    pub(crate) body_limits: CleanupLimits,
    /// What all children were asked together.
    pub(crate) asked: Request,
    /// Escalations due up to here have been carried out.
    pub(crate) escalated_until: Time,
    /// A deadline that an ancestor's alarm already covers.
    pub(crate) inherited_deadline: Option<Time>,
    /// When to tell again who does not react.
    pub(crate) remind: Option<Time>,
    /// What is left for the finalizers, once they run.
    pub(crate) finalizing: CleanupLimits,
    /// What the last two looks at the drain saw, the newer last.
    pub(crate) looked: [Option<Look>; 2],
    pub(crate) leaks: Vec<LeakRecord>,
    pub(crate) abandoned: Vec<Abandoned>,
    pub(crate) escalations: u64,
}

impl RegionCell {
    /// The root region of a run; `opener` is the task that polls its body.
    pub(crate) fn root(
        tree: Arc<Tree>,
        id: RegionId,
        opener: TaskRef,
        options: RegionOptions,
    ) -> Self {
        RegionCell {
            id,
            name: options.name,
            tree,
            parent: None,
            opener: Mutex::new(Some(opener)),
            role: Role::Foreground,
            shielded: false,
            screened: false,
            meter: Meter::new(options.budget.cost_quota, None),
            budget: options.budget,
            policy: options.policy,
            cleanup: options.cleanup.unwrap_or_default(),
            escalation: options.escalation.unwrap_or_default(),
            limits: options.limits,
            close_timeout: None,
            signals: AtomicU32::new(0),
            asked_rank: AtomicU8::new(0),
            asked_polls: AtomicU32::new(u32::MAX),
            ledger: Mutex::new(Ledger::new(options.limits, None)),
        }
    }

    /// Opens a region inside `parent` for `opener`.
    ///
    /// The seat is taken under the parent's lock, so a cancel of the parent
    /// either refuses the region or sweeps it; a request to the opener that
    /// came before the region was listed there is made up for.
    pub(crate) fn open(
        parent: &Arc<RegionCell>,
        opener: &TaskRef,
        cleanup_view: bool,
        options: RegionOptions,
    ) -> Result<Arc<RegionCell>, Refused> {
        let tree = parent.tree.clone();
        let (masked, mut left) = opener.cleanup_left();
        let shielded = cleanup_view || masked;
        let inside = || parent.screened && parent.opener().is_some_and(|o| o.id() == opener.id());
        let screened = shielded || inside();
        // The opener's own deadline binds what it opens; its quotas are its own.
        let above = match opener.own_budget().deadline {
            Some(own) => parent.budget.meet(Budget::new().with_deadline(own)),
            None => parent.budget,
        };
        let mut budget = above.meet(options.budget);
        if shielded {
            // A finalizer of the region above has what is left for all of them.
            left = left.meet(lock(&parent.ledger).finalizing);
            // What is left for the opener's cleanup binds what its cleanup opens;
            // a deadline above is a request, which does not reach it.
            budget = Budget {
                deadline: options.budget.deadline,
                ..budget
            };
            if left.deadline != Time::MAX {
                budget = budget.meet(Budget::new().with_deadline(left.deadline));
            }
        }
        let role = if opener.region().id == parent.id && !opener.is_root() {
            opener.role()
        } else {
            Role::Foreground
        };
        let cell = {
            let (mut ledger, id) = parent.with_region_id();
            if let Err(refused) = ledger.record.admit_region(role, shielded) {
                ledger.spare.region_unused(id);
                return Err(refused);
            }
            let inherited = above
                .deadline
                .filter(|at| !shielded && budget.deadline == Some(*at));
            let limits = parent.limits.meet(options.limits);
            let cell = Arc::new(RegionCell {
                id,
                name: options.name,
                tree: tree.clone(),
                parent: Some(parent.clone()),
                opener: Mutex::new(Some(opener.clone())),
                role,
                shielded,
                screened,
                budget,
                meter: Meter::new(options.budget.cost_quota, Some(&parent.meter)),
                policy: options.policy,
                cleanup: options.cleanup.unwrap_or(parent.cleanup),
                escalation: options.escalation.unwrap_or(parent.escalation),
                limits,
                close_timeout: options.close_timeout,
                signals: AtomicU32::new(0),
                asked_rank: AtomicU8::new(0),
                asked_polls: AtomicU32::new(u32::MAX),
                ledger: Mutex::new(Ledger::new(limits, inherited)),
            });
            let seat = ledger.children.take(Child::Region(cell.clone()));
            // Nobody else knows the new ledger yet, so this lock is free: the one
            // place where two are held, parent before child.
            lock(&cell.ledger).seat = Some(seat);
            cell
        };
        cell.emit(|| Event::RegionOpened {
            region: cell.id,
            parent: Some(parent.id),
            opener: opener.id(),
            shielded,
        });
        let (key, asked, limits) = opener.with_control(|c| {
            let key = c.opened.insert(cell.clone());
            (key, c.record.asked.reason.clone(), c.record.asked.limits)
        });
        lock(&cell.ledger).opened = Some(key);
        match asked {
            _ if screened => cancel::bind_shielded(&cell, limits.meet(left)),
            Some(reason) => {
                let below = CancelReason::new(CancelKind::ParentCancelled).caused_by(reason);
                cancel::cancel_within(&cell, below, limits);
            }
            None if budget.deadline.is_some() => cancel::arm_region(&cell),
            None => {}
        }
        cell.raise_spent();
        Ok(cell)
    }

    /// Raises the request of a budget that is spent from the beginning.
    pub(crate) fn raise_spent(self: &Arc<Self>) {
        // Poll quotas bind the tasks inside one by one, not the region, and
        // inherited pools answer for themselves.
        let own = Budget {
            poll_quota: u32::MAX,
            cost_quota: self.meter.own(),
            ..self.budget
        };
        let now = own.deadline.map_or(Time::ZERO, |_| self.tree.world.now());
        if let Some(kind) = own.spent(now) {
            cancel::cancel_region(self, CancelReason::new(kind));
        }
    }

    /// What is left of its budget.
    pub(crate) fn budget_left(&self) -> Budget {
        Budget {
            cost_quota: meter::left(self),
            ..self.budget
        }
    }

    /// The task whose code the body is.
    pub(crate) fn opener(&self) -> Option<TaskRef> {
        lock(&self.opener).clone()
    }

    /// Whether `parent` is the region above.
    pub(crate) fn is_child_of(&self, parent: &RegionCell) -> bool {
        self.parent.as_ref().is_some_and(|p| p.id == parent.id)
    }

    /// Wakes the body: it was cancelled, or is to be dropped.
    pub(crate) fn wake_body(&self) {
        if let Some(opener) = self.opener() {
            opener.wake_for_cancel();
        }
    }

    pub(crate) fn state(&self) -> RegionState {
        lock(&self.ledger).record.state
    }

    /// Whether the region was cancelled: one load.
    #[inline]
    pub(crate) fn cancel_requested(&self) -> bool {
        self.signals.load(Ordering::Relaxed) & signal::CANCEL != 0
    }

    pub(crate) fn reason(&self) -> Option<Arc<CancelReason>> {
        lock(&self.ledger).record.reason.clone()
    }

    /// What all children were asked together.
    pub(crate) fn asked(&self) -> Request {
        lock(&self.ledger).asked.clone()
    }

    pub(crate) fn escalates(&self) -> bool {
        self.escalation == Escalation::Drop
    }

    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        if self.tree.records {
            self.tree.world.emit(event());
        }
    }

    /// The ledger, locked, and an id for a new task. It is taken before the
    /// task is admitted; one that is refused gives it back.
    pub(crate) fn with_task_id(&self) -> (MutexGuard<'_, Ledger>, TaskId) {
        let ids = &self.tree.ids;
        let next = |ledger: &mut Ledger| ledger.spare.task().or_else(|| ids.fresh_task());
        let mut ledger = lock(&self.ledger);
        if let Some(id) = next(&mut ledger) {
            return (ledger, id);
        }
        let alive = ledger.record.alive();
        self.refill(ledger, || Spare::for_tasks(ids, alive), Spare::task)
    }

    /// As [`RegionCell::with_task_id`], for a region.
    fn with_region_id(&self) -> (MutexGuard<'_, Ledger>, RegionId) {
        let ids = &self.tree.ids;
        let next = |ledger: &mut Ledger| ledger.spare.region().or_else(|| ids.fresh_region());
        let mut ledger = lock(&self.ledger);
        if let Some(id) = next(&mut ledger) {
            return (ledger, id);
        }
        self.refill(ledger, || Spare::for_regions(ids), Spare::region)
    }

    /// Takes ids from the run, with the ledger unlocked meanwhile: one lock at a time.
    #[cold]
    fn refill<'a, I>(
        &'a self,
        locked: MutexGuard<'a, Ledger>,
        more: impl FnOnce() -> Spare,
        next: impl FnOnce(&mut Spare) -> Option<I>,
    ) -> (MutexGuard<'a, Ledger>, I) {
        drop(locked);
        let mut more = more();
        let id = next(&mut more).expect("the run has an id for everybody");
        let mut ledger = lock(&self.ledger);
        ledger.spare.add(more);
        (ledger, id)
    }

    /// A child task has a value, and leaves.
    pub(crate) fn task_ended_well(task: TaskRef) {
        let region = task.region();
        if region.policy.hears_of(Severity::Ok) {
            return RegionCell::task_ended(task, Severity::Ok, End::Ok);
        }
        let left = region.leaves(&task, |record| record.count(End::Ok));
        RegionCell::parted(task, left);
    }

    /// A child task has its outcome, whatever it is, and leaves.
    #[inline(never)]
    pub(crate) fn task_ended(task: TaskRef, severity: Severity, end: End) {
        let region = task.region();
        let heard = region.policy.hears_of(severity) && !matches!(end, End::Stopped);
        let next = if heard {
            let failure = match &end {
                End::Failed(f) => Some(f.clone()),
                End::Ok | End::Stopped => None,
            };
            // Counted before the policy is asked, so that what follows is seen to
            // follow; the seat is given up after, so that the region is still there.
            lock(&region.ledger).record.count(end);
            let end = ChildEnd {
                task: task.id(),
                region: region.id,
                severity,
                at: region.tree.world.now(),
            };
            region.react(&end, failure);
            region.leaves(&task, |_| {})
        } else {
            region.leaves(&task, |record| record.count(end))
        };
        RegionCell::parted(task, next);
    }

    /// The task gives up its seat and its id; `count` counts its end unless that was done.
    #[inline]
    fn leaves(&self, task: &TaskRef, count: impl FnOnce(&mut RegionRecord)) -> (Next, Child) {
        let bits = task.state();
        let role = task.role();
        let mut ledger = lock(&self.ledger);
        count(&mut ledger.record);
        let seat = ledger.children.leave(task.head().seat);
        ledger.spare.task_left(task.id());
        let next = if bits & state::PINNED == 0 {
            ledger.record.task_left(role)
        } else {
            ledger.record.blocking_left(role)
        };
        (next, seat)
    }

    /// Does what follows from a task's leaving, and lets go of the task.
    #[inline]
    fn parted(task: TaskRef, (next, child): (Next, Child)) {
        if next != Next::default() {
            task.region().carry_out(next);
        }
        match child {
            Child::Task(seated) => task.leave(seated),
            Child::Region(_) => unreachable!("a task sits in its own seat"),
        }
    }

    /// Does what the policy says about an end. An escalated failure counts in
    /// the region above, which cannot close before this one, and so on up.
    pub(crate) fn react(self: &Arc<Self>, end: &ChildEnd, failure: Option<Failure>) {
        let mut region = self;
        loop {
            // A policy may be user code: one that panics fails its region.
            let action = contain(|| region.policy.on_child(end)).unwrap_or_else(|panic| {
                let message = format!("in the region's policy: {panic}");
                region.add_failure(Failure {
                    task: None,
                    name: region.name.clone(),
                    severity: Severity::Panicked,
                    at: end.at,
                    message,
                    reason: None,
                    value: None,
                });
                Action::CancelSiblings
            });
            if action == Action::Continue {
                return;
            }
            let kind = match end.severity {
                Severity::Ok => CancelKind::RaceLost,
                Severity::Err | Severity::Cancelled | Severity::Panicked => CancelKind::FailFast,
            };
            let mut reason = CancelReason::new(kind);
            reason.task = Some(end.task);
            cancel::cancel_region(region, reason);
            let (Action::Escalate, Some(above)) = (action, &region.parent) else {
                return;
            };
            failure.iter().for_each(|f| above.add_failure(f.clone()));
            region = above;
        }
    }

    /// The runtime's own draining task ended.
    pub(crate) fn driver_ended(task: TaskRef) {
        let region = task.region();
        let left = {
            let mut ledger = lock(&region.ledger);
            let seat = ledger.children.leave(task.head().seat);
            ledger.spare.task_left(task.id());
            (ledger.record.driver_ended(), seat)
        };
        RegionCell::parted(task, left);
    }

    /// A subregion is Closed.
    fn region_ended(self: &Arc<Self>, child: &RegionCell, seat: Seat) {
        let (next, seat) = {
            let mut ledger = lock(&self.ledger);
            let seat = ledger.children.leave(seat);
            ledger.spare.region_left(child.id);
            (ledger.record.region_ended(child.role), seat)
        };
        drop(seat);
        self.carry_out(next);
    }

    /// The body returned, failed, panicked or was dropped.
    pub(crate) fn body_ended(self: &Arc<Self>, failure: Option<Failure>) {
        let failed = failure.is_some();
        let next = {
            let mut ledger = lock(&self.ledger);
            if let Some(f) = failure {
                ledger.record.fail(f);
            }
            ledger.record.body_ended()
        };
        self.carry_out(next);
        if failed {
            cancel::cancel_region(
                self,
                CancelReason::new(CancelKind::FailFast).with_message("the region's body failed"),
            );
        }
    }

    /// All finalizers ran; `true` when the region is Closed now.
    pub(crate) fn finalized(self: &Arc<Self>) -> bool {
        let (closed, alarm) = {
            let mut ledger = lock(&self.ledger);
            // What was deferred since the last one ran still has to run.
            let closed = ledger.finalizers.is_empty() && ledger.record.finalized();
            (closed, closed.then(|| ledger.alarm.take()).flatten())
        };
        if let Some(alarm) = alarm {
            self.tree.world.timer_cancel(alarm);
        }
        closed
    }

    /// Leaves the tree; the region is Closed. Its report has been taken.
    pub(crate) fn leave(self: &Arc<Self>) {
        self.emit(|| Event::RegionClosed { region: self.id });
        self.unlink();
    }

    /// Gives up the region's place in the tree, and its opener.
    pub(crate) fn unlink(self: &Arc<Self>) {
        let (seat, opened, driver, spare) = {
            let mut ledger = lock(&self.ledger);
            (
                ledger.seat.take(),
                ledger.opened.take(),
                ledger.driver.take(),
                std::mem::take(&mut ledger.spare),
            )
        };
        drop(driver);
        spare.give_back(&self.tree.ids);
        // An opener refers to its region; letting go of it here ends the cycle.
        let opener = lock(&self.opener).take();
        if let (Some(key), Some(opener)) = (opened, opener) {
            let listed = opener.peek_control(|c| c.opened.remove(key));
            drop(listed);
        }
        if let (Some(parent), Some(seat)) = (&self.parent, seat) {
            parent.region_ended(self, seat);
        }
    }

    /// Carries out what a rule returned; no lock is held.
    pub(crate) fn carry_out(self: &Arc<Self>, next: Next) {
        if next.finalizing {
            self.emit(|| Event::RegionFinalizing { region: self.id });
        }
        match next.sweep {
            Sweep::Nobody => {}
            Sweep::End => cancel::end_region(self),
            Sweep::Cancel => {
                unreachable!("only a cancel sweeps with a reason, and it does so itself")
            }
        }
        self.notify(next.notify_driver);
    }

    /// Keeps a waker for the driver's next [`RegionCell::notify`].
    pub(crate) fn listen(&self, waker: &Waker) {
        let fresh = waker.clone();
        let old = lock(&self.ledger).driver.replace(fresh);
        drop(old);
    }

    pub(crate) fn notify(&self, driver: bool) {
        if !driver {
            return;
        }
        let waker = lock(&self.ledger).driver.take();
        waker.into_iter().for_each(super::wake);
    }
}

impl Ledger {
    fn new(limits: RegionLimits, inherited_deadline: Option<Time>) -> Self {
        Ledger {
            record: RegionRecord::with_limits(limits),
            children: Seats::new(),
            seat: None,
            opened: None,
            spare: Spare::default(),
            finalizers: Vec::new(),
            driver: None,
            alarm: None,
            body_limits: CleanupLimits::NONE,
            asked: Request::NONE,
            escalated_until: Time::ZERO,
            inherited_deadline,
            remind: None,
            finalizing: CleanupLimits::NONE,
            looked: [None; 2],
            leaks: Vec::new(),
            abandoned: Vec::new(),
            escalations: 0,
        }
    }
}

impl Drop for RegionCell {
    /// Lets go of the regions above one after the other instead of one inside
    /// the other: what outlives its run may be nested deeper than a stack.
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some(mut region) = above.and_then(Arc::into_inner) {
            above = region.parent.take();
        }
    }
}

/// A region as a waker is its alarm.
impl Wake for RegionCell {
    fn wake(self: Arc<Self>) {
        cancel::region_alarm(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        cancel::region_alarm(self);
    }
}
