//! The sending end: waiting for room, and sending.

use super::super::error::{ReserveError, SendError, TryReserveError, TrySendError};
use super::super::outside;
use super::super::places::{Line, Refusal, Watch};
use super::super::sending::{Queue, Reserved, Reserving, Sending, fill};
use super::super::waiting::{Wait, Waiting};
use super::permit::{OwnedPermit, Permit, Reserve};
use super::shared::Shared;
use crate::cx::{Cx, DropSafe};
use crate::exec::task::TaskRef;
use crate::types::cancel::Cancelled;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The sending end; clone it for further senders.
///
/// When the last one is dropped, the receiver gets what is queued and then
/// [`RecvError::Closed`].
pub struct Sender<T> {
    pub(super) shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Waits for room and reserves it.
    ///
    /// # Cancellation
    /// Safe: either a place is reserved and the [`Permit`] returned, or nothing
    /// happened; a place granted in the meantime goes to the next in line.
    ///
    /// # Errors
    /// [`ReserveError::Closed`] when the receiver is gone or has closed,
    /// [`ReserveError::Cancelled`] when the task was asked to cancel.
    pub fn reserve<'a>(&'a self, cx: &'a Cx) -> Reserve<'a, T> {
        Reserve(Reserving::new(&*self.shared, cx))
    }

    /// Like [`Sender::reserve`], for a permit that outlives the borrow: it keeps
    /// this sender, and gives it back when it is used.
    ///
    /// # Cancellation
    /// Lossy: no place is lost, but the sender is. Clone it before if it is still needed.
    ///
    /// # Errors
    /// As [`Sender::reserve`].
    pub async fn reserve_owned(self, cx: &Cx) -> Result<OwnedPermit<T>, ReserveError> {
        let promise = self.reserve(cx).await?.0.into_promise();
        Ok(OwnedPermit::new(self, promise))
    }

    /// Reserves a place if there is one.
    ///
    /// # Errors
    /// [`TryReserveError`] says whether to come back later.
    pub fn try_reserve(&self, cx: &Cx) -> Result<Permit<'_, T>, TryReserveError> {
        Reserved::free(&*self.shared, cx).map(Permit)
    }

    /// Waits for room and sends.
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

    /// Sends if there is room.
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

    /// How many values fit.
    pub fn capacity(&self) -> usize {
        self.shared.lock().places.capacity()
    }

    /// The task that receives, as far as is known.
    pub(in super::super) fn consumer(&self) -> Option<TaskRef> {
        self.shared.consumer.task()
    }

    /// A sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender {
            shared: self.shared.clone(),
        }
    }

    /// Sends on a thread that runs no task, which blocks until there is room. In
    /// the lab, whose world is one thread, nobody would be left to receive.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value.
    ///
    /// # Panics
    /// Inside of a task: it would block its worker.
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        let value = match self.shared.push(value) {
            Ok(()) => return Ok(()),
            Err((Refusal::Closed, value)) => return Err(SendError::Closed(value)),
            Err((Refusal::Full, value)) => value,
        };
        let mut line = Line::new(&*self.shared);
        match outside::block(|task| line.poll(task)) {
            Ok(()) => fill(&*self.shared, None, value),
            Err(_) => Err(SendError::Closed(value)),
        }
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

super::accessors!(Sender);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.join();
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, "Sender", &self.shared)
    }
}

/// A sender that does not keep the channel open: [`WeakSender::upgrade`] it to send.
pub struct WeakSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, unless the last one has gone.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.shared.senders.revive().then(|| Sender {
            shared: self.shared.clone(),
        })
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        WeakSender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender")
            .field("channel", &self.shared.statistics())
            .finish()
    }
}

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
