//! A future of a tokio library, polled by our worker inside a boundary's context.
//!
//! Invariants:
//! 1. the future is made, polled and dropped inside the runtime's context, since
//!    timers and sockets of tokio look for it in all three;
//! 2. a panic ends the future and nothing else;
//! 3. one poll has tokio's cooperative budget: a loop over resources that are always
//!    ready yields to the worker instead of keeping it;
//! 4. a severed future is dropped at its next poll, which the cut itself causes.

use crate::context::{Current, has_current, set_current};
use crate::cover;
use crate::error::UseError;
use crate::journal::inside_any;
use crate::report::{FutureKind, FutureName};
use crate::seat::{Books, Seat};
use asupersync::{Cx, PanicPayload};
use pin_project::{pin_project, pinned_drop};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A future that runs on our worker inside a boundary's context.
///
/// It may borrow and need not be `Send`. Its output is the future's own, or the reason why there is none.
///
/// # Cancellation
/// Dropping it drops the inner future inside the context, which is how tokio's world cancels: wrap it
/// in `cx.cancellable(..)` to have that done when the task is asked to cancel. A future that is
/// left alone when its boundary closes is dropped after the cooperative budget.
#[pin_project(PinnedDrop)]
#[must_use = "futures do nothing unless polled"]
pub struct Adopted<F: Future> {
    /// Dropped before the seat is left, inside the context.
    #[pin]
    inner: Option<F>,
    seat: Option<Seat>,
    /// Why there is no inner future, when there never was one.
    refused: Option<UseError>,
    cx: Ambient,
}

/// What `current_cx` finds inside.
struct Ambient {
    /// Asked for by the caller.
    chosen: Option<Cx>,
    /// What the boundary was opened with; a context that is already set names the running task better.
    fallback: Option<Cx>,
}

impl Ambient {
    fn set(&self) -> Option<Current> {
        let cx = match &self.chosen {
            Some(chosen) => chosen,
            None => self.fallback.as_ref().filter(|_| !has_current())?,
        };
        Some(set_current(cx.clone()))
    }
}

impl<F: Future> Adopted<F> {
    pub(crate) fn new(
        books: &Arc<Books>,
        fallback: Option<Cx>,
        site: &'static Location<'static>,
        make: impl FnOnce() -> F,
    ) -> Self {
        let cx = Ambient {
            chosen: None,
            fallback,
        };
        let seat = match books.seat(FutureKind::Adopted, site) {
            Ok(seat) => seat,
            Err(closed) => {
                return Adopted {
                    inner: None,
                    seat: None,
                    refused: Some(closed),
                    cx,
                };
            }
        };
        let made = {
            let _frame = seat.books.journal.enter();
            let _context = seat.handle.enter();
            let _current = cx.set();
            catch_unwind(AssertUnwindSafe(make))
        };
        match made {
            Ok(inner) => Adopted {
                inner: Some(inner),
                seat: Some(seat),
                refused: None,
                cx,
            },
            Err(payload) => {
                let refused = panicked(&seat, payload);
                Adopted {
                    inner: None,
                    seat: None,
                    refused: Some(refused),
                    cx,
                }
            }
        }
    }

    /// Gives the future a name for reports; without one it is known by the line that adopted it.
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Self {
        if let Some(seat) = &self.seat {
            seat.name(name.into());
        }
        self
    }

    /// Makes `cx` what [`crate::current_cx`] finds inside. Without it, that is the context of the wrapper
    /// around, or else the one the boundary was opened with.
    pub fn on(mut self, cx: &Cx) -> Self {
        self.cx.chosen = Some(cx.clone());
        self
    }
}

impl<F: Future> Future for Adopted<F> {
    type Output = Result<F::Output, UseError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(refused) = this.refused.take() {
            return Poll::Ready(Err(refused));
        }
        let seat = this
            .seat
            .as_mut()
            .expect("an adopted future is not polled after it is ready");
        if seat.reins().is_some_and(|r| r.poll_severed(task.waker())) {
            let (boundary, future) = (seat.books.name.clone(), seat.future_name());
            leave(this.inner, this.seat);
            return Poll::Ready(Err(UseError::Severed { boundary, future }));
        }
        let future = this
            .inner
            .as_mut()
            .as_pin_mut()
            .expect("a seat has a future until it is left");
        let polled = {
            // Asked before the frame is entered: afterwards every thread is inside something.
            let fresh = !inside_any();
            let _frame = seat.books.journal.enter();
            let _current = this.cx.set();
            poll_in_context(seat, fresh, || future.poll(task))
        };
        let output = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => Err(panicked(seat, payload)),
        };
        seat.finished();
        leave(this.inner, this.seat);
        Poll::Ready(output)
    }
}

#[pinned_drop]
impl<F: Future> PinnedDrop for Adopted<F> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        leave(this.inner, this.seat);
    }
}

impl<F: Future> fmt::Debug for Adopted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let future: Option<FutureName> = self.seat.as_ref().map(Seat::future_name);
        f.debug_struct("Adopted")
            .field("future", &future)
            .finish_non_exhaustive()
    }
}

/// Drops the future inside the context, then gives its seat back.
fn leave<F>(mut inner: Pin<&mut Option<F>>, seat: &mut Option<Seat>) {
    let Some(seat) = seat.take() else { return };
    let _frame = seat.books.journal.enter();
    let _context = seat.handle.enter();
    // A destructor that panics has been written down by the hook, and must not unwind through
    // the owner, who may be unwinding already.
    let _ = catch_unwind(AssertUnwindSafe(|| inner.set(None)));
}

fn panicked(seat: &Seat, payload: Box<dyn Any + Send>) -> UseError {
    UseError::Panicked {
        future: seat.future_name(),
        panic: PanicPayload::from_any(payload),
    }
}

/// Runs one poll inside the runtime's context, with a fresh cooperative budget where that is possible,
/// and catches what it panics with.
///
/// tokio sets the budget in its own entry points only, of which `block_on` is the one that polls
/// on this thread; the future given to it is ready after that one poll, so it never parks. A
/// second effect is wanted too: a `block_on` within finds the thread taken and panics, where it
/// would otherwise block our worker.
///
/// A thread that already belongs to a runtime cannot enter another one; there the budget is that
/// runtime's. `fresh` says that no boundary's code is running around this poll.
///
/// The context is left inside the catch: a future that keeps a guard of its own across an await makes
/// tokio panic there.
fn poll_in_context<R>(
    seat: &Seat,
    fresh: bool,
    poll: impl FnOnce() -> R,
) -> Result<R, Box<dyn Any + Send>> {
    let mut poll = Some(poll);
    if fresh && cover::may_enter() {
        let entry = poll_fn(|_| Poll::Ready(poll.take().map(|poll| poll())));
        let entered = catch_unwind(AssertUnwindSafe(|| seat.handle.block_on(entry)));
        match entered {
            Ok(Some(polled)) => return Ok(polled),
            Err(payload) if poll.is_none() => return Err(payload),
            // The entry was refused, by a panic: a runtime that we know nothing of has this thread.
            _ => {}
        }
    }
    catch_unwind(AssertUnwindSafe(|| {
        let _context = seat.handle.enter();
        let poll = poll
            .take()
            .expect("an entry that was refused did not run the poll");
        poll()
    }))
}
