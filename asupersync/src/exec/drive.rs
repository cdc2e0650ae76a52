//! The future that takes a region from its body through drain and finalizers to Closed.
//!
//! It is polled by the opener, in place, so the body may borrow. Dropping it
//! early drops the body, cancels the region, and hands it to a task of the
//! parent, which cannot close before. So does a region that takes longer to close
//! than it may: its opener gets an account of what is left instead.

use super::cell::{Ended, Settle};
use super::region::{RegionCell, signal};
use super::spawn::{self, Admission};
use super::task::{BoxFuture, TaskRef};
use super::{cancel, contain, lock, obligation};
use crate::kernel::region::RegionState;
use crate::kernel::task::CleanupLimits;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::outcome::{PanicPayload, Severity};
use crate::types::policy::Name;
use crate::types::report::{Abandoned, Failure, RegionReport};
use crate::types::time::Time;
use crate::world::TimerKey;
use pin_project::{pin_project, pinned_drop};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a region leaves behind.
#[derive(Debug)]
pub struct Reported<T> {
    /// What the body returned; `None` if it panicked or had to be dropped.
    pub value: Option<T>,
    /// The region's account; see its `quiescent` if the region has a close timeout.
    pub report: RegionReport,
    /// The body's panic.
    pub panic: Option<PanicPayload>,
}

/// Tells whether what a body returned is a failure of its region.
pub(crate) type Judge<T> = fn(&T) -> Option<String>;

/// Runs a region. Resolves once the region is Closed.
#[pin_project(PinnedDrop)]
pub(crate) struct Drive<B, T> {
    region: Arc<RegionCell>,
    #[pin]
    body: Option<B>,
    judge: Judge<T>,
    value: Option<T>,
    panic: Option<PanicPayload>,
    rest: Rest,
    /// Whether the region is Closed, or somebody else's to close.
    over: bool,
}

impl<B: Future<Output = T>, T> Drive<B, T> {
    pub(crate) fn new(region: Arc<RegionCell>, opener: TaskRef, body: B, judge: Judge<T>) -> Self {
        let rest = Rest::new(opener);
        Drive {
            region,
            body: Some(body),
            judge,
            value: None,
            panic: None,
            rest,
            over: false,
        }
    }

    /// Polls the body, and when it has ended what follows; the region's account
    /// when it is Closed.
    fn advance(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RegionReport> {
        let mut this = self.project();
        if let Some(body) = this.body.as_mut().as_pin_mut() {
            if !this.rest.runner.is_own_waker(cx.waker()) {
                // A request wakes the task, but a combinator between the task and
                // here polls on only if its own waker is woken. Before looking: an
                // escalation in between finds the waker.
                this.region.listen(cx.waker());
            }
            let escalated = this.region.signals.load(Ordering::Acquire) & signal::ESCALATE != 0;
            let polled = if escalated {
                abandon_body(this.region);
                Ok(Poll::Ready(None))
            } else {
                contain(|| body.poll(cx)).map(|p| p.map(Some))
            };
            let failure = match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(None)) => None,
                Ok(Poll::Ready(Some(value))) => {
                    // A type without anything to drop owns no promise.
                    if std::mem::needs_drop::<T>() {
                        let region = this.region.id;
                        this.region.emit(|| Event::RegionReturned { region });
                    }
                    let judged = (this.judge)(&value);
                    *this.value = Some(value);
                    judged.map(|message| failure(this.region, Severity::Err, message))
                }
                Err(panic) => {
                    let message = panic.message().to_owned();
                    *this.panic = Some(panic);
                    Some(failure(this.region, Severity::Panicked, message))
                }
            };
            end_body(this.region, this.body.as_mut(), failure);
        }
        this.rest.poll(this.region, cx)
    }

    /// The region has not closed in time: its parent goes on with it.
    fn leave(self: Pin<&mut Self>, patience: Duration) -> RegionReport {
        let this = self.project();
        let region = this.region;
        if this.body.is_some() {
            abandon_body(region);
            end_body(region, this.body, None);
        }
        let report = region.unfinished_report(patience);
        this.rest.hand_over(region);
        *this.over = true;
        report
    }
}

impl<B: Future<Output = T>, T> Future for Drive<B, T> {
    type Output = Reported<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reported<T>> {
        let advanced = self.as_mut().advance(cx);
        let this = self.as_mut().project();
        let report = match advanced {
            Poll::Ready(report) => {
                this.rest.forget_timers(this.region);
                *this.over = true;
                report
            }
            Poll::Pending => match this.rest.overstays(this.region, cx) {
                Some(patience) => self.as_mut().leave(patience),
                None => return Poll::Pending,
            },
        };
        let this = self.project();
        Poll::Ready(Reported {
            value: this.value.take(),
            report,
            panic: this.panic.take(),
        })
    }
}

#[pinned_drop]
impl<B, T> PinnedDrop for Drive<B, T> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if *this.over {
            return;
        }
        let region = this.region;
        let abandoned = CancelReason::new(CancelKind::ParentCancelled)
            .with_message("the future that awaited the region was dropped");
        cancel::cancel_region(region, abandoned);
        if this.body.is_some() {
            end_body(region, this.body, None);
        }
        this.rest.hand_over(region);
    }
}

/// Drops the body and tells the region that it has ended.
fn end_body<B>(region: &Arc<RegionCell>, mut body: Pin<&mut Option<B>>, ended: Option<Failure>) {
    let dropped = contain(|| body.set(None));
    let failure = ended.or_else(|| {
        let panic = dropped.err()?;
        let message = format!("while the body was dropped: {panic}");
        Some(failure(region, Severity::Panicked, message))
    });
    region.body_ended(failure);
}

/// What reports call a finalizer.
const FINALIZER: Name = Name::literal("finalizer");

/// From the end of the body to Closed.
struct Rest {
    /// The task that runs finalizers.
    runner: TaskRef,
    finalizer: Option<BoxFuture>,
    /// Wakes the driver when the finalizer's budget is spent.
    timer: Option<TimerKey>,
    /// When the region began to close, as far as its driver knows.
    closing: Option<Time>,
    /// Wakes the driver when the region has to have closed.
    close_timer: Option<TimerKey>,
    /// Whether the drain was looked at half-way.
    looked: bool,
}

impl Rest {
    fn new(runner: TaskRef) -> Self {
        Rest {
            runner,
            finalizer: None,
            timer: None,
            closing: None,
            close_timer: None,
            looked: false,
        }
    }

    /// Whether the region takes longer to close than it may, and after how long
    /// its drain counts as stuck. Until then a timer wakes the driver.
    fn overstays(&mut self, region: &Arc<RegionCell>, cx: &Context<'_>) -> Option<Duration> {
        let limit = region.close_timeout.filter(|_| region.parent.is_some())?;
        let world = &region.tree.world;
        let now = world.now();
        let since = match self.closing {
            Some(since) => since,
            None => {
                let ledger = lock(&region.ledger);
                if ledger.record.state == RegionState::Open {
                    return None;
                }
                let since = ledger.record.requested.unwrap_or(now);
                drop(ledger);
                self.closing = Some(since);
                since
            }
        };
        // Looked at half-way, so that the account can say how it goes.
        let half = limit / 2;
        if now >= since + limit {
            // A look that came late is still one to compare with.
            return Some(limit / 4);
        }
        let due = if now < since + half {
            since + half
        } else {
            if !std::mem::replace(&mut self.looked, true) {
                region.drain_stats();
            }
            since + limit
        };
        let fresh = world.timer_set(due, cx.waker());
        if let Some(old) = self.close_timer.replace(fresh) {
            world.timer_cancel(old);
        }
        None
    }

    /// Takes back what would wake the driver.
    fn forget_timers(&mut self, region: &RegionCell) {
        for timer in [self.timer.take(), self.close_timer.take()] {
            timer.map(|t| region.tree.world.timer_cancel(t));
        }
    }

    /// A task of the parent drives the region from here on.
    fn hand_over(&mut self, region: &Arc<RegionCell>) {
        self.forget_timers(region);
        region.emit(|| Event::RegionHandedOver { region: region.id });
        hand_over(region.clone(), self.finalizer.take());
    }

    fn poll(&mut self, region: &Arc<RegionCell>, cx: &mut Context<'_>) -> Poll<RegionReport> {
        loop {
            let (rests, deferred) = {
                let ledger = lock(&region.ledger);
                let rests = ledger.record.state >= RegionState::Finalizing;
                (rests, !ledger.finalizers.is_empty())
            };
            if !rests {
                let waker = cx.waker().clone();
                let mut ledger = lock(&region.ledger);
                // The last child may have left meanwhile.
                let rests = ledger.record.state >= RegionState::Finalizing;
                let unused = if rests {
                    Some(waker)
                } else {
                    ledger.driver.replace(waker)
                };
                drop(ledger);
                drop(unused);
                if rests {
                    continue;
                }
                return Poll::Pending;
            }
            // Most regions have deferred nothing, and need no clock for it.
            if deferred || self.finalizer.is_some() {
                let now = region.tree.world.now();
                {
                    let mut ledger = lock(&region.ledger);
                    if ledger.finalizing == CleanupLimits::NONE {
                        let all = (cancel::FINALIZER_BUDGET, cancel::FINALIZER_POLLS);
                        ledger.finalizing = CleanupLimits::starting(now, all);
                    }
                }
                std::task::ready!(self.finalize(region, cx));
            }
            if region.finalized() {
                if region.parent.is_none() {
                    // The root task completes after its region, so what its body
                    // promised and forgot has to be found here.
                    if let Some(panic) = obligation::settle_leaks(&self.runner) {
                        let message = panic.message().to_owned();
                        region.add_failure(failure(region, Severity::Panicked, message));
                    }
                }
                let report = region.report();
                region.leave();
                return Poll::Ready(report);
            }
            // A finalizer left a shielded region behind: wait for it.
            let waker = cx.waker().clone();
            let mut ledger = lock(&region.ledger);
            if ledger.record.alive() > 0 {
                let old = ledger.driver.replace(waker);
                drop(ledger);
                drop(old);
                return Poll::Pending;
            }
        }
    }

    /// Runs finalizers, last in first out, under one budget for all of them.
    fn finalize(&mut self, region: &Arc<RegionCell>, cx: &mut Context<'_>) -> Poll<()> {
        let world = &region.tree.world;
        loop {
            let left = {
                let mut ledger = lock(&region.ledger);
                let left = &mut ledger.finalizing;
                left.polls = left.polls.saturating_sub(1);
                *left
            };
            let mut f = match self.finalizer.take() {
                Some(f) => f,
                None => {
                    let (make, index) = {
                        let mut ledger = lock(&region.ledger);
                        (ledger.finalizers.pop(), ledger.finalizers.len())
                    };
                    let Some(make) = make else {
                        if let Some(timer) = self.timer.take() {
                            world.timer_cancel(timer);
                        }
                        return Poll::Ready(());
                    };
                    region.emit(|| Event::FinalizerBegan {
                        region: region.id,
                        task: None,
                        index: index as u32,
                    });
                    match contain(|| make(&self.runner)) {
                        Ok(Some(f)) => f,
                        Ok(None) => {
                            region.emit(|| Event::FinalizerRan { region: region.id });
                            continue;
                        }
                        Err(panic) => {
                            self.finalizer_panicked(region, &panic);
                            continue;
                        }
                    }
                }
            };
            match contain(|| f.as_mut().poll(cx)) {
                Ok(Poll::Pending) => {
                    let now = world.now();
                    let overdue = now >= left.deadline || left.polls == 0;
                    if !overdue || !region.escalates() {
                        let due = if now < left.deadline {
                            left.deadline
                        } else {
                            self.remind(region, now)
                        };
                        self.finalizer = Some(f);
                        let pending = self
                            .timer
                            .is_some_and(|t| world.timer_update(t, cx.waker()));
                        if !pending {
                            self.timer = Some(world.timer_set(due, cx.waker()));
                        }
                        return Poll::Pending;
                    }
                    region.add_abandoned(Abandoned {
                        task: None,
                        name: FINALIZER,
                        region: region.id,
                        last_checkpoint: None,
                        after: cancel::FINALIZER_BUDGET,
                        overdue: now.since(left.deadline),
                        seen: true,
                        held: Vec::new(),
                    });
                }
                Ok(Poll::Ready(())) => region.emit(|| Event::FinalizerRan { region: region.id }),
                Err(panic) => self.finalizer_panicked(region, &panic),
            }
            if let Err(panic) = contain(|| drop(f)) {
                self.finalizer_panicked(region, &panic);
            }
        }
    }

    /// A finalizer that may not be dropped has spent its budget: it is named, and
    /// again at the instant returned.
    fn remind(&self, region: &Arc<RegionCell>, now: Time) -> Time {
        let mut ledger = lock(&region.ledger);
        if let Some(at) = ledger.remind.filter(|at| now < *at) {
            return at;
        }
        let next = now + cancel::REMIND;
        ledger.remind = Some(next);
        drop(ledger);
        region.tell_stuck_body(FINALIZER);
        next
    }

    fn finalizer_panicked(&self, region: &Arc<RegionCell>, panic: &PanicPayload) {
        let message = format!("in a finalizer: {panic}");
        region.add_failure(failure(region, Severity::Panicked, message));
    }
}

/// A task of the parent drains and finalizes a region that lost its opener.
fn hand_over(region: Arc<RegionCell>, finalizer: Option<BoxFuture>) {
    let Some(parent) = region.parent.clone() else {
        // The root region's future is dropped only by `root::run`, which has
        // brought the tree to rest or given it up.
        return;
    };
    let orphan = region.clone();
    let body = move |runner: TaskRef| {
        let mut rest = Rest::new(runner);
        rest.finalizer = finalizer;
        let region = orphan;
        async move {
            let report = std::future::poll_fn(|cx| rest.poll(&region, cx)).await;
            // Nobody awaits this report any more, so what went wrong is the parent's to tell.
            if let (Some(parent), Some(p)) = (&region.parent, report.primary)
                && p.severity != Severity::Cancelled
            {
                parent.add_failure(p);
            }
            for abandoned in report.abandoned {
                region
                    .parent
                    .iter()
                    .for_each(|p| p.add_abandoned(abandoned.clone()));
            }
            for leak in report.leaks {
                region.parent.iter().for_each(|p| p.add_leak(leak.clone()));
            }
        }
    };
    let admitted = spawn::admit::<_, _, Returned>(&parent, body, Admission::driver());
    spawn::release_handle(admitted.expect("a region admits the driver of its own child"));
}

/// A body whose return value is not an outcome anyone reads.
struct Returned;

impl Settle<()> for Returned {
    type T = ();
    type E = Infallible;

    fn settle((): (), _: impl FnOnce() -> Option<Arc<CancelReason>>) -> Ended<(), Infallible> {
        Ended::Ok(())
    }
}

fn abandon_body(region: &Arc<RegionCell>) {
    let now = region.tree.world.now();
    let (requested, limits) = {
        let ledger = lock(&region.ledger);
        (ledger.record.requested, ledger.body_limits)
    };
    let after = now.since(requested.unwrap_or(now));
    let overdue = now.since(limits.deadline);
    let seen = region.signals.load(Ordering::Acquire) & signal::OBSERVED != 0;
    let last_checkpoint = region
        .opener()
        .and_then(|o| o.peek_control(|c| c.record.note).flatten());
    region.add_abandoned(Abandoned {
        task: None,
        name: region.name.clone(),
        region: region.id,
        last_checkpoint,
        after,
        overdue,
        seen,
        held: Vec::new(),
    });
}

fn failure(region: &RegionCell, severity: Severity, message: String) -> Failure {
    let at = region.tree.world.now();
    Failure {
        task: None::<TaskId>,
        name: region.name.clone(),
        severity,
        at,
        message,
        reason: None,
        value: None,
    }
}
