//! The one place that polls a task's future.
//!
//! A poll goes: start; if anything unusual is pending, decide whether to go on,
//! to skip the body, or to drop the future; poll with panics caught; then
//! suspend, or settle the outcome, run deferred work, and complete.

use super::cell::{Ended, Settle, Stage};
use super::region::RegionCell;
use super::state;
use super::task::{BoxFuture, TaskRef};
use super::{cancel, contain, link, obligation};
use crate::kernel::region::{End, is_stop};
use crate::kernel::task::TaskPhase;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::event::Event;
use crate::types::outcome::{PanicPayload, Severity};
use crate::types::report::{Abandoned, Failure};
use crate::types::time::Time;
use crate::world::runnable::Header;
use std::cell::Cell as StdCell;
use std::future::Future;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// Operations that may complete within one poll before primitives yield, so
/// that a task on ever-ready channels cannot keep its worker (C42).
pub(crate) const TURN_BUDGET: u32 = 128;

/// Outside of a task's poll there is no turn that could end: a thread that
/// polls by itself would be told to come back later for ever.
const NO_TURN: u32 = u32::MAX;

thread_local! {
    static TURN: StdCell<u32> = const { StdCell::new(NO_TURN) };
    /// The task that this thread polls; null for none.
    static POLLED: StdCell<*const Header> = const { StdCell::new(ptr::null()) };
}

/// Takes one operation from the turn budget; `false` when none is left.
#[inline]
pub(crate) fn charge_turn() -> bool {
    TURN.with(|t| match t.get() {
        NO_TURN => true,
        0 => false,
        left => {
            t.set(left - 1);
            true
        }
    })
}

/// Whether this thread is polling a task.
pub(crate) fn in_turn() -> bool {
    TURN.get() != NO_TURN
}

/// Whether this thread is polling that very task, and not one inside of its poll.
/// Then no other thread does.
#[inline]
pub(crate) fn polls(task: &TaskRef) -> bool {
    ptr::eq(POLLED.get(), task.as_raw().as_ptr())
}

/// The turn of one poll; its end brings back the turn around it, if there is one.
struct Turn {
    budget: u32,
    polled: *const Header,
}

impl Turn {
    fn begin(task: &TaskRef) -> Self {
        Turn {
            budget: TURN.replace(TURN_BUDGET),
            polled: POLLED.replace(task.as_raw().as_ptr()),
        }
    }

    /// The task has promised its last: its cell may be another's before the turn ends.
    fn forget_task() {
        POLLED.set(ptr::null());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURN.set(self.budget);
        POLLED.set(self.polled);
    }
}

/// What to do with the future in this poll.
enum Verdict {
    Poll,
    /// Drop it: it was never called and nobody wants it any more.
    Skip(Arc<CancelReason>),
    /// Drop it: its cleanup budget is spent.
    Escalate(Arc<CancelReason>),
}

/// Polls the task once; consumes the `Runnable`'s reference.
///
/// # Safety
/// `header` is the cell of a `Runnable` with exactly these types, and that
/// `Runnable`'s reference is given up.
pub(crate) unsafe fn run<F, Fut, C>(header: NonNull<Header>)
where
    F: FnOnce(TaskRef) -> Fut,
    Fut: Future,
    C: Settle<Fut::Output>,
{
    // SAFETY: as the caller promises.
    let task = unsafe { TaskRef::from_raw(header) };
    let bits = state::start(&task.head().header.state);
    // SAFETY: the cell is alive while `task` is, and has these types; start() made
    // the stage ours until suspend() or complete().
    let mut stage = unsafe { Stage::<F, Fut, C>::of(header) };
    let own = (bits & state::STARTED == 0).then(|| {
        // SAFETY: the reference that comes with the first poll.
        unsafe { TaskRef::from_raw(header) }
    });
    let turn = Turn::begin(&task);
    task.emit(|| Event::TaskPolled { task: task.id() });

    if bits & state::FINALIZING == 0 {
        let verdict = if bits & state::SLOW == 0 {
            Verdict::Poll
        } else {
            judge(&task, bits)
        };
        let ended = match verdict {
            Verdict::Poll => match poll_stage(&task, own, &mut stage) {
                Poll::Pending => {
                    // Before another thread can poll the task.
                    drop(turn);
                    return task.suspend();
                }
                Poll::Ready(ended) => ended,
            },
            Verdict::Skip(reason) => end_by_drop(&mut stage, reason),
            Verdict::Escalate(reason) => {
                abandon(&task, &reason);
                let ended = end_by_drop(&mut stage, reason);
                // What finalizers promise is theirs again.
                obligation::escalated(&task, false);
                ended
            }
        };
        if let Some(panic) = stage.clear() {
            dropped_badly(&task, &panic);
        }
        stage.end(ended);
        let Some(due) = begin_finalizing(&task) else {
            return complete(task, stage);
        };
        state::set(&task.head().header.state, state::FINALIZING);
        if finalize(&task).is_pending() {
            cancel::arm_task(&task, due);
            drop(turn);
            return task.suspend();
        }
    } else if finalize(&task).is_pending() {
        drop(turn);
        return task.suspend();
    }
    complete(task, stage);
}

/// Calls the body if need be, giving it its reference, and polls the future.
#[inline(always)]
fn poll_stage<F, Fut, C>(
    task: &TaskRef,
    own: Option<TaskRef>,
    stage: &mut Stage<F, Fut, C>,
) -> Poll<Ended<C::T, C::E>>
where
    F: FnOnce(TaskRef) -> Fut,
    Fut: Future,
    C: Settle<Fut::Output>,
{
    let polled = contain(|| {
        if let Some(own) = own
            && let Some(body) = stage.take_body()
        {
            stage.begin(body(own));
        }
        let waker = task.borrow_waker();
        let polled = stage.future().poll(&mut Context::from_waker(&waker));
        // Looking into an error, and dropping it, runs its owner's code.
        polled.map(|output| C::settle(output, || task.reason()))
    });
    polled.unwrap_or_else(|panic| Poll::Ready(Ended::panicked(panic)))
}

#[cold]
fn end_by_drop<F, Fut, C>(
    stage: &mut Stage<F, Fut, C>,
    reason: Arc<CancelReason>,
) -> Ended<C::T, C::E>
where
    Fut: Future,
    C: Settle<Fut::Output>,
{
    match stage.clear() {
        None => Ended::Cancelled(reason),
        Some(panic) => Ended::panicked(panic),
    }
}

#[cold]
fn dropped_badly(task: &TaskRef, panic: &PanicPayload) {
    let message = format!("while its future was dropped: {panic}");
    let failure = failure_of(task, Severity::Panicked, message, None);
    task.region().add_failure(failure);
}

/// Decides about a task that was asked to cancel, is metered, or is overdue.
#[cold]
fn judge(task: &TaskRef, bits: usize) -> Verdict {
    // A drain is never dropped: the region it drains could not close any more.
    let pinned = bits & (state::PINNED | state::DRIVER) != 0;
    // What guards code that cannot be dropped guards nothing before its first
    // poll; only the drain and the root, whose body is elsewhere, always begin.
    let begins = bits & state::DRIVER != 0 || task.is_root();
    let first = bits & state::STARTED == 0;
    let passing = state::CANCEL | state::CONTROL | state::ESCALATE;
    if bits & passing == state::CANCEL && task.is_asked_in_passing() {
        if first && !begins {
            let why = task.reason();
            return Verdict::Skip(why.expect("a region that asked its children knows why"));
        }
        let head = task.head();
        let polled = head.cleanup_polls.load(Ordering::Relaxed);
        if polled < u8::MAX && u32::from(polled) < task.region().asked_polls.load(Ordering::Relaxed)
        {
            head.cleanup_polls.store(polled + 1, Ordering::Relaxed);
            return Verdict::Poll;
        }
    }
    let (verdict, spent) = task.with_control(|c| {
        let spent = c.record.polled();
        if first && c.record.phase == TaskPhase::Created {
            c.record.phase = TaskPhase::Running;
        }
        let overdue = bits & state::ESCALATE != 0 || spent.is_err();
        let verdict = match &c.record.asked.reason {
            Some(reason) if first && !begins => Verdict::Skip(reason.clone()),
            Some(reason) if overdue && !pinned && task.region().escalates() => {
                Verdict::Escalate(reason.clone())
            }
            _ => Verdict::Poll,
        };
        (verdict, spent)
    });
    if spent == Ok(true) {
        cancel::cancel_task(task, CancelReason::new(CancelKind::PollQuota));
    }
    verdict
}

/// Records that a task had to be dropped.
#[cold]
fn abandon(task: &TaskRef, reason: &CancelReason) {
    task.emit(|| Event::TaskEscalated { task: task.id() });
    let region = task.region();
    let now = region.tree.world.now();
    let held = obligation::held(task);
    obligation::escalated(task, true);
    let abandoned = task.with_control(|c| {
        let requested = c.record.asked.since.unwrap_or(reason.at);
        Abandoned {
            task: Some(task.id()),
            name: c.name.clone(),
            region: region.id,
            last_checkpoint: c.record.note,
            after: now.since(requested),
            overdue: now.since(c.record.asked.limits.deadline),
            seen: c.record.seen,
            held,
        }
    });
    region.add_abandoned(abandoned);
}

/// When the budget of the deferred work is spent, if there is such work. One load
/// for the many that have no control.
#[inline]
fn begin_finalizing(task: &TaskRef) -> Option<Time> {
    task.has_control().then(|| begin_deferred(task)).flatten()
}

#[inline(never)]
fn begin_deferred(task: &TaskRef) -> Option<Time> {
    let defers = task.peek_control(|c| {
        c.record.body_ended();
        !c.defers.is_empty()
    });
    if defers != Some(true) {
        return None;
    }
    task.emit(|| Event::TaskFinalizing { task: task.id() });
    Some(cancel::bound_finalizing(task))
}

/// Runs deferred work, last in first out. A finalizer that is still pending
/// when the budget is spent is dropped, reported, and the next one gets its poll.
fn finalize(task: &TaskRef) -> Poll<()> {
    loop {
        let current = task.with_control(|c| c.finalizer.take());
        let started = match current {
            Some(f) => Ok(Some(f)),
            None => match task.with_control(|c| (c.defers.pop(), c.defers.len())) {
                (None, _) => return Poll::Ready(()),
                (Some(make), left) => {
                    task.emit(|| Event::FinalizerBegan {
                        region: task.region().id,
                        task: Some(task.id()),
                        index: left as u32,
                    });
                    contain(|| make(task))
                }
            },
        };
        let mut f = match started {
            Ok(Some(f)) => f,
            Ok(None) => continue,
            Err(panic) => {
                report_panic(task, &panic);
                continue;
            }
        };
        let waker = task.borrow_waker();
        match contain(|| f.as_mut().poll(&mut Context::from_waker(&waker))) {
            Ok(Poll::Ready(())) => {}
            Ok(Poll::Pending) => {
                let spent = task.with_control(|c| {
                    let polls = &mut c.record.asked.limits.polls;
                    *polls = polls.saturating_sub(1);
                    *polls == 0
                });
                let overdue = spent || task.state() & state::ESCALATE != 0;
                if !overdue || !task.region().escalates() {
                    task.with_control(|c| c.finalizer = Some(f));
                    return Poll::Pending;
                }
                abandon(task, &CancelReason::new(CancelKind::Timeout));
                drop_finalizer(task, f);
                obligation::escalated(task, false);
                continue;
            }
            Err(panic) => report_panic(task, &panic),
        }
        drop_finalizer(task, f);
    }
}

fn drop_finalizer(task: &TaskRef, f: BoxFuture) {
    if let Err(panic) = contain(|| drop(f)) {
        report_panic(task, &panic);
    }
}

fn report_panic(task: &TaskRef, panic: &PanicPayload) {
    let message = format!("in a finalizer: {panic}");
    task.region()
        .add_failure(failure_of(task, Severity::Panicked, message, None));
}

/// Publishes the outcome, which the stage holds, and tells the region.
fn complete<F, Fut, C>(task: TaskRef, mut stage: Stage<F, Fut, C>)
where
    Fut: Future,
    C: Settle<Fut::Output>,
{
    if let Some(panic) = obligation::settle_leaks(&task)
        && stage.ended().severity() != Severity::Panicked
    {
        stage.clear();
        stage.end(Ended::panicked(panic));
    }
    Turn::forget_task();
    let severity = stage.ended().severity();
    let mut end = match stage.ended() {
        Ended::Ok(_) => End::Ok,
        ended => end_of::<Fut::Output, C>(&task, ended),
    };
    let head = task.head();
    let badly = match &end {
        End::Failed(_) => severity as u8,
        End::Ok | End::Stopped => 0,
    };
    let before = state::complete(&head.header.state, badly);
    // Only now: whoever sets an alarm or defers work later sees COMPLETE after
    // that, and takes back what it has put here. So does who makes the control.
    if before & state::CONTROL != 0 {
        close_control(&task);
    }
    if before & state::HANDLE == 0 {
        // The handle is gone, so the outcome is still ours; an error in it goes
        // to whoever reads the region's report.
        if let End::Failed(failure) = &mut end {
            if let Ended::Err(e) = stage.take() {
                failure.value = contain(|| C::keep(e)).ok().flatten();
            }
        } else {
            stage.clear();
        }
    }
    if before & state::JOIN_WAKER != 0 {
        // SAFETY: completed just above, with the bit set.
        let waker = unsafe { head.join.collect() };
        waker.into_iter().for_each(super::wake);
    }
    if before & state::CONTROL != 0 {
        let links = task.peek_control(|c| c.links.drain());
        link::part(&task, links.unwrap_or_default());
    }
    task.emit(|| Event::TaskCompleted {
        task: task.id(),
        region: task.region().id,
        severity,
    });
    if before & state::DRIVER != 0 {
        RegionCell::driver_ended(task);
    } else if !task.is_root() {
        match end {
            // Nothing to move along, for the many.
            End::Ok => RegionCell::task_ended_well(task),
            end => RegionCell::task_ended(task, severity, end),
        }
    }
}

/// What is left on the cold side of a task that is complete.
#[cold]
fn close_control(task: &TaskRef) {
    let left = task.peek_control(|c| {
        c.record.completed();
        obligation::settle_late(c);
        (c.alarm.take(), std::mem::take(&mut c.defers))
    });
    let (alarm, late) = left.unwrap_or_default();
    if let Some(alarm) = alarm {
        task.region().tree.world.timer_cancel(alarm);
    }
    for finalizer in late {
        let _ = contain(|| drop(finalizer));
    }
}

/// What a region is told of an end that is no value.
#[cold]
fn end_of<O, C: Settle<O>>(task: &TaskRef, ended: &Ended<C::T, C::E>) -> End {
    let severity = ended.severity();
    let seen = || task.reason_seen().map(|r| CancelReason::clone(&r));
    let (message, reason) = match ended {
        Ended::Ok(_) => return End::Ok,
        Ended::Cancelled(r) if is_stop(r) => return End::Stopped,
        // The error's own words are its owner's code.
        Ended::Err(e) => match contain(|| C::describe(e)) {
            Ok(message) => (message, seen()),
            Err(panic) => (format!("an error whose text panicked: {panic}"), seen()),
        },
        // The reason says it all, to the few of many that a report keeps.
        Ended::Cancelled(r) => (String::new(), Some(CancelReason::clone(r))),
        Ended::Panicked(p) => (p.to_string(), seen()),
    };
    End::Failed(failure_of(task, severity, message, reason))
}

fn failure_of(
    task: &TaskRef,
    severity: Severity,
    message: String,
    reason: Option<CancelReason>,
) -> Failure {
    let at = task.region().tree.world.now();
    Failure {
        task: Some(task.id()),
        name: task.name(),
        severity,
        at,
        message,
        reason,
        value: None,
    }
}
