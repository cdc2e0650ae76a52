//! Reserving a place and sending into it: what the bounded channels have in common.
//!
//! [`bounded`] writes the sending end of one, whose rules are the same in all.

use super::error::{ReserveError, ReserveManyError, SendError, TryReserveError};
use super::places::{Line, Refusal, Room};
use super::waiting::{Wait, Waiting};
use crate::cx::{Cx, Interrupt};
use crate::exec::obligation::Obligation;
use crate::types::obligation::{AbortCause, ObligationKind};
use std::task::{Context, Poll, ready};

/// A channel whose places take values.
pub(super) trait Queue<T>: Room {
    /// Fills a free place, and wakes who can go on. The value comes back if there is none.
    fn push(&self, value: T) -> Result<(), (Refusal, T)>;

    /// Fills a reserved place, and wakes who can go on. The value comes back, and
    /// the place is free, if nobody will ever receive it.
    fn fill(&self, value: T) -> Result<(), T>;
}

/// Fills a reserved place and settles the promise.
pub(super) fn fill<T>(
    queue: &impl Queue<T>,
    promise: Option<Obligation>,
    value: T,
) -> Result<(), SendError<T>> {
    let filled = queue.fill(value);
    if let Some(promise) = promise {
        match &filled {
            Ok(()) => promise.commit(),
            Err(_) => promise.abort(AbortCause::Error),
        }
    }
    filled.map_err(SendError::Closed)
}

/// Gives a reserved place back and settles the promise; without a cause the
/// promise itself tells a drop from a cancellation.
pub(super) fn release(room: &impl Room, promise: Obligation, cause: Option<AbortCause>) {
    // First the next in line: settling may panic in strict mode.
    room.release(1);
    match cause {
        Some(cause) => promise.abort(cause),
        None => drop(promise),
    }
}

/// A reserved place and the promise to use it: what every permit is.
#[must_use]
pub(super) struct Reserved<'a, R: Room> {
    pub(super) room: &'a R,
    /// Taken when the place is used or given back.
    promise: Option<Obligation>,
}

impl<'a, R: Room> Reserved<'a, R> {
    /// For a place that was reserved just now.
    pub(super) fn new(room: &'a R, cx: &Cx) -> Self {
        Reserved {
            room,
            promise: Some(cx.promise(ObligationKind::SendPermit)),
        }
    }

    /// Reserves a place if there is one.
    pub(super) fn free(room: &'a R, cx: &Cx) -> Result<Self, TryReserveError> {
        room.places(|p| p.reserve(1))?;
        Ok(Reserved::new(room, cx))
    }

    pub(super) fn send<T>(mut self, value: T) -> Result<(), SendError<T>>
    where
        R: Queue<T>,
    {
        fill(self.room, self.promise.take(), value)
    }

    pub(super) fn abort(mut self) {
        release(self.room, self.take(), Some(AbortCause::Explicit));
    }

    pub(super) fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }

    /// The promise alone: somebody else looks after the place from now on.
    pub(super) fn into_promise(mut self) -> Obligation {
        self.take()
    }

    fn take(&mut self) -> Obligation {
        self.promise
            .take()
            .expect("a permit holds its promise until it is used")
    }
}

impl<R: Room> Drop for Reserved<'_, R> {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            release(self.room, promise, None);
        }
    }
}

/// Several reserved places, which are taken out one by one.
///
/// One promise stands for all that are left, and every place that is taken out has
/// one of its own: the last takes this one along. So who reserves many needs no
/// memory for many promises, and as long as there is a place to use or to give
/// back, there is a promise of it.
#[must_use]
pub(super) struct ReservedMany<'a, R: Room> {
    pub(super) room: &'a R,
    left: usize,
    /// There while a place is left.
    promise: Option<Obligation>,
}

impl<'a, R: Room> ReservedMany<'a, R> {
    /// For places that were reserved just now.
    pub(super) fn new(room: &'a R, places: usize, cx: &Cx) -> Self {
        ReservedMany {
            room,
            left: places,
            promise: (places > 0).then(|| cx.promise(ObligationKind::SendPermit)),
        }
    }

    /// How many are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Takes one out.
    pub(super) fn take(&mut self) -> Option<Reserved<'a, R>> {
        let promise = if self.left > 1 {
            let promise = self.promise.as_ref();
            promise.map(|promise| promise.another(ObligationKind::SendPermit))
        } else {
            self.promise.take()
        };
        let room = self.room;
        self.left -= usize::from(promise.is_some());
        promise.map(|promise| Reserved {
            room,
            promise: Some(promise),
        })
    }

    pub(super) fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }
}

impl<R: Room> Drop for ReservedMany<'_, R> {
    /// What is left over was never taken out to send something: leaving it is no
    /// more than saying so.
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            self.room.release(self.left);
            promise.let_go();
        }
    }
}

/// Waiting for places: the future of `reserve` in all bounded channels.
pub(super) struct Reserving<'a, R: Room>(Waiting<'a, Line<'a, R>>);

impl<'a, R: Room> Reserving<'a, R> {
    /// Waits for one place.
    pub(super) fn new(room: &'a R, cx: &'a Cx) -> Self {
        Reserving::many(room, 1, cx)
    }

    /// Waits for several.
    pub(super) fn many(room: &'a R, wanted: usize, cx: &'a Cx) -> Self {
        Reserving(Waiting::new(cx, Line::new(room, wanted)))
    }

    pub(super) fn poll(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Result<Reserved<'a, R>, ReserveError>> {
        let reserved = self.poll_places(task);
        reserved.map_ok(|()| Reserved::new(self.0.wait.room, self.0.cx))
    }

    /// As [`Reserving::poll`], for all that it waits for.
    ///
    /// Who wants more than there are would wait for ever, and is told at once.
    pub(super) fn poll_many(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Result<ReservedMany<'a, R>, ReserveManyError>> {
        let Line { room, wanted, .. } = self.0.wait;
        if !self.0.wait.is_waiting() {
            room.places(|p| p.can_ever_give(wanted))?;
        }
        let reserved = self.poll_places(task);
        reserved.map(|reserved| {
            reserved?;
            Ok(ReservedMany::new(room, wanted, self.0.cx))
        })
    }

    /// The places are counted as reserved when it is ready.
    #[inline]
    fn poll_places(&mut self, task: &mut Context<'_>) -> Poll<Result<(), ReserveError>> {
        let reserved = self.0.poll(task);
        if reserved.is_pending() {
            self.0.wait.hasten(self.0.cx);
        }
        reserved.map(|reserved| match reserved {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ReserveError::Closed),
            Err(cancelled) => Err(ReserveError::Cancelled(cancelled)),
        })
    }
}

/// A value on its way in: the future of `send` in all bounded channels.
///
/// With room at once nothing is reserved: one lock, and no promise to record,
/// since nothing can come between the reservation and the commit.
pub(super) struct Sending<'a, T, Q: Queue<T>> {
    line: Line<'a, Q>,
    cx: &'a Cx,
    interrupt: Interrupt,
    value: Option<T>,
}

impl<'a, T, Q: Queue<T>> Sending<'a, T, Q> {
    pub(super) fn new(queue: &'a Q, cx: &'a Cx, value: T) -> Self {
        Sending {
            line: Line::new(queue, 1),
            cx,
            interrupt: Interrupt::default(),
            value: Some(value),
        }
    }

    /// # Panics
    /// When polled after completion.
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let interrupted = ready!(self.interrupt.poll(self.cx, task));
        let value = self
            .value
            .take()
            .expect("a completed send is not polled again");
        if let Err(cancelled) = interrupted {
            self.line.withdraw();
            return Poll::Ready(Err(SendError::Cancelled(value, cancelled)));
        }
        let queue = self.line.room;
        let value = if self.line.is_waiting() {
            value
        } else {
            match queue.push(value) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err((Refusal::Closed, value)) => {
                    return Poll::Ready(Err(SendError::Closed(value)));
                }
                Err((Refusal::Full, value)) => value,
            }
        };
        match self.line.poll_full(task) {
            Poll::Ready(Ok(())) => Poll::Ready(fill(queue, None, value)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(SendError::Closed(value))),
            Poll::Pending => {
                self.value = Some(value);
                self.line.hasten(self.cx);
                Poll::Pending
            }
        }
    }
}

impl<T, Q: Queue<T>> Drop for Sending<'_, T, Q> {
    fn drop(&mut self) {
        self.line.withdraw();
    }
}

/// The sending end of a bounded channel: what a `Sender<T>` whose `shared` is a
/// `Shared<T>` can do, its permit, and the futures of both.
macro_rules! bounded {
    () => {
        impl<T> Sender<T> {
            /// Waits for a place and reserves it.
            ///
            /// # Cancellation
            /// Safe: either a place is reserved and the [`Permit`] returned, or nothing
            /// happened; a place granted in the meantime goes to the next in line.
            ///
            /// # Errors
            /// [`ReserveError::Closed`] when the receiving end is gone or has closed,
            /// [`ReserveError::Cancelled`] when the task was asked to cancel.
            pub fn reserve<'a>(&'a self, cx: &'a Cx) -> Reserve<'a, T> {
                Reserve(Reserving::new(&*self.shared, cx))
            }

            /// Reserves a place if there is one.
            ///
            /// # Errors
            /// [`TryReserveError`] says whether to come back later.
            pub fn try_reserve(&self, cx: &Cx) -> Result<Permit<'_, T>, TryReserveError> {
                Reserved::free(&*self.shared, cx).map(Permit)
            }

            /// Waits for a place and sends.
            ///
            /// # Cancellation
            /// Lossy: asked to cancel, it hands the value back in the error. Dropped half-way,
            /// it drops the value: in a `select!` reserve first and send then.
            ///
            /// # Errors
            /// [`SendError`], always with the value.
            pub fn send<'a>(&'a self, cx: &'a Cx, value: T) -> SendValue<'a, T> {
                SendValue(Sending::new(&*self.shared, cx, value))
            }

            /// Sends if there is a place.
            ///
            /// # Errors
            /// [`TrySendError`], always with the value.
            pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
                self.shared.push(value).map_err(TrySendError::from)
            }

            /// Waits until nothing can be sent any more.
            ///
            /// # Cancellation
            /// Safe: it only looks.
            ///
            /// # Errors
            /// When the task was asked to cancel.
            pub fn closed<'a>(&'a self, cx: &'a Cx) -> Closed<'a, T> {
                Closed(Waiting::new(cx, Watch::new(&*self.shared)))
            }
        }

        /// A reserved place: what is sent into it neither waits nor can be cancelled.
        ///
        /// Dropping it gives the place to the next in line.
        #[must_use = "a permit that is dropped sends nothing"]
        pub struct Permit<'a, T>(pub(super) Reserved<'a, Shared<T>>);

        impl<T> Permit<'_, T> {
            /// Sends the value.
            ///
            /// # Errors
            /// [`SendError::Closed`] with the value, when the receiving end is gone.
            pub fn send(self, value: T) -> Result<(), SendError<T>> {
                self.0.send(value)
            }

            /// Gives the place back.
            pub fn abort(self) {
                self.0.abort();
            }

            /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
            pub fn transfer(self, cx: &Cx) -> Self {
                Permit(self.0.transfer(cx))
            }
        }

        impl<T> std::fmt::Debug for Permit<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Permit")
                    .field("channel", &self.0.room.statistics())
                    .finish()
            }
        }

        /// Future of [`Sender::reserve`].
        #[must_use = "futures do nothing unless awaited"]
        pub struct Reserve<'a, T>(Reserving<'a, Shared<T>>);

        impl<'a, T> Future for Reserve<'a, T> {
            type Output = Result<Permit<'a, T>, ReserveError>;

            fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
                self.get_mut().0.poll(task).map_ok(Permit)
            }
        }

        impl<T> DropSafe for Reserve<'_, T> {}

        /// Future of [`Sender::send`].
        #[must_use = "futures do nothing unless awaited"]
        pub struct SendValue<'a, T>(Sending<'a, T, Shared<T>>);

        // The value is only ever moved, never pinned.
        impl<T> Unpin for SendValue<'_, T> {}

        impl<T> Future for SendValue<'_, T> {
            type Output = Result<(), SendError<T>>;

            /// # Panics
            /// When polled after completion.
            fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
                self.get_mut().0.poll(task)
            }
        }

        closed!(Watch<'a, Shared<T>>);
    };
}
pub(super) use bounded;
