//! The future that takes a region from its body through drain and finalizers to Closed.
//!
//! It is polled by the opener, in place, so the body may borrow. Dropping it
//! early drops the body, cancels the region, and hands it to a task of the
//! parent, which cannot close before.

use super::cell::Settle;
use super::region::{RegionCell, signal};
use super::spawn::{self, Admission};
use super::task::{BoxFuture, TaskRef};
use super::{cancel, contain, lock, obligation};
use crate::kernel::region::RegionState;
use crate::kernel::task::CleanupLimits;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::outcome::{Outcome, PanicPayload, Severity};
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

/// What a region leaves behind.
#[derive(Debug)]
pub struct Reported<T> {
    /// What the body returned; `None` if it panicked or had to be dropped.
    pub value: Option<T>,
    /// The region's account.
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
    closed: bool,
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
            closed: false,
        }
    }
}

impl<B: Future<Output = T>, T> Future for Drive<B, T> {
    type Output = Reported<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reported<T>> {
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
            let failure = match contain(|| this.body.as_mut().set(None)) {
                Ok(()) => failure,
                Err(panic) => {
                    let message = format!("while the body was dropped: {panic}");
                    failure.or(Some(self::failure(
                        this.region,
                        Severity::Panicked,
                        message,
                    )))
                }
            };
            this.region.body_ended(failure);
        }
        let report = std::task::ready!(this.rest.poll(this.region, cx));
        *this.closed = true;
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
        let mut this = self.project();
        if *this.closed {
            return;
        }
        let region = this.region;
        let abandoned = CancelReason::new(CancelKind::ParentCancelled)
            .with_message("the future that awaited the region was dropped");
        cancel::cancel_region(region, abandoned);
        if this.body.is_some() {
            let failure = match contain(|| this.body.set(None)) {
                Ok(()) => None,
                Err(panic) => {
                    let message = format!("while the body was dropped: {panic}");
                    Some(failure(region, Severity::Panicked, message))
                }
            };
            region.body_ended(failure);
        }
        if let Some(timer) = this.rest.timer.take() {
            region.tree.world.timer_cancel(timer);
        }
        region.emit(|| Event::RegionHandedOver { region: region.id });
        hand_over(region.clone(), this.rest.finalizer.take());
    }
}

/// From the end of the body to Closed.
struct Rest {
    /// The task that runs finalizers.
    runner: TaskRef,
    finalizer: Option<BoxFuture>,
    started: bool,
    budget: CleanupLimits,
    timer: Option<TimerKey>,
}

impl Rest {
    fn new(runner: TaskRef) -> Self {
        Rest {
            runner,
            finalizer: None,
            started: false,
            budget: CleanupLimits::NONE,
            timer: None,
        }
    }

    fn poll(&mut self, region: &Arc<RegionCell>, cx: &mut Context<'_>) -> Poll<RegionReport> {
        loop {
            {
                let waker = cx.waker().clone();
                let mut ledger = lock(&region.ledger);
                if ledger.record.state < RegionState::Finalizing {
                    let old = ledger.driver.replace(waker);
                    drop(ledger);
                    drop(old);
                    return Poll::Pending;
                }
            }
            if !self.started {
                self.started = true;
                self.budget.deadline = region.tree.world.now() + cancel::FINALIZER_BUDGET;
                region.emit(|| Event::RegionFinalizing { region: region.id });
            }
            std::task::ready!(self.finalize(region, cx));
            if region.finalized() {
                if region.parent.is_none() {
                    // The root task completes after its region, so what its body
                    // promised and forgot has to be found here.
                    obligation::settle_leaks(&self.runner);
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
            let mut f = match self.finalizer.take() {
                Some(f) => f,
                None => {
                    let Some(make) = lock(&region.ledger).finalizers.pop() else {
                        if let Some(timer) = self.timer.take() {
                            world.timer_cancel(timer);
                        }
                        return Poll::Ready(());
                    };
                    match contain(|| make(&self.runner)) {
                        Ok(f) => f,
                        Err(panic) => {
                            self.finalizer_panicked(region, &panic);
                            continue;
                        }
                    }
                }
            };
            match contain(|| f.as_mut().poll(cx)) {
                Ok(Poll::Pending) if world.now() < self.budget.deadline || !region.escalates() => {
                    self.finalizer = Some(f);
                    let pending = self
                        .timer
                        .is_some_and(|t| world.timer_update(t, cx.waker()));
                    if !pending {
                        self.timer = Some(world.timer_set(self.budget.deadline, cx.waker()));
                    }
                    return Poll::Pending;
                }
                Ok(Poll::Pending) => {
                    region.add_abandoned(Abandoned {
                        task: None,
                        name: Name::from("finalizer"),
                        region: region.id,
                        last_checkpoint: None,
                        after: cancel::FINALIZER_BUDGET,
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

    fn settle((): (), _: impl FnOnce() -> Option<Arc<CancelReason>>) -> Outcome<(), Infallible> {
        Outcome::Ok(())
    }
}

fn abandon_body(region: &Arc<RegionCell>) {
    let requested = lock(&region.ledger).record.requested;
    let after = region
        .tree
        .world
        .now()
        .since(requested.unwrap_or(Time::ZERO));
    let last_checkpoint = region
        .opener()
        .and_then(|o| o.peek_control(|c| c.record.note).flatten());
    region.add_abandoned(Abandoned {
        task: None,
        name: region.name.clone(),
        region: region.id,
        last_checkpoint,
        after,
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
    }
}
