//! A future that runs on a boundary's own runtime.
//!
//! It keeps tokio's cooperative budget and the rules of its scheduler, which makes it the better way
//! for clients that do much I/O. Invariants:
//!
//! 1. the future keeps its seat until its destructor has run, on whichever thread;
//! 2. dropping the handle asks the runtime to abort it: nothing runs for a result that
//!    nobody can receive.

use crate::context::{WithCx, with_cx};
use crate::error::UseError;
use crate::report::{FutureKind, FutureName};
use crate::seat::{Books, Seat};
use asupersync::{Cancelled, Cx, PanicPayload};
use pin_project::pin_project;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinError, JoinHandle};

/// Where tokio believes delegated futures to be spawned.
pub(crate) const FILE: &str = file!();

/// The result to come of a future that runs on a boundary's runtime.
///
/// # Cancellation
/// Dropping it aborts the future at its next await. [`Delegated::join`] aborts it when the task
/// is asked to cancel, and waits until it is gone.
#[must_use = "dropping it aborts the delegated future"]
pub struct Delegated<T> {
    state: Result<Running<T>, Option<UseError>>,
}

struct Running<T> {
    task: JoinHandle<T>,
    boundary: Arc<str>,
    future: FutureName,
    seat: std::sync::Weak<Seat>,
}

impl<T: Send + 'static> Delegated<T> {
    pub(crate) fn new(
        books: &Arc<Books>,
        cx: Option<Cx>,
        site: &'static Location<'static>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let seat = match books.seat(FutureKind::Delegated, site) {
            Ok(seat) => Arc::new(seat),
            Err(closed) => {
                return Delegated {
                    state: Err(Some(closed)),
                };
            }
        };
        let (handle, name, watch) = (
            seat.handle.clone(),
            seat.future_name(),
            Arc::downgrade(&seat),
        );
        let task = handle.spawn(Seated {
            future: Ambient::new(cx, future),
            _seat: seat,
        });
        let boundary = books.name.clone();
        Delegated {
            state: Ok(Running {
                task,
                boundary,
                future: name,
                seat: watch,
            }),
        }
    }

    /// Gives the future a name for reports; without one it is known by the line that delegated it.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        if let Ok(running) = &mut self.state {
            let name = name.into();
            if let Some(seat) = running.seat.upgrade() {
                seat.name(name.clone());
            }
            running.future.name = Some(name);
        }
        self
    }

    /// Waits for the result as `cx`: when the task is asked to cancel, the future is aborted and the wait
    /// goes on until it is gone.
    ///
    /// # Cancellation
    /// The result is lost, unless the future ended before the abort reached it: a value wins.
    ///
    /// # Errors
    /// Those of waiting, and [`UseError::Cancelled`].
    pub async fn join(mut self, cx: &Cx) -> Result<T, UseError> {
        let cancelled: Cancelled = match cx.cancellable(&mut self).await {
            Ok(result) => return result,
            Err(cancelled) => cancelled,
        };
        self.abort();
        match self.await {
            Err(UseError::Severed { .. }) => Err(UseError::Cancelled(cancelled)),
            ended => ended,
        }
    }

    /// Asks the runtime to drop the future at its next await.
    pub fn abort(&self) {
        if let Ok(running) = &self.state {
            running.task.abort();
        }
    }
}

impl<T> Future for Delegated<T> {
    type Output = Result<T, UseError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            Ok(running) => {
                let joined = ready!(Pin::new(&mut running.task).poll(task));
                Poll::Ready(joined.map_err(|e| running.failed(e)))
            }
            Err(refused) => Poll::Ready(Err(refused
                .take()
                .expect("a delegated future is not polled after it is ready"))),
        }
    }
}

impl<T> Running<T> {
    fn failed(&self, error: JoinError) -> UseError {
        let (boundary, future) = (self.boundary.clone(), self.future.clone());
        match error.try_into_panic() {
            Ok(payload) => UseError::Panicked {
                future,
                panic: PanicPayload::from_any(payload),
            },
            Err(_) => UseError::Severed { boundary, future },
        }
    }
}

impl<T> Drop for Delegated<T> {
    fn drop(&mut self) {
        if let Ok(running) = &self.state {
            running.task.abort();
        }
    }
}

impl<T> fmt::Debug for Delegated<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let future = self.state.as_ref().ok().map(|running| &running.future);
        f.debug_struct("Delegated")
            .field("future", &future)
            .finish_non_exhaustive()
    }
}

/// The future together with its seat; fields are dropped in this order.
#[pin_project]
struct Seated<F> {
    #[pin]
    future: Ambient<F>,
    _seat: Arc<Seat>,
}

impl<F: Future> Future for Seated<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(task)
    }
}

/// With or without a context for `current_cx`.
#[pin_project(project = AmbientProjection)]
enum Ambient<F> {
    With(#[pin] WithCx<F>),
    Without(#[pin] F),
}

impl<F: Future> Ambient<F> {
    fn new(cx: Option<Cx>, future: F) -> Self {
        match cx {
            Some(cx) => Ambient::With(with_cx(&cx, future)),
            None => Ambient::Without(future),
        }
    }
}

impl<F: Future> Future for Ambient<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            AmbientProjection::With(future) => future.poll(task),
            AmbientProjection::Without(future) => future.poll(task),
        }
    }
}
