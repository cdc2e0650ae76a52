//! Doing something only until a deadline: by draining it, or by dropping it.

use crate::cx::scope::Opened;
use crate::cx::{Cx, DropSafe, RegionError, Scope};
use crate::exec::region::RegionOptions;
use crate::time::Sleep;
use crate::types::budget::Budget;
use crate::types::cancel::Cancelled;
use crate::types::caps::{Capability, CapabilityDenied};
use crate::types::error::{Error, ErrorKind};
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Why a timed operation gave no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TimeoutError {
    /// The time was up, and the operation stopped because of it.
    #[error("deadline has elapsed")]
    Elapsed,
    /// The waiter itself was asked to cancel.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The context may not wait for the clock.
    #[error(transparent)]
    Denied(#[from] CapabilityDenied),
    /// Something else in the operation's region went wrong.
    #[error(transparent)]
    Region(RegionError),
}

impl From<TimeoutError> for std::io::Error {
    fn from(e: TimeoutError) -> Self {
        match e {
            TimeoutError::Elapsed => std::io::Error::new(std::io::ErrorKind::TimedOut, e),
            TimeoutError::Denied(denied) => denied.into(),
            other => std::io::Error::other(other),
        }
    }
}

impl From<TimeoutError> for Error {
    fn from(e: TimeoutError) -> Self {
        match e {
            TimeoutError::Elapsed => Error::new(ErrorKind::DeadlineExceeded, e.to_string()),
            TimeoutError::Cancelled(c) => c.into(),
            TimeoutError::Denied(denied) => denied.into(),
            TimeoutError::Region(e) => e.into(),
        }
    }
}

impl Cx {
    /// Runs `body` in a region that is cancelled after `d`, and returns once
    /// that region is quiescent: nothing is dropped half-way.
    ///
    /// Returns later than `d` by what the body's cleanup takes. A value that
    /// nothing of this affected, because neither the body nor a child of the
    /// region ended because of it, is returned even if the time was just up.
    ///
    /// *Cancellation.* Lossy: asked to cancel, the body hears of it and is awaited.
    /// Dropped, its region is cancelled, its parent awaits it, and its value is lost.
    ///
    /// # Errors
    /// [`TimeoutError`].
    pub async fn timeout<T, F, Fut>(&self, d: Duration, body: F) -> Result<T, TimeoutError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        self.require(Capability::Time)?;
        let options = RegionOptions {
            budget: Budget::new().with_timeout(self.now(), d),
            ..RegionOptions::named("timeout")
        };
        let opened = Opened::new(self, options).map_err(|e| match e {
            RegionError::Cancelled(c) => TimeoutError::Cancelled(c),
            other => TimeoutError::Region(other),
        })?;
        let watch = opened.watch();
        let reported = opened.run(body, |_| None).await;
        let affected = watch.observed() || reported.value.is_none() || !reported.report.is_ok();
        if watch.timed_out() && affected && reported.panic.is_none() {
            return Err(TimeoutError::Elapsed);
        }
        reported.into_result().map_err(TimeoutError::Region)
    }

    /// Polls `fut` for at most `d`, then drops it.
    ///
    /// *Cancellation.* Lossy: ends early and drops `fut`, with whatever that loses.
    /// Use it for futures that are safe to drop, and [`Cx::timeout`] for others.
    ///
    /// # Errors
    /// [`TimeoutError::Elapsed`], [`TimeoutError::Cancelled`] or [`TimeoutError::Denied`].
    pub fn timeout_drop<F: Future>(&self, d: Duration, fut: F) -> TimeoutDrop<'_, F> {
        TimeoutDrop {
            fut,
            sleep: self.sleep(d),
        }
    }
}

/// Future of [`Cx::timeout_drop`].
#[derive(Debug)]
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct TimeoutDrop<'a, F> {
    #[pin]
    fut: F,
    sleep: Sleep<'a>,
}

impl<F: Future> Future for TimeoutDrop<'_, F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.fut.poll(task) {
            return Poll::Ready(Ok(value));
        }
        match std::task::ready!(Pin::new(this.sleep).poll(task)) {
            Ok(()) => Poll::Ready(Err(TimeoutError::Elapsed)),
            Err(cancelled) => Poll::Ready(Err(match cancelled.denied() {
                Some(denied) => TimeoutError::Denied(denied),
                None => TimeoutError::Cancelled(cancelled),
            })),
        }
    }
}

impl<F: DropSafe> DropSafe for TimeoutDrop<'_, F> {}
