//! The sending end of a queue with acknowledgement.

use super::super::places::Watch;
use super::super::sending::{Queue, Reserved, Reserving, Sending};
use super::super::waiting::Waiting;
use super::{
    DeadLetter, ReserveError, SendError, Shared, State, Statistics, TryReserveError, TrySendError,
};
use crate::cx::{Cx, DropSafe};
use crate::exec::lock;
use crate::types::cancel::Cancelled;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The sending end; clone it for further senders.
///
/// When the last one is dropped, receivers get what is there, and
/// [`super::RecvError::Closed`] once all of it was dealt with.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Sender { shared }
    }

    /// Waits for a place and reserves it.
    ///
    /// # Cancellation
    /// Safe: either a place is reserved and the [`Permit`] returned, or nothing
    /// happened; a place granted in the meantime goes to the next in line.
    ///
    /// # Errors
    /// [`ReserveError::Closed`] when the receivers are gone or have closed,
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

    /// Whether nothing can be sent any more: the receivers are gone or have closed.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.state).places.is_closed()
    }

    /// Takes the dead letters that are there, oldest first; their places are free then.
    pub fn dead_letters(&self) -> impl ExactSizeIterator<Item = DeadLetter<T>> + use<T> {
        self.shared.take_dead().into_iter()
    }

    /// How full the queue is.
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }

    /// Whether both send into the same queue.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.join();
        Sender::new(self.shared.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.leave() {
            self.shared.apply(State::drop_senders);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("queue", &self.statistics())
            .finish()
    }
}

/// A reserved place: what is sent into it neither waits nor can be cancelled.
///
/// Dropping it gives the place to the next in line.
#[must_use = "a permit that is dropped sends nothing"]
pub struct Permit<'a, T>(Reserved<'a, Shared<T>>);

impl<T> Permit<'_, T> {
    /// Sends the value.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receivers are gone.
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

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("queue", &self.0.room.statistics())
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

/// Future of [`Sender::closed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a, T>(Waiting<'a, Watch<'a, Shared<T>>>);

impl<T> Future for Closed<'_, T> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task)
    }
}

impl<T> DropSafe for Closed<'_, T> {}
