//! Regions as seen by the code inside them.

use super::Cx;
use crate::exec::cancel;
use crate::exec::drive::{Drive, Judge, Reported};
use crate::exec::lock;
use crate::exec::region::{RegionCell, RegionOptions, signal};
use crate::exec::root::{self, RootRef};
use crate::exec::task::{Finalizer, TaskRef};
use crate::kernel::region::{Refused, RegionState};
use crate::types::cancel::{CancelKind, CancelReason, Cancelled};
use crate::types::event::Event;
use crate::types::id::RegionId;
use crate::types::outcome::{OutcomeError, Severity};
use crate::types::policy::{Limit, Name};
use crate::types::report::{DrainStats, Failure, RegionReport};
use crate::world::World;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The body's view of its region: a [`Cx`] whose `spawn` targets the region and
/// whose waits end when the region is cancelled, plus the verbs below.
///
/// A clone may be stored to spawn into the region from elsewhere; once the
/// region is past admitting, such spawns are refused.
#[derive(Clone, Debug)]
pub struct Scope {
    cx: Cx,
}

impl Scope {
    pub(crate) fn new(cx: Cx) -> Self {
        Scope { cx }
    }

    /// The context of the region's body alone.
    pub(crate) fn into_cx(self) -> Cx {
        self.cx
    }

    fn cell(&self) -> &Arc<RegionCell> {
        self.cx.region_cell()
    }

    /// Ends the region on purpose: everything in it is asked to stop, which is no failure.
    pub fn close(&self) {
        self.cancel(CancelKind::RegionEnd);
    }

    /// Cancels the region: everything alive in it is asked to stop, it admits
    /// nothing new, and it closes once all of it has.
    pub fn cancel(&self, reason: impl Into<CancelReason>) {
        cancel::cancel_region(self.cell(), reason.into());
    }

    /// Code of this region's opener has failed, in the midst of the body: the
    /// region is told, and everything in it is asked to cancel because of it.
    pub(crate) fn fail_fast(&self, message: String) {
        let cell = self.cell();
        let task = self.cx.task_id();
        cell.add_failure(Failure {
            task: Some(task),
            name: self.cx.task_ref().name(),
            severity: Severity::Err,
            at: self.cx.now(),
            message,
            reason: None,
            value: None,
        });
        let mut reason = CancelReason::new(CancelKind::FailFast);
        reason.task = Some(task);
        cancel::cancel_region(cell, reason);
    }

    /// Which region.
    pub fn id(&self) -> RegionId {
        self.cell().id
    }

    /// Where it is in its life.
    pub fn state(&self) -> RegionState {
        self.cell().state()
    }

    /// How the region's drain goes; before it is asked to end, a drain in which
    /// everything is left.
    ///
    /// The label compares what is left here and below with an earlier call: so
    /// ask again, a second or so apart.
    pub fn drain_stats(&self) -> DrainStats {
        self.cell().drain_stats()
    }

    /// Defers `fut` to the end of the region: it runs once nothing else is
    /// alive, last deferred first, within five seconds for all of them.
    ///
    /// Deferred to a region that has closed, it is dropped unrun.
    pub fn defer(&self, fut: impl Future<Output = ()> + Send + 'static) {
        self.defer_with(move |_| fut);
    }

    /// As [`Scope::defer`], with a context whose waits do not fail with [`Cancelled`].
    pub fn defer_with<F, Fut>(&self, f: F)
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let region = Arc::downgrade(self.cell());
        let caps = self.cx.caps();
        self.add_finalizer(Box::new(move |runner| {
            let region = region.upgrade().unwrap_or_else(|| runner.region().clone());
            let cx = Cx::of_body(runner.clone(), region, caps).into_cleanup();
            Some(Box::pin(f(cx)))
        }));
    }

    fn add_finalizer(&self, finalizer: Finalizer) {
        let cell = self.cell();
        let index = {
            let mut ledger = lock(&cell.ledger);
            if ledger.record.is_closed() {
                // It is the user's, and not dropped under the lock.
                drop(ledger);
                drop(finalizer);
                return;
            }
            ledger.finalizers.push(finalizer);
            ledger.finalizers.len() - 1
        };
        cell.emit(|| Event::Deferred {
            region: cell.id,
            task: None,
            index: index as u32,
        });
    }

    /// As [`Scope::defer`], for work that does not wait.
    pub fn defer_sync(&self, f: impl FnOnce() + Send + 'static) {
        self.add_finalizer(Box::new(move |_| {
            f();
            None
        }));
    }
}

impl Deref for Scope {
    type Target = Cx;

    fn deref(&self) -> &Cx {
        &self.cx
    }
}

impl AsRef<Cx> for Scope {
    fn as_ref(&self) -> &Cx {
        &self.cx
    }
}

/// Opening regions by name.
#[derive(Clone, Copy, Debug)]
pub struct Region;

impl Region {
    /// As [`Cx::region`], with a name for reports.
    ///
    /// # Errors
    /// As [`Cx::region`].
    pub async fn open<T, F, Fut>(cx: &Cx, name: impl Into<Name>, body: F) -> Result<T, RegionError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        Self::open_with(cx, RegionOptions::named(name), body).await
    }

    /// As [`Cx::region`], with options.
    ///
    /// # Errors
    /// As [`Cx::region`].
    pub async fn open_with<T, F, Fut>(
        cx: &Cx,
        options: RegionOptions,
        body: F,
    ) -> Result<T, RegionError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let opened = Opened::new(cx, options)?;
        opened.run(body, |_| None).await.into_result()
    }
}

impl Cx {
    /// Runs `body` in a region of its own and returns once the region is
    /// quiescent: every task spawned in it has ended, every region opened in it
    /// has closed, every finalizer has run.
    ///
    /// *Cancellation.* Opening is a checkpoint. A request to this task reaches
    /// the region, which drains before this returns. Dropping the future drops
    /// the body and cancels the region; the region above finishes the drain and
    /// cannot close before.
    ///
    /// # Errors
    /// [`RegionError::Ended`] with the report when a child failed, was cancelled
    /// or panicked; [`RegionError::Cancelled`] or [`RegionError::Closed`] when it
    /// was not opened at all.
    ///
    /// # Panics
    /// A panic of the body is raised again once the region is closed.
    ///
    /// ```
    /// # use asupersync::{Runtime, Scope};
    /// # let runtime = Runtime::builder().current_thread().build().unwrap();
    /// # let sum = runtime.block_on(async |cx: Scope| {
    /// let sum = cx.region(async |scope| {
    ///     let a = scope.spawn(async |_cx| 1);
    ///     let b = scope.spawn(async |_cx| 2);
    ///     a.await.into_result().unwrap() + b.await.into_result().unwrap()
    /// }).await.unwrap();
    /// # sum }).unwrap();
    /// assert_eq!(sum, 3);
    /// ```
    pub async fn region<T, F, Fut>(&self, body: F) -> Result<T, RegionError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        Region::open_with(self, RegionOptions::default(), body).await
    }

    /// As [`Cx::region`], for a body that can fail: its `Err` cancels the children.
    ///
    /// # Errors
    /// The body's error, or as [`Cx::region`].
    pub async fn try_region<T, E, F, Fut>(&self, body: F) -> Result<T, TryRegionError<E>>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let opened = Opened::new(self, RegionOptions::default()).map_err(TryRegionError::Region)?;
        let reported = opened
            .run(body, |r: &Result<T, E>| {
                r.is_err().then(|| "the body returned an error".to_owned())
            })
            .await;
        match reported.resume() {
            (Some(Err(e)), report) if report.quiescent => Err(TryRegionError::Body(e)),
            (Some(Ok(v)), report) if report.is_ok() => Ok(v),
            (_, report) => Err(TryRegionError::Region(RegionError::of(report))),
        }
    }

    /// As [`Cx::region`], with options, and the report in any case. A panic of
    /// the body is reported, not raised.
    ///
    /// # Errors
    /// When the region was not opened at all.
    pub async fn region_report<T, F, Fut>(
        &self,
        options: RegionOptions,
        body: F,
    ) -> Result<Reported<T>, RegionError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        Ok(Opened::new(self, options)?.run(body, |_| None).await)
    }
}

/// Runs `body` in the root region of `world`; see [`root::run`].
pub(crate) fn run_root<T, F, Fut>(
    world: &Arc<dyn World>,
    options: RegionOptions,
    body: F,
    drive: impl FnOnce(&RootRef),
) -> Reported<T>
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = T>,
{
    let caps = options.caps;
    let body = |task: TaskRef| async move {
        let region = task.region().clone();
        body(Scope::new(Cx::of_body(task, region, caps))).await
    };
    root::run(world, options, body, drive)
}

/// A region that is open and has no body yet.
pub(crate) struct Opened {
    region: Arc<RegionCell>,
    scope: Scope,
}

impl Opened {
    pub(crate) fn new(cx: &Cx, options: RegionOptions) -> Result<Self, RegionError> {
        cx.checkpoint().map_err(RegionError::Cancelled)?;
        let task = cx.task_ref();
        let parent = cx.region_cell();
        let caps = cx.narrowed(options.caps, task.id());
        let region =
            RegionCell::open(parent, task, cx.is_cleanup(), options).map_err(|refused| {
                let region = parent.id;
                match refused {
                    Refused::Past(state) => RegionError::Closed { region, state },
                    Refused::Full(limit) => RegionError::AdmissionDenied { region, limit },
                }
            })?;
        let scope = Scope::new(Cx::of_body(task.clone(), region.clone(), caps));
        Ok(Opened { region, scope })
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Runs the body and brings the region to rest.
    pub(crate) fn run<T, F, Fut>(
        self,
        body: F,
        judge: Judge<T>,
    ) -> impl Future<Output = Reported<T>> + use<T, F, Fut>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let opener = self.scope.task_ref().clone();
        let scope = self.scope;
        // The body is called at the first poll, where a panic of it is caught.
        Drive::new(self.region, opener, async move { body(scope).await }, judge)
    }

    /// The region, to ask about after it has closed.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            region: self.region.clone(),
        }
    }
}

/// What is left to ask about a region once it is closed.
pub(crate) struct Watch {
    region: Arc<RegionCell>,
}

impl Watch {
    /// Whether the region's own deadline cancelled it, and its body has seen that.
    pub(crate) fn timed_out(&self) -> bool {
        let kind = self.region.reason().map(|r| (r.kind, r.region));
        kind == Some((CancelKind::Timeout, Some(self.region.id)))
    }

    /// Whether the body ever saw the request.
    pub(crate) fn observed(&self) -> bool {
        self.region.signals.load(Ordering::Acquire) & signal::OBSERVED != 0
    }
}

impl<T> Reported<T> {
    /// The value if all went well.
    ///
    /// # Errors
    /// [`RegionError::Ended`] with the report otherwise.
    ///
    /// # Panics
    /// With the body's panic, if there was one.
    pub fn into_result(self) -> Result<T, RegionError> {
        match self.resume() {
            (Some(value), report) if report.is_ok() => Ok(value),
            (_, report) => Err(RegionError::of(report)),
        }
    }

    /// Raises the body's panic again, if there was one.
    pub(crate) fn resume(self) -> (Option<T>, RegionReport) {
        if let Some(panic) = self.panic {
            crate::exec::panics::resume(&panic);
        }
        (self.value, self.report)
    }
}

/// Why a region gave no value.
#[derive(Clone, Debug)]
pub enum RegionError {
    /// It was not opened: the task had been asked to cancel.
    Cancelled(Cancelled),
    /// It was not opened: the region above is past admitting.
    Closed {
        /// The region above.
        region: RegionId,
        /// Where it is.
        state: RegionState,
    },
    /// It was not opened: the region above has as many subregions as its limits allow.
    AdmissionDenied {
        /// The region above.
        region: RegionId,
        /// Which limit.
        limit: Limit,
    },
    /// It is closed, and something in it went wrong: see the report.
    Ended(Box<RegionReport>),
    /// It is **not** closed: it took longer than its
    /// [`close_timeout`](RegionOptions::close_timeout), and goes on draining under
    /// the region above. The report names who keeps it.
    CloseTimeout(Box<RegionReport>),
}

impl RegionError {
    /// Of a region that left this report, which is not all well.
    pub(crate) fn of(report: RegionReport) -> Self {
        let report = Box::new(report);
        if report.quiescent {
            RegionError::Ended(report)
        } else {
            RegionError::CloseTimeout(report)
        }
    }

    /// The report of a region that ended badly, or not yet.
    pub fn report(&self) -> Option<&RegionReport> {
        match self {
            RegionError::Ended(report) | RegionError::CloseTimeout(report) => Some(report),
            RegionError::Cancelled(_)
            | RegionError::Closed { .. }
            | RegionError::AdmissionDenied { .. } => None,
        }
    }

    /// Why it was cancelled, if that is what ended it.
    pub fn cancel_reason(&self) -> Option<&CancelReason> {
        match self {
            RegionError::Cancelled(c) => Some(c.reason()),
            RegionError::Closed { .. }
            | RegionError::AdmissionDenied { .. }
            | RegionError::CloseTimeout(_) => None,
            RegionError::Ended(report) if report.severity == Severity::Cancelled => report
                .reason
                .as_ref()
                .or(report.primary.as_ref().and_then(|p| p.reason.as_ref())),
            RegionError::Ended(_) => None,
        }
    }
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegionError::Cancelled(c) => write!(f, "the region was not opened: {c}"),
            RegionError::Closed { region, state } => write!(
                f,
                "the region was not opened: {region} is {state:?} and admits nothing new; open it through the scope of a region that is still open"
            ),
            RegionError::AdmissionDenied { region, limit } => write!(
                f,
                "the region was not opened: {region} may have {limit} at a time; wait for one to close, or raise the limit in its options"
            ),
            RegionError::CloseTimeout(report) => write!(
                f,
                "RegionCloseTimeout: the region is not quiescent and goes on draining under the one above; let what is named here react to cancellation, or give it more time: {report}"
            ),
            RegionError::Ended(report) => match &report.primary {
                Some(primary) => write!(f, "the region ended badly: {primary}"),
                None => write!(f, "the region ended badly: {report}"),
            },
        }
    }
}

impl std::error::Error for RegionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RegionError::Cancelled(c) => Some(c),
            RegionError::Closed { .. }
            | RegionError::AdmissionDenied { .. }
            | RegionError::CloseTimeout(_) => None,
            RegionError::Ended(_) => self.cancel_reason().map(|r| r as _),
        }
    }
}

impl From<RegionError> for std::io::Error {
    fn from(e: RegionError) -> Self {
        std::io::Error::other(e)
    }
}

/// Why a fallible region gave no value.
#[derive(Clone, Debug)]
pub enum TryRegionError<E> {
    /// The body's own error; the children were cancelled and drained.
    Body(E),
    /// As for any region.
    Region(RegionError),
}

/// The body's error as it is, so that `?` ends a function of I/O.
impl From<TryRegionError<std::io::Error>> for std::io::Error {
    fn from(e: TryRegionError<std::io::Error>) -> Self {
        match e {
            TryRegionError::Body(e) => e,
            TryRegionError::Region(e) => e.into(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TryRegionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRegionError::Body(e) => e.fmt(f),
            TryRegionError::Region(e) => e.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for TryRegionError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TryRegionError::Body(e) => Some(e),
            TryRegionError::Region(e) => Some(e),
        }
    }
}

impl<E> From<OutcomeError<E>> for RegionError
where
    E: fmt::Display,
{
    fn from(e: OutcomeError<E>) -> Self {
        let reason = match e {
            OutcomeError::Cancelled(r) => r,
            other => CancelReason::new(CancelKind::FailFast).with_message(match other {
                OutcomeError::Err(e) => e.to_string(),
                OutcomeError::Panicked(p) => p.to_string(),
                OutcomeError::Cancelled(_) => unreachable!("matched above"),
            }),
        };
        RegionError::Cancelled(Cancelled::new(Arc::new(reason)))
    }
}
