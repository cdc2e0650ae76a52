//! What the combinators that run arms as tasks share: start, await the next
//! end, ask the rest to stop, and go only when everybody has ended.
//!
//! Invariants:
//!
//! 1. a heat runs in a region of its own, so a request or a drop from outside
//!    cancels and drains its arms;
//! 2. [`Heat::finish`] returns when every arm has ended and its region is
//!    closed; the value of an arm that had ended by then is dropped, not lost
//!    half-way;
//! 3. the panic of any arm is raised again, after all arms have ended.

use super::race::{Arm, Course, Ended, enter, raise, refusal};
use crate::cx::scope::Opened;
use crate::cx::{Cx, Scope};
use crate::exec::handle::TaskHandle;
use crate::exec::region::RegionOptions;
use crate::types::cancel::{CancelKind, CancelReason, Cancelled};
use crate::types::outcome::{Outcome, PanicPayload};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Why arms did not give what was asked of them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ArmsError<E> {
    /// So many failed that the rest could not make up for it.
    #[error("{} of {arms} arms failed, and {needed} had to succeed", .failures.len())]
    Failed {
        /// How many had to succeed.
        needed: usize,
        /// How many there were.
        arms: usize,
        /// The failures in the order in which they came, with the arm's index.
        failures: Vec<(usize, E)>,
    },
    /// The caller was asked to cancel before it was decided.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Arms under way.
pub(super) struct Heat<T> {
    scope: Scope,
    course: Course,
    running: Vec<(usize, TaskHandle<Ended<T>>)>,
    panic: Option<PanicPayload>,
}

impl<T: Send + 'static> Heat<T> {
    /// Runs `body` with a heat in a region of that name.
    pub(super) async fn run<R>(
        cx: &Cx,
        name: &'static str,
        body: impl AsyncFnOnce(&mut Heat<T>) -> R,
    ) -> Result<R, Cancelled> {
        let opened = Opened::new(cx, RegionOptions::named(name)).map_err(refusal)?;
        let course = Course::begin(cx);
        let body = async move |scope: Scope| {
            let mut heat = Heat {
                scope,
                course,
                running: Vec::new(),
                panic: None,
            };
            let value = body(&mut heat).await;
            heat.finish().await;
            value
        };
        let reported = opened.run(body, |_| None).await;
        course.end(cx);
        if let Some(panic) = &reported.panic {
            raise(panic);
        }
        reported.value.ok_or_else(|| {
            let reason = cx.cancel_reason().or(reported.report.reason);
            let reason = reason.unwrap_or_else(|| CancelReason::new(CancelKind::ParentCancelled));
            Cancelled::new(Arc::new(reason))
        })
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Starts an arm as a task.
    pub(super) fn start(&mut self, index: usize, arm: Arm<T>) {
        let handle = enter(&self.scope, &self.course, arm);
        self.running.push((index, handle));
    }

    /// The next arm to end, and what it returned; a tie goes to the one started first.
    ///
    /// `None` when there is none under way. `Err` when an arm was stopped before
    /// it could return: the caller was asked to cancel, or an arm panicked.
    pub(super) async fn next(&mut self) -> Option<Result<(usize, T), Cancelled>> {
        poll_fn(|task| self.poll_next(task)).await
    }

    pub(super) fn poll_next(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<(usize, T), Cancelled>>> {
        if self.running.is_empty() {
            return Poll::Ready(None);
        }
        let ended = self.running.iter_mut().enumerate().find_map(|(at, arm)| {
            match Pin::new(&mut arm.1).poll(task) {
                Poll::Ready(outcome) => Some((at, outcome)),
                Poll::Pending => None,
            }
        });
        let Some((at, outcome)) = ended else {
            return Poll::Pending;
        };
        let (index, _) = self.running.remove(at);
        Poll::Ready(Some(self.value_of(outcome).map(|value| (index, value))))
    }

    /// What an arm that has ended returned.
    fn value_of(&mut self, outcome: Outcome<Ended<T>>) -> Result<T, Cancelled> {
        let (panic, reason) = match outcome {
            Outcome::Ok(Ended::Closed { mut reported, .. }) => match reported.value.take() {
                Some(value) => return Ok(value),
                None => (reported.panic, reported.report.reason),
            },
            Outcome::Ok(Ended::Refused(cancelled)) => return Err(cancelled),
            Outcome::Ok(Ended::Needless) => (None, None),
            Outcome::Cancelled(reason) => (None, Some(reason)),
            Outcome::Err(never) => match never {},
            Outcome::Panicked(panic) => (Some(panic), None),
        };
        let reason = reason
            .or_else(|| self.scope.cancel_reason())
            .unwrap_or_else(|| {
                CancelReason::new(CancelKind::FailFast).with_message("an arm ended without a value")
            });
        if let Some(panic) = panic {
            self.panic.get_or_insert(panic);
        }
        Err(Cancelled::new(Arc::new(reason)))
    }

    /// Asks every arm that is left to stop, and awaits them.
    async fn finish(mut self) {
        for (_, handle) in &self.running {
            handle.cancel(CancelKind::RaceLost);
        }
        while self.next().await.is_some() {}
        if let Some(panic) = &self.panic {
            raise(panic);
        }
    }
}
