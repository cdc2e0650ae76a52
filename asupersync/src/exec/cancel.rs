//! The cascade of a request: from a region to its children, parents before
//! children, one lock at a time.
//!
//! A spawn or an open that races with the cascade is either refused, because
//! the region's record left Open under the same lock, or already seated, and
//! then swept.
//!
//! Every node is reached once. A region can be asked from above and through
//! its opener, but whatever a task opened lies in the task's own region, at some
//! depth: its parent is that region, or one that the same task has opened. So a
//! cascade goes down the tree of regions alone, and only a task that is asked by
//! itself, whose region is not, passes the request on: to the outermost of the
//! regions that it opened. That each node is reached once, and nobody below is
//! left out, is [checked](crate::kernel::fuel) where it costs nothing that counts.

use super::account::stuck_task;
use super::lock;
use super::region::{Child, Ledger, RegionCell, signal};
use super::state::{self, Asked, Wake};
use super::task::TaskRef;
use crate::kernel::fuel::{Account, Fuel, Node};
use crate::kernel::region::{RegionState, Sweep};
use crate::kernel::task::{CleanupLimits, Requested};
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::error::{Error, ErrorKind};
use crate::types::event::Event;
use crate::types::time::Time;
use crate::world::{Chain, Hint};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Time for all finalizers of one owner.
pub(crate) const FINALIZER_BUDGET: Duration = Duration::from_secs(5);
/// Polls of all finalizers of one owner: what spins is not bounded by time in a
/// world whose clock stands still while something runs.
pub(crate) const FINALIZER_POLLS: u32 = 50_000;
/// How often code is named that goes on beyond its cleanup budget.
pub(crate) const REMIND: Duration = Duration::from_secs(10);

enum Target {
    /// Children of one region, asked together. `anew`: the request says more
    /// than the one before.
    Tasks {
        tasks: Vec<TaskRef>,
        anew: bool,
    },
    Region(Arc<RegionCell>),
}

struct Order {
    target: Target,
    reason: Arc<CancelReason>,
    /// What the target's parent has left.
    inherited: CleanupLimits,
}

/// Tasks asked at one instant and enqueued together: enough to share the cost
/// of the clock and of a lane's lock, few enough to keep no other worker waiting.
const ASKED_AT_ONCE: usize = 64;

/// Asks one task to cancel, and every unshielded region it opened.
pub(crate) fn cancel_task(task: &TaskRef, reason: CancelReason) {
    let region = task.region();
    let now = region.tree.world.now();
    let reason = Arc::new(stamp(reason, now, region));
    let limits = CleanupLimits::starting(now, region.cleanup.limits(reason.kind.rank()));
    let mut cascade = Cascade::from(region, Node::Task(task.id()));
    let mut ready = Chain::new();
    cascade.ask_task(task.clone(), &reason, now, limits, true, &mut ready);
    region.tree.world.enqueue_all(ready, Hint::Woken);
    cascade.run();
}

/// Cancels a region: everything alive and unshielded in it is asked.
pub(crate) fn cancel_region(region: &Arc<RegionCell>, reason: CancelReason) {
    cancel_within(region, reason, CleanupLimits::NONE);
}

/// As [`cancel_region`], with what is left of the cleanup of whoever asks.
pub(crate) fn cancel_within(
    region: &Arc<RegionCell>,
    reason: CancelReason,
    inherited: CleanupLimits,
) {
    let now = region.tree.world.now();
    let reason = Arc::new(stamp(reason, now, region));
    let mut cascade = Cascade::from(region, Node::Region(region.id));
    cascade.ask_region(region, reason, inherited);
    cascade.run();
}

/// The last foreground child ended: daemons are asked to end too.
pub(crate) fn end_region(region: &Arc<RegionCell>) {
    let now = region.tree.world.now();
    let reason = Arc::new(stamp(CancelReason::new(CancelKind::RegionEnd), now, region));
    let limits = CleanupLimits::starting(now, region.cleanup.limits(reason.kind.rank()));
    let mut cascade = Cascade::from(region, Node::Region(region.id));
    let mut ledger = lock(&region.ledger);
    cascade.sweep(region, &mut ledger, &reason, now, limits);
    drop(ledger);
    arm_region(region);
    cascade.run();
}

fn stamp(mut reason: CancelReason, now: Time, region: &RegionCell) -> CancelReason {
    if reason.at == Time::ZERO {
        reason.at = now;
    }
    reason.region.get_or_insert(region.id);
    reason
}

/// A request on its way down.
struct Cascade<'a> {
    /// Where it began, or the region of the task where it did.
    from: &'a RegionCell,
    queue: VecDeque<Order>,
    /// Where there is an account of who is reached.
    fuel: Option<Box<Fuel>>,
}

impl<'a> Cascade<'a> {
    fn from(region: &'a RegionCell, target: Node) -> Self {
        let kept = cfg!(debug_assertions) || region.tree.records;
        Cascade {
            from: region,
            queue: VecDeque::new(),
            fuel: kept.then(|| Box::new(Fuel::new(target))),
        }
    }

    /// Carries out what is owed, and what comes of it.
    fn run(mut self) {
        let world = &self.from.tree.world;
        while let Some(Order {
            target,
            reason,
            inherited,
        }) = self.queue.pop_front()
        {
            match target {
                Target::Tasks { tasks, anew } => {
                    self.reached(|| tasks.iter().map(|task| Node::Task(task.id())));
                    let mut tasks = tasks.into_iter();
                    while tasks.len() > 0 {
                        let (now, mut ready) = (world.now(), Chain::new());
                        for task in tasks.by_ref().take(ASKED_AT_ONCE) {
                            match state::ask(&task.head().header.state, anew) {
                                Asked::Noted(wake) => note(task, &reason, wake, &mut ready),
                                Asked::Nothing => {}
                                Asked::Recorded => {
                                    let ready = &mut ready;
                                    self.ask_task(task, &reason, now, inherited, false, ready);
                                }
                            }
                        }
                        world.enqueue_all(ready, Hint::Woken);
                    }
                }
                Target::Region(region) => {
                    self.reached(|| [Node::Region(region.id)]);
                    self.ask_region(&region, reason, inherited);
                }
            }
        }
        if let Some(fuel) = self.fuel {
            tell(self.from, &fuel.end());
        }
    }

    fn reached<I: IntoIterator<Item = Node>>(&mut self, nodes: impl FnOnce() -> I) {
        if let Some(fuel) = &mut self.fuel {
            nodes().into_iter().for_each(|node| fuel.reach(node));
        }
    }

    /// `alone`: no region's alarm covers the task's cleanup budget, so it arms its
    /// own, and no region above passes the request on to those that it opened.
    /// The task joins `ready` if it is to be enqueued.
    fn ask_task(
        &mut self,
        task: TaskRef,
        reason: &Arc<CancelReason>,
        now: Time,
        limits: CleanupLimits,
        alone: bool,
        ready: &mut Chain,
    ) {
        if task.is_complete() {
            return;
        }
        let (mut opened, mut wakers) = (Vec::new(), Vec::new());
        let head = task.head();
        let (requested, limits) = task.with_control(|c| {
            let requested = c.record.request(reason.clone(), now, limits);
            if matches!(requested, Requested::Fresh | Requested::Strengthened) {
                opened.extend(c.opened.iter().cloned());
                // Under the lock, so that a waker left later belongs to a wait that
                // looks at the bit later still.
                head.rank.fetch_max(reason.kind.rank(), Ordering::Relaxed);
                state::set(&head.header.state, state::CANCEL);
                // Taken out, not cloned: cloning is a callback. Who still waits registers again.
                wakers = c.cancel_wakers.drain();
            }
            (requested, c.record.asked.limits)
        });
        if matches!(requested, Requested::Absorbed | Requested::TooLate) {
            return;
        }
        task.emit(|| Event::CancelRequested {
            task: task.id(),
            kind: reason.kind,
        });
        for region in opened {
            if region.screened {
                bind_shielded(&region, limits);
            } else if alone && region.is_child_of(task.region()) {
                if let Some(fuel) = &mut self.fuel {
                    fuel.owe(1);
                }
                let reason = follow(reason, now, &region, Some(&task));
                self.queue.push_back(Order {
                    target: Target::Region(region),
                    reason,
                    inherited: limits,
                });
            }
        }
        if alone {
            arm_task(&task, limits.deadline);
        }
        task.wake_into(ready);
        wakers.into_iter().for_each(super::wake);
    }

    fn ask_region(
        &mut self,
        region: &Arc<RegionCell>,
        reason: Arc<CancelReason>,
        inherited: CleanupLimits,
    ) {
        let now = region.tree.world.now();
        let own =
            CleanupLimits::starting(now, region.cleanup.limits(reason.kind.rank())).meet(inherited);
        let follows = follow(&reason, now, region, None);
        let children =
            CleanupLimits::starting(now, region.cleanup.limits(follows.kind.rank())).meet(own);
        let next = {
            let mut ledger = lock(&region.ledger);
            let next = ledger.record.cancel(reason.clone(), now);
            if next.sweep == Sweep::Cancel {
                ledger.body_limits = ledger.body_limits.meet(own);
                region.signals.fetch_or(signal::CANCEL, Ordering::AcqRel);
                self.sweep(region, &mut ledger, &follows, now, children);
            }
            next
        };
        if next.sweep == Sweep::Nobody {
            return;
        }
        region.emit(|| Event::RegionCancelled {
            region: region.id,
            kind: reason.kind,
            swept: reason.kind == CancelKind::ParentCancelled && reason.cause.is_some(),
        });
        arm_region(region);
        region.wake_body();
        region.notify(next.notify_driver);
    }

    /// Notes what all children are asked, for those that keep no record of their
    /// own, and lists them; the ledger is locked by the caller.
    fn sweep(
        &mut self,
        region: &RegionCell,
        ledger: &mut Ledger,
        reason: &Arc<CancelReason>,
        now: Time,
        limits: CleanupLimits,
    ) {
        debug_assert_eq!(
            ledger.record.alive(),
            ledger.children.iter().count() as u64,
            "the counts of {} are those of its seats",
            region.id
        );
        let anew = ledger.asked.ask(reason.clone(), now, limits) != Requested::Absorbed;
        region
            .asked_rank
            .fetch_max(reason.kind.rank(), Ordering::Relaxed);
        region
            .asked_polls
            .store(ledger.asked.limits.polls, Ordering::Relaxed);
        // What bound it before binds what is below it too.
        let inherited = ledger.asked.limits;
        let order = |target| Order {
            target,
            reason: reason.clone(),
            inherited,
        };
        let tasks = ledger.children.iter().filter_map(Child::task).collect();
        self.queue.push_back(order(Target::Tasks { tasks, anew }));
        let mut shielded = 0;
        for child in ledger.children.iter() {
            match child {
                Child::Region(region) if region.shielded => shielded += 1,
                Child::Region(region) => {
                    self.queue.push_back(order(Target::Region(region.clone())));
                }
                Child::Task(_) => {}
            }
        }
        if let Some(fuel) = &mut self.fuel {
            // By the counts and not by the list just made: the one checks the other.
            fuel.owe((ledger.record.alive() - shielded) as u32);
        }
    }
}

/// A task that keeps no record was asked with its siblings.
fn note(task: TaskRef, reason: &CancelReason, wake: Wake, ready: &mut Chain) {
    task.emit(|| Event::CancelRequested {
        task: task.id(),
        kind: reason.kind,
    });
    if wake == Wake::Enqueue {
        ready.push(task.scheduled());
    }
}

/// A cascade is over: whoever was not reached exactly once is this library's
/// fault, and told; the cascade has not been stopped by it.
fn tell(region: &RegionCell, account: &Account) {
    region.emit(|| Event::CascadeEnded {
        region: region.id,
        task: match account.target {
            Node::Task(task) => Some(task),
            Node::Region(_) => None,
        },
        fuel: account.fuel,
        reached: account.reached,
        again: account.again,
    });
    if let Err(uneven) = account.check() {
        let fault = Error::of(ErrorKind::Internal, uneven);
        region.tree.world.warn(&fault);
    }
}

/// The reason below: the parent was cancelled, because of `reason`.
fn follow(
    reason: &Arc<CancelReason>,
    now: Time,
    region: &RegionCell,
    task: Option<&TaskRef>,
) -> Arc<CancelReason> {
    let mut below = CancelReason::new(CancelKind::ParentCancelled).caused_by(reason.clone());
    below.at = now;
    below.region = Some(region.id);
    below.task = task.map(TaskRef::id);
    Arc::new(below)
}

/// What a cleanup opened has what is left for that cleanup: no request reaches
/// it, but at the end of these limits it is dropped.
pub(crate) fn bind_shielded(region: &Arc<RegionCell>, limits: CleanupLimits) {
    {
        let mut ledger = lock(&region.ledger);
        ledger.body_limits = ledger.body_limits.meet(limits);
        ledger.asked.limits = ledger.asked.limits.meet(limits);
        let polls = ledger.asked.limits.polls;
        region.asked_polls.store(polls, Ordering::Relaxed);
    }
    arm_region(region);
}

/// Sets the task's alarm to the earliest instant that concerns it.
pub(crate) fn arm_task(task: &TaskRef, due: Time) {
    if due == Time::MAX {
        return;
    }
    let world = &task.region().tree.world;
    let fresh = world.timer_set(due, &task.alarm_waker());
    let old = task.with_control(|c| c.alarm.replace(fresh));
    if let Some(old) = old {
        world.timer_cancel(old);
    }
    // A task that completed in between has cancelled the alarm it knew of, not this one.
    if task.is_complete()
        && let Some(late) = task.with_control(|c| c.alarm.take())
    {
        world.timer_cancel(late);
    }
}

/// Gives a finalizing task its budget for deferred work; the instant at which it
/// is spent, for [`arm_task`] if the work waits.
pub(crate) fn bound_finalizing(task: &TaskRef) -> Time {
    let now = task.region().tree.world.now();
    task.with_control(|c| {
        let own = CleanupLimits::starting(now, (FINALIZER_BUDGET, FINALIZER_POLLS));
        c.record.asked.limits = c.record.asked.limits.meet(own);
        c.record.asked.limits.deadline
    })
}

/// A task's alarm rang: its deadline passed, or its cleanup budget is spent.
pub(crate) fn task_alarm(task: &TaskRef) {
    if task.is_complete() {
        return;
    }
    let now = task.region().tree.world.now();
    // The key of the timer that rang stays where it is: it may have been
    // replaced already, and a stale key is recognised.
    let (deadline, cleanup) = task.with_control(|c| {
        let asked = c.record.asked.reason.is_some();
        let past = c.deadline.is_some_and(|at| now >= at) && !asked;
        (past, now >= c.record.asked.limits.deadline)
    });
    if cleanup {
        let dropped = task.region().escalates() && !task.is_pinned();
        if dropped {
            escalate_task(task);
        } else {
            let stuck = stuck_task(task, now);
            task.region().tell_stuck(&stuck);
            arm_task(task, now + REMIND);
        }
    } else if deadline {
        cancel_task(task, CancelReason::new(CancelKind::Timeout));
    }
}

/// The task's future is dropped at its next poll, which is now due.
pub(crate) fn escalate_task(task: &TaskRef) {
    state::set(&task.head().header.state, state::ESCALATE);
    task.wake();
}

/// Sets the region's alarm to the earliest instant that concerns it.
pub(crate) fn arm_region(region: &Arc<RegionCell>) {
    let due = {
        let ledger = lock(&region.ledger);
        let open = region.signals.load(Ordering::Acquire) & signal::CANCEL == 0;
        let deadline = region
            .budget
            .deadline
            .filter(|at| open && Some(*at) != ledger.inherited_deadline);
        let mut due = deadline.unwrap_or(Time::MAX);
        for limits in [ledger.asked.limits, ledger.body_limits] {
            if limits.deadline > ledger.escalated_until {
                due = due.min(limits.deadline);
            }
        }
        ledger.remind.map_or(due, |at| due.min(at))
    };
    if due == Time::MAX {
        return;
    }
    let world = &region.tree.world;
    let fresh = world.timer_set(due, &region.clone().into());
    let (old, late) = {
        let mut ledger = lock(&region.ledger);
        let old = ledger.alarm.replace(fresh);
        // A region that closed in between has cancelled the alarm it knew of, not this one.
        let closed = ledger.record.state == RegionState::Closed;
        (old, closed.then(|| ledger.alarm.take()).flatten())
    };
    for timer in [old, late].into_iter().flatten() {
        world.timer_cancel(timer);
    }
}

/// A region's alarm rang: its deadline passed, or a cleanup budget is spent.
pub(crate) fn region_alarm(region: &Arc<RegionCell>) {
    let now = region.tree.world.now();
    let cancelled = region.signals.load(Ordering::Acquire) & signal::CANCEL != 0;
    let mut overdue = Vec::new();
    let (children, body, again) = {
        // The key of the timer that rang stays, as in `task_alarm`.
        let mut ledger = lock(&region.ledger);
        let before = std::mem::replace(&mut ledger.escalated_until, now);
        let spent =
            |limits: CleanupLimits| (now >= limits.deadline).then_some(limits.deadline > before);
        let (children, body) = (spent(ledger.asked.limits), spent(ledger.body_limits));
        if children.is_some() {
            overdue.extend(ledger.children.iter().filter_map(Child::task));
        }
        let again = ledger.remind.is_some_and(|at| now >= at);
        let next = ledger.remind.filter(|_| !again).unwrap_or(now + REMIND);
        let live = !overdue.is_empty() || (body.is_some() && ledger.record.body_is_live());
        ledger.remind = live.then_some(next);
        (children, body, again)
    };
    let drops = region.escalates();
    if drops {
        overdue.iter().for_each(escalate_task);
        if body.is_some()
            && region.signals.fetch_or(signal::ESCALATE, Ordering::AcqRel) & signal::ESCALATE == 0
        {
            region.wake_body();
            region.notify(true);
        }
    }
    // What may not be dropped is named at once; what was to be dropped, when it
    // turns out that it does not get that far.
    let told = |first: Option<bool>, dropped: bool| again || (first == Some(true) && !dropped);
    for task in overdue.iter().filter(|t| !t.is_complete()) {
        if told(children, drops && !task.is_pinned()) && !task.is_driver() {
            region.tell_stuck(&stuck_task(task, now));
        }
    }
    if told(body, drops) && lock(&region.ledger).record.body_is_live() {
        region.tell_stuck_body(region.name.clone());
    }
    let spent = children.is_some() || body.is_some();
    if !cancelled && (spent || region.budget.is_past_deadline(now)) {
        cancel_region(region, CancelReason::new(CancelKind::Timeout));
    } else {
        arm_region(region);
    }
}

/// Everything alive in and below the region is dropped at its next poll, at once.
pub(crate) fn abandon_tree(region: &Arc<RegionCell>) {
    cancel_region(
        region,
        CancelReason::new(CancelKind::Shutdown).with_message("abandoned"),
    );
    let mut regions = vec![region.clone()];
    while let Some(region) = regions.pop() {
        let mut tasks = Vec::new();
        for child in lock(&region.ledger).children.iter() {
            match child {
                Child::Task(task) => tasks.push(task.clone()),
                Child::Region(sub) => regions.push(sub.clone()),
            }
        }
        tasks.iter().for_each(escalate_task);
        region
            .signals
            .fetch_or(signal::CANCEL | signal::ESCALATE, Ordering::AcqRel);
        region.wake_body();
        region.notify(true);
    }
}
