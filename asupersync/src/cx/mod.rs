//! The context: who is asking, and what may it still do.
//!
//! A [`Cx`] identifies the running task. Every wait takes one, which makes the
//! wait a checkpoint: when the task is asked to cancel, the wait ends with
//! [`Cancelled`]. There is no ambient context.
//!
//! | module | what it adds |
//! |---|---|
//! | [`bracket`] | a resource that is released however its use ends |
//! | [`caps`] | which effects it may perform |
//! | [`effect`] | effects in two phases: reserve everything, then commit everything |
//! | `grant` | what it may do and how its waits react, in one word |
//! | `error` | how the errors of tasks and regions become [`Error`](crate::Error) |
//! | [`interrupt`] | how waits notice a request: used by every future that takes a `Cx` |
//! | [`join_set`] | tasks of one region, awaited as a group |
//! | [`link`] | tasks that do not outlive each other's failure |
//! | `macaroon` | tokens for capabilities that leave the process (feature `macaroon`) |
//! | `local` | tasks that stay on one thread |
//! | `outside` | waiting on a thread that runs no task |
//! | [`rng`] | random words, from a stream per task |
//! | [`scope`] | regions: opening, ending, deferring |
//! | [`spawn`] | tasks |
//! | [`spork`] | a task in a region of its own |

pub mod bracket;
pub mod caps;
pub mod effect;
mod error;
mod grant;
pub mod interrupt;
pub mod join_set;
pub mod link;
mod local;
#[cfg(feature = "macaroon")]
pub mod macaroon;
mod outside;
pub mod rng;
pub mod scope;
pub mod spawn;
pub mod spork;

pub use effect::{Effect, Reserved, Stage, Staged};
pub use interrupt::{Cancellable, DropSafe, Interrupt, WaitCancelled, YieldNow};
pub use join_set::{JoinNext, JoinSet};
pub use link::{Exit, Link, LinkedExit, OnExit};
pub(crate) use scope::run_root;
pub use scope::{Region, RegionError, Scope, TryRegionError};
pub use spawn::TaskBuilder;
pub use spork::SporkOptions;

use grant::Grant;

use crate::exec::obligation::{Obligation, Pledge};
use crate::exec::region::{RegionCell, signal};
use crate::exec::task::TaskRef;
use crate::exec::{cancel, meter};
use crate::kernel::region::RegionState;
use crate::kernel::task::MASK_DEFERRALS;
use crate::types::budget::Budget;
use crate::types::cancel::{CancelKind, CancelReason, Cancelled};
use crate::types::cancel_class::CancelClass;
use crate::types::caps::CapSet;
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use crate::types::obligation::ObligationKind;
use crate::types::time::Time;
use crate::world::World;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The cancel class of every wait of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Cx::cancelled", CancelClass::Safe),
    ("Cx::cancellable", CancelClass::Lossy),
    ("Cx::yield_now", CancelClass::Safe),
    ("Cx::linked_exit", CancelClass::Safe),
    ("JoinSet::join_next", CancelClass::Safe),
    ("JoinSet::join_all", CancelClass::Resumable),
    ("TaskHandle::join", CancelClass::Lossy),
];

/// The identity, cancel state and effects of the running task.
///
/// Functions take `&Cx`; a spawned body gets its own. Cloning is cheap. A `Cx`
/// belongs to one task: give another task its own instead of a clone.
///
/// ```
/// use asupersync::{Cancelled, Cx};
///
/// async fn add_up(cx: &Cx, numbers: &[u64]) -> Result<u64, Cancelled> {
///     let mut sum = 0;
///     for n in numbers {
///         cx.checkpoint()?;
///         sum += n;
///     }
///     Ok(sum)
/// }
/// ```
pub struct Cx {
    task: TaskRef,
    /// The region whose body this context was made for; `None` in a task's own context.
    scope: Option<Arc<RegionCell>>,
    /// The effects it may perform and its view. Nothing edits them: a context is
    /// made with its set. Its cleanup view too, once that was asked for.
    grant: Grant,
}

/// How waits through a context react to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum View {
    /// They fail.
    Work,
    /// They go on, within the cleanup budget.
    Cleanup,
}

impl Cx {
    pub(crate) fn of_task(task: TaskRef, caps: CapSet) -> Self {
        Cx {
            task,
            scope: None,
            grant: Grant::new(caps, View::Work),
        }
    }

    pub(crate) fn of_body(task: TaskRef, region: Arc<RegionCell>, caps: CapSet) -> Self {
        Cx {
            task,
            scope: Some(region),
            grant: Grant::new(caps, View::Work),
        }
    }

    pub(crate) fn into_cleanup(mut self) -> Self {
        self.grant = Grant::new(self.caps(), View::Cleanup);
        self
    }

    /// As it is, with other effects.
    fn with_caps(mut self, caps: CapSet) -> Self {
        self.grant = Grant::new(caps, self.grant.view());
        self
    }

    pub(crate) fn task_ref(&self) -> &TaskRef {
        &self.task
    }

    /// The region that `spawn` and `region` act on.
    pub(crate) fn region_cell(&self) -> &Arc<RegionCell> {
        self.scope.as_ref().unwrap_or_else(|| self.task.region())
    }

    pub(crate) fn world(&self) -> &Arc<dyn World> {
        &self.region_cell().tree.world
    }

    pub(crate) fn is_cleanup(&self) -> bool {
        self.grant.view() == View::Cleanup
    }

    /// The holder promises something of this kind.
    #[inline(always)]
    pub(crate) fn promise(&self, kind: ObligationKind) -> Obligation {
        Obligation::reserve(&self.task, kind, self.scope.as_deref())
    }

    /// The holder promises to give something back.
    #[inline(always)]
    pub(crate) fn pledge(&self, kind: ObligationKind) -> Pledge {
        Pledge::reserve(&self.task, kind, self.scope.as_deref())
    }

    /// Takes over a pledge that another task made.
    pub(crate) fn take_over(&self, pledge: &mut Pledge) {
        pledge.transfer(&self.task, self.scope.as_deref());
    }

    /// Takes over a promise that another task made.
    pub(crate) fn adopt(&self, mut promise: Obligation) -> Obligation {
        promise.transfer(&self.task, self.scope.as_deref());
        promise
    }

    /// Whether this task, or the region this context is the body of, was asked
    /// to cancel. Masks and the cleanup view make no difference here.
    #[inline]
    pub fn is_cancel_requested(&self) -> bool {
        self.task_asked() || self.scope.as_ref().is_some_and(|r| r.cancel_requested())
    }

    /// Whether the task was asked to cancel, and its requests concern this
    /// context: they do not reach the bodies of what its cleanup opened.
    fn task_asked(&self) -> bool {
        self.task.cancel_requested() && !self.scope.as_ref().is_some_and(|r| r.screened)
    }

    /// Why it was asked to cancel, if it was.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        let own = self.task_asked().then(|| self.task.reason()).flatten();
        let region = self
            .scope
            .as_ref()
            .filter(|r| r.cancel_requested())
            .and_then(|r| r.reason());
        match (own, region) {
            (Some(a), Some(b)) => Some(CancelReason::clone(&a).strengthen(CancelReason::clone(&b))),
            (a, b) => a.or(b).map(|r| CancelReason::clone(&r)),
        }
    }

    /// A point at which the task can be stopped.
    ///
    /// Costs one load while nobody has asked. Under a deadline it reads the clock
    /// too: code that never waits, and so lets no timer fire, is stopped by it.
    ///
    /// # Errors
    /// [`Cancelled`] once the task was asked to cancel, and from then on at
    /// every checkpoint, unless a mask lets it pass or this is the cleanup view.
    /// A context that outlives its task fails: nobody could ask it to cancel any
    /// more. One that outlives its region fails in every view.
    #[inline]
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        if self.task.is_timed() || self.region_cell().budget.deadline.is_some() {
            self.watch_clock();
        }
        self.observe()
    }

    /// A checkpoint of code that goes on to wait: timers ring while it does.
    #[inline]
    pub(crate) fn observe(&self) -> Result<(), Cancelled> {
        if self.is_stopped() {
            self.acknowledge()
        } else {
            Ok(())
        }
    }

    /// Whether there is something to acknowledge.
    #[inline(always)]
    fn is_stopped(&self) -> bool {
        self.task.stops() || self.scope.as_ref().is_some_and(|r| r.cancel_requested())
    }

    /// Uses up `cost` units of the task's own cost quota and of every pool it
    /// draws on: those of the regions around it that have a cost quota.
    ///
    /// What a unit is, the program says. The charge that takes the last one is
    /// granted; whatever goes on under that quota is asked to cancel with
    /// `CostQuota`. Where there is no quota, this costs no more than a checkpoint.
    ///
    /// ```
    /// use asupersync::{Budget, CancelKind, Cx, LabConfig, LabRuntime, RegionOptions};
    ///
    /// async fn crawl(cx: &Cx) -> u32 {
    ///     let mut pages = 0;
    ///     while cx.charge(1).is_ok() {
    ///         pages += 1;
    ///     }
    ///     pages
    /// }
    ///
    /// let pages = LabRuntime::new(LabConfig::default()).run(async |cx| {
    ///     let options = RegionOptions {
    ///         budget: Budget::new().with_cost_quota(10),
    ///         ..RegionOptions::named("crawl")
    ///     };
    ///     let crawled = cx.region_report(options, async |scope| {
    ///         let two = [scope.spawn(async |cx: Cx| crawl(&cx).await), scope.spawn(async |cx: Cx| crawl(&cx).await)];
    ///         let mut pages = 0;
    ///         for half in two {
    ///             pages += half.await.into_result().unwrap_or(0);
    ///         }
    ///         pages
    ///     });
    ///     crawled.await.unwrap().value.unwrap()
    /// });
    /// assert_eq!(pages, 10);
    /// ```
    ///
    /// # Errors
    /// As [`Cx::checkpoint`]: [`Cancelled`] when the quota does not cover the
    /// charge. What was left is used up all the same.
    pub fn charge(&self, cost: u64) -> Result<(), Cancelled> {
        self.checkpoint()?;
        let region = self.region_cell();
        if meter::charge(&self.task, region, cost) {
            return Ok(());
        }
        self.checkpoint()?;
        if self.is_cleanup() || self.is_cancel_requested() {
            // Cleanup, or a mask, lets it pass.
            return Ok(());
        }
        // Another task has emptied the pool, and its request is still on the way here.
        let mut reason = CancelReason::new(CancelKind::CostQuota);
        (reason.region, reason.at) = (Some(region.id), self.now());
        Err(Cancelled::new(Arc::new(reason)))
    }

    /// A checkpoint that leaves a note for reports: what the task was doing.
    ///
    /// # Errors
    /// As [`Cx::checkpoint`].
    pub fn checkpoint_note(&self, note: &'static str) -> Result<(), Cancelled> {
        self.task.with_control(|c| c.record.note = Some(note));
        self.task.emit(|| Event::Note {
            task: self.task.id(),
            note,
        });
        self.checkpoint()
    }

    /// Raises the request of a deadline that has passed and whose alarm has not rung.
    #[cold]
    fn watch_clock(&self) {
        if self.is_cleanup() || self.is_cancel_requested() {
            return;
        }
        let now = self.world().now();
        if !self.budget().is_past_deadline(now) {
            return;
        }
        if self.task.own_budget().is_past_deadline(now) {
            cancel::cancel_task(&self.task, CancelReason::new(CancelKind::Timeout));
        }
        // The deadline is that of the outermost region which has it.
        let above = std::iter::successors(Some(self.region_cell()), |r| r.parent.as_ref());
        let past = above.take_while(|r| r.budget.is_past_deadline(now));
        if let Some(region) = past.last() {
            cancel::cancel_region(region, CancelReason::new(CancelKind::Timeout));
        }
    }

    #[cold]
    fn acknowledge(&self) -> Result<(), Cancelled> {
        // Cleanup goes on for as long as a region is there to bound it.
        if self.task.is_complete()
            && (!self.is_cleanup() || self.region_cell().state() == RegionState::Closed)
        {
            let mut reason = CancelReason::new(CancelKind::RegionEnd)
                .with_message("the task of this context has ended");
            reason.region = Some(self.region_id());
            reason.task = Some(self.task_id());
            return Err(Cancelled::new(Arc::new(reason)));
        }
        if self.is_cleanup() {
            return Ok(());
        }
        if self.task_asked() {
            return match self.task.checkpoint() {
                Some(reason) => Err(Cancelled::new(reason)),
                None => Ok(()),
            };
        }
        // Only the region of this body was cancelled, if any. The task's masks
        // cover its bodies too, and are spent the same way.
        let Some(region) = self.scope.as_ref().filter(|r| r.cancel_requested()) else {
            return Ok(());
        };
        if self
            .task
            .peek_control(|c| c.record.spend_mask())
            .unwrap_or(false)
        {
            self.task.emit(|| Event::CancelMasked {
                task: self.task.id(),
            });
            return Ok(());
        }
        region.signals.fetch_or(signal::OBSERVED, Ordering::AcqRel);
        match region.reason() {
            Some(reason) => Err(Cancelled::new(reason)),
            None => Ok(()),
        }
    }

    /// The same task, for cleaning up: waits through it do not fail with
    /// [`Cancelled`] but go on within the cleanup budget, at the end of which
    /// the task is dropped. Regions opened through it are shielded from
    /// requests above.
    ///
    /// ```
    /// use asupersync::{Cx, channel::mpsc};
    ///
    /// async fn goodbye(cx: &Cx, tx: &mpsc::Sender<&'static str>) {
    ///     // Delivered even though the task was asked to cancel.
    ///     let _ = tx.send(cx.cleanup(), "goodbye").await;
    /// }
    /// ```
    pub fn cleanup(&self) -> &Cx {
        if self.is_cleanup() {
            return self;
        }
        self.grant.cleanup(|| self.clone().into_cleanup())
    }

    /// Lets the next checkpoints of this task pass although it was asked to
    /// cancel: at most 64 of them, until the guard is dropped.
    ///
    /// Masks may be nested eight deep; a deeper one masks nothing further. Only
    /// the outermost brings deferrals. The cleanup clock runs on regardless.
    #[must_use = "the mask ends when the guard is dropped"]
    pub fn mask(&self) -> MaskGuard<'_> {
        self.mask_with(Mask::default())
    }

    fn mask_with(&self, mask: Mask) -> MaskGuard<'_> {
        let held = self.task.with_control(|c| c.record.mask(mask.deferrals));
        MaskGuard { cx: self, held }
    }

    /// Runs `fut` under a mask of its own: as [`Cx::mask`], with a number of
    /// deferrals, until `fut` has ended.
    ///
    /// *Cancellation.* Let through by the first `mask.deferrals` checkpoints
    /// after the request; the next one fails.
    ///
    /// ```
    /// use asupersync::{Cancelled, Cx, cx::Mask, channel::mpsc};
    ///
    /// /// Both or, if the request came before the first, neither.
    /// async fn pair(cx: &Cx, tx: &mpsc::Sender<u8>) -> Result<(), mpsc::ReserveError> {
    ///     let first = tx.reserve(cx).await?;
    ///     cx.masked(Mask { deferrals: 1 }, async {
    ///         let _ = first.send(1);
    ///         tx.reserve(cx).await.map(|second| drop(second.send(2)))
    ///     })
    ///     .await
    /// }
    /// ```
    pub async fn masked<F: Future>(&self, mask: Mask, fut: F) -> F::Output {
        let _guard = self.mask_with(mask);
        fut.await
    }

    /// Defers `fut` to the end of this task: it runs after the body, however
    /// that ended, last deferred first, within five seconds for all of them.
    ///
    /// Deferred to a task that has ended, it is dropped unrun.
    pub fn defer(&self, fut: impl Future<Output = ()> + Send + 'static) {
        self.defer_with(move |_| fut);
    }

    /// As [`Cx::defer`], with a context whose waits do not fail with [`Cancelled`].
    pub fn defer_with<F, Fut>(&self, f: F)
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let caps = self.caps();
        self.task.defer(Box::new(move |task| {
            Some(Box::pin(f(Cx::of_task(task.clone(), caps).into_cleanup())))
        }));
    }

    /// As [`Cx::defer`], for work that does not wait.
    pub fn defer_sync(&self, f: impl FnOnce() + Send + 'static) {
        self.task.defer(Box::new(move |_| {
            f();
            None
        }));
    }

    /// The region this context is the body of; `None` for a task's own context.
    ///
    /// For code that is given a `&Cx` and has to place something with its owner, whichever that is.
    pub fn scope(&self) -> Option<Scope> {
        self.scope.as_ref().map(|_| Scope::new(self.clone()))
    }

    /// The current instant of the world's clock; virtual in the lab.
    pub fn now(&self) -> Time {
        self.world().now()
    }

    /// What is left of the effective budget of this context: the task's own
    /// limits, met with the region's.
    ///
    /// The deadline is the earliest that binds the task, the polls are those left
    /// to this task, the cost is the least left to it and to the pools it draws on.
    pub fn budget(&self) -> Budget {
        let own = self.task.budget();
        self.scope
            .as_ref()
            .map_or(own, |r| own.meet(r.budget_left()))
    }

    /// The running task.
    pub fn task_id(&self) -> TaskId {
        self.task.id()
    }

    /// The region that `spawn` acts on.
    pub fn region_id(&self) -> RegionId {
        self.region_cell().id
    }
}

impl Clone for Cx {
    fn clone(&self) -> Self {
        Cx {
            task: self.task.clone(),
            scope: self.scope.clone(),
            grant: self.grant.clone(),
        }
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("task", &self.task_id())
            .field("region", &self.region_id())
            .field("view", &self.grant.view())
            .field("caps", &self.caps())
            .finish()
    }
}

/// How much a mask defers; see [`Cx::masked`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mask {
    /// Checkpoints that it lets pass after a request.
    pub deferrals: u32,
}

impl Default for Mask {
    /// 64 deferrals.
    fn default() -> Self {
        Mask {
            deferrals: MASK_DEFERRALS,
        }
    }
}

/// Holds a mask; see [`Cx::mask`].
#[derive(Debug)]
pub struct MaskGuard<'a> {
    cx: &'a Cx,
    held: bool,
}

impl Drop for MaskGuard<'_> {
    fn drop(&mut self) {
        if self.held {
            self.cx.task.with_control(|c| c.record.unmask());
        }
    }
}
