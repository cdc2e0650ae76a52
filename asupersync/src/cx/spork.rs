//! A task in a region of its own.

use super::Cx;
use super::scope::{Opened, RegionError};
use crate::exec::cell::{Ended, Settle};
use crate::exec::drive::Reported;
use crate::exec::handle::TaskHandle;
use crate::exec::region::RegionOptions;
use crate::types::budget::Budget;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::caps::CapSet;
use crate::types::outcome::Severity;
use crate::types::policy::{ChildEnd, Name};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

/// How to start a task in a region of its own.
#[derive(Clone, Debug, Default)]
pub struct SporkOptions {
    /// Name of the task and of its region, in reports.
    pub name: Name,
    /// Limits of the region, met with the caller's.
    pub budget: Budget,
    /// Which effects the body and everything inside may perform, met with what the caller may.
    pub caps: CapSet,
}

impl Cx {
    /// Starts a task in a fresh region of its own: what the body spawns belongs
    /// to that region, and the task ends once the region is quiescent.
    ///
    /// The region is a child of the one that `spawn` acts on. Ending it, from
    /// inside by a failure or from outside by [`TaskHandle::cancel`], touches
    /// nothing above. A value of the body wins; what went wrong among the tasks
    /// that the body spawned counts as a failure of the caller's region, whose
    /// policy decides about it.
    ///
    /// *Cancellation.* As for [`Cx::spawn`]; a request to the task reaches its
    /// region, which drains.
    ///
    /// ```
    /// # use asupersync::{Cx, Runtime, Scope, SporkOptions};
    /// # let runtime = Runtime::builder().current_thread().build().unwrap();
    /// # let sum = runtime.block_on(async |cx: Scope| {
    /// let options = SporkOptions { name: "sum".into(), ..SporkOptions::default() };
    /// let sum = cx.spork(options, async |cx: Cx| {
    ///     let (a, b) = (cx.spawn(async |_| 1), cx.spawn(async |_| 2));
    ///     a.await.into_result().unwrap() + b.await.into_result().unwrap()
    /// });
    /// # sum.await.into_result().unwrap() });
    /// # assert_eq!(sum.unwrap(), 3);
    /// ```
    pub fn spork<T, F, Fut>(&self, options: SporkOptions, body: F) -> TaskHandle<T>
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let SporkOptions { name, budget, caps } = options;
        let home = self.region_cell().clone();
        let builder = self.task().name(name.clone()).caps(caps);
        let started = builder.start::<Sporked, _, _>(async move |cx: Cx| {
            let options = RegionOptions {
                name,
                budget,
                ..RegionOptions::default()
            };
            let opened = Opened::new(&cx, options)?;
            let region = opened.scope().id();
            let reported = opened.run(|scope| body(scope.into_cx()), |_| None).await;
            if reported.panic.is_none()
                && let Some(failure) = &reported.report.primary
                && failure.severity != Severity::Cancelled
            {
                home.add_failure(failure.clone());
                let end = ChildEnd {
                    task: failure.task.unwrap_or(cx.task_id()),
                    region,
                    severity: failure.severity,
                    at: failure.at,
                };
                home.react(&end, Some(failure.clone()));
            }
            Ok(reported)
        });
        match started {
            Ok(task) => TaskHandle::new(task),
            Err(refused) => TaskHandle::refuse(refused),
        }
    }
}

/// A task that is the body of a region.
struct Sporked;

impl<T: 'static> Settle<Result<Reported<T>, RegionError>> for Sporked {
    type T = T;
    type E = Infallible;

    fn settle(
        output: Result<Reported<T>, RegionError>,
        asked: impl FnOnce() -> Option<Arc<CancelReason>>,
    ) -> Ended<T, Infallible> {
        let reason = match output {
            Ok(Reported {
                panic: Some(panic), ..
            }) => return Ended::panicked(panic),
            Ok(Reported {
                value: Some(value), ..
            }) => return Ended::Ok(value),
            // The body had to be dropped.
            Ok(Reported { report, .. }) => report.reason,
            Err(refused) => Some(match refused.cancel_reason() {
                Some(reason) => reason.clone(),
                None => CancelReason::new(CancelKind::User).with_message(refused.to_string()),
            }),
        };
        let reason = reason.map(Arc::new).or_else(asked);
        let unknown = || Arc::new(CancelReason::new(CancelKind::ParentCancelled));
        Ended::Cancelled(reason.unwrap_or_else(unknown))
    }
}
