//! What `try_join!` expands to: arms in place inside one child region, of which
//! the first to fail asks the others to stop, and all are awaited.
//!
//! Invariant: when a `try_join!` returns, every arm has returned or panicked by
//! itself, and the region that they shared is closed. Nothing is dropped.

use crate::cx::scope::Opened;
use crate::cx::{Cx, RegionError, Scope, TryRegionError};
use crate::exec::contain;
use crate::exec::region::RegionOptions;
use crate::types::outcome::PanicPayload;
use pin_project::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An arm, then how it ended, then nothing.
#[doc(hidden)]
#[pin_project(project = Projected, project_replace = Replaced)]
pub enum Arm<F: Future> {
    /// Not ready yet.
    Running(#[pin] F),
    /// Ended, and not taken yet.
    Ended(Result<F::Output, PanicPayload>),
    /// Taken.
    Taken,
}

/// An arm for a future.
#[doc(hidden)]
pub fn arm<T, E, F: Future<Output = Result<T, E>>>(future: F) -> Arm<F> {
    Arm::Running(future)
}

/// The first arm that failed.
#[doc(hidden)]
pub struct Verdict<'a> {
    scope: &'a Scope,
    first: Option<usize>,
}

impl<'a> Verdict<'a> {
    /// Nothing has failed in this region yet.
    pub fn new(scope: &'a Scope) -> Self {
        Verdict { scope, first: None }
    }

    /// Polls an arm unless it has ended; tells whether it has.
    pub fn poll<T, E, F>(
        &mut self,
        index: usize,
        mut arm: Pin<&mut Arm<F>>,
        task: &mut Context<'_>,
    ) -> bool
    where
        F: Future<Output = Result<T, E>>,
    {
        let Projected::Running(future) = arm.as_mut().project() else {
            return true;
        };
        let ended = match contain(|| future.poll(task)) {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        let message = match &ended {
            Ok(Ok(_)) => None,
            Ok(Err(_)) => Some(format!("arm {index} returned an error")),
            Err(panic) => Some(format!("arm {index} panicked: {panic}")),
        };
        // The future is dropped here: what it holds is free while others still run.
        drop(arm.project_replace(Arm::Ended(ended)));
        if let Some(message) = message
            && self.first.is_none()
        {
            self.first = Some(index);
            self.scope.fail_fast(message);
        }
        true
    }

    /// What an arm that has ended gave; the error of the first that failed is kept in `error`.
    ///
    /// # Panics
    /// With the arm's panic, if it had one.
    pub fn take<T, E, F>(
        &self,
        index: usize,
        arm: Pin<&mut Arm<F>>,
        error: &mut Option<E>,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, E>>,
    {
        match arm.project_replace(Arm::Taken) {
            Replaced::Ended(Ok(Ok(value))) => Some(value),
            Replaced::Ended(Ok(Err(e))) => {
                if self.first == Some(index) {
                    *error = Some(e);
                }
                None
            }
            Replaced::Ended(Err(panic)) => super::race::raise(&panic),
            Replaced::Running(_) | Replaced::Taken => {
                unreachable!("an arm is taken once, after it has ended")
            }
        }
    }
}

impl fmt::Debug for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdict")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

/// Runs the arms, which `body` holds, in a region of their own.
#[doc(hidden)]
pub async fn run<T, E, F, Fut>(cx: &Cx, body: F) -> Result<T, TryRegionError<E>>
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let options = RegionOptions::named("try_join");
    let opened = Opened::new(cx, options).map_err(TryRegionError::Region)?;
    let reported = opened.run(body, |_| None).await;
    match reported.resume() {
        (Some(Err(e)), _) => Err(TryRegionError::Body(e)),
        (Some(Ok(value)), report) if report.is_ok() => Ok(value),
        (_, report) => Err(TryRegionError::Region(RegionError::of(report))),
    }
}
