//! So many at a time, so many in line, and no more.
//!
//! Source: Nygard, "Release It!", 2007, "Bulkheads": what one dependency takes
//! away cannot sink the rest.

use super::call;
use crate::cx::{Cx, RegionError, Scope};
use crate::sync::{AcquireError, Semaphore, SemaphorePermit};
use crate::types::cancel::Cancelled;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why a bulkhead gave no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BulkheadError {
    /// As many run, and as many wait, as may: try later, or elsewhere.
    #[error("{running} calls run and {waiting} wait, and no more may")]
    Full {
        /// How many may run.
        running: usize,
        /// How many may wait.
        waiting: usize,
    },
    /// The caller was asked to cancel while it waited.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Something in the region of the call went wrong.
    #[error(transparent)]
    Region(RegionError),
}

/// How busy a bulkhead is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BulkheadStatistics {
    /// Calls that run.
    pub running: usize,
    /// Calls in line.
    pub waiting: usize,
}

/// Lets so many calls run at one time, so many more wait in line, and refuses
/// the rest at once. Share it by reference or in an `Arc`.
///
/// ```
/// use asupersync::combine::Bulkhead;
/// # use asupersync::{LabConfig, LabRuntime, Scope};
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let bulkhead = Bulkhead::new(2, 10);
/// let answer = bulkhead.run(&cx, async |_scope| 42).await.unwrap();
/// assert_eq!(answer, 42);
/// # });
/// ```
#[derive(Debug)]
pub struct Bulkhead {
    places: Semaphore,
    running: usize,
    waiting: usize,
    in_line: AtomicUsize,
}

impl Bulkhead {
    /// Room for `running` calls at one time, and for `waiting` more in line.
    pub const fn new(running: usize, waiting: usize) -> Self {
        Bulkhead {
            places: Semaphore::new(running),
            running,
            waiting,
            in_line: AtomicUsize::new(0),
        }
    }

    /// Runs `body` in a region of its own, when there is room.
    ///
    /// # Cancellation
    /// A request ends the wait, and gives the place in line back; it reaches a
    /// body that runs, which is drained.
    ///
    /// # Errors
    /// [`BulkheadError`].
    ///
    /// # Panics
    /// With the body's panic.
    pub async fn run<T, F, Fut>(&self, cx: &Cx, body: F) -> Result<T, BulkheadError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        cx.checkpoint()?;
        let _place = self.enter(cx).await?;
        let opened = call::open(cx, "bulkhead", BulkheadError::Region)?;
        let reported = opened.run(body, |_| None).await;
        reported.into_result().map_err(BulkheadError::Region)
    }

    /// How busy it is.
    pub fn statistics(&self) -> BulkheadStatistics {
        BulkheadStatistics {
            running: self.running - self.places.available_permits().min(self.running),
            // One that finds the line too long stands in it for a moment.
            waiting: self.in_line.load(Ordering::Relaxed).min(self.waiting),
        }
    }

    async fn enter<'a>(&'a self, cx: &'a Cx) -> Result<SemaphorePermit<'a>, BulkheadError> {
        if let Ok(place) = self.places.try_acquire(cx, 1) {
            return Ok(place);
        }
        let _line = Line::join(self)?;
        match self.places.acquire(cx, 1).await {
            Ok(place) => Ok(place),
            Err(AcquireError::Cancelled(cancelled)) => Err(cancelled.into()),
            Err(AcquireError::Closed) => unreachable!("nobody closes it"),
        }
    }
}

/// A place in line; given back by its drop.
struct Line<'a>(&'a Bulkhead);

impl<'a> Line<'a> {
    fn join(bulkhead: &'a Bulkhead) -> Result<Self, BulkheadError> {
        let line = Line(bulkhead);
        if bulkhead.in_line.fetch_add(1, Ordering::Relaxed) >= bulkhead.waiting {
            return Err(BulkheadError::Full {
                running: bulkhead.running,
                waiting: bulkhead.waiting,
            });
        }
        Ok(line)
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.0.in_line.fetch_sub(1, Ordering::Relaxed);
    }
}
