//! A channel without a bound, for the few places where a sender cannot wait and the rate is
//! bounded by something else: it takes a sentence that says by what.

use super::super::error::{RecvError, SendError, TryRecvError};
use super::shared::{Receiving, Shared};
use super::state::Popped;
use crate::cx::{Cx, DropSafe};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// More than fits into memory, and such that no sum of counts overflows.
const UNBOUNDED: usize = usize::MAX / 2;

/// A channel whose senders never wait. `reason` says what bounds the number of
/// values instead; it appears in debug output.
pub fn unbounded_channel<T>(reason: &'static str) -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let shared = Shared::new(UNBOUNDED);
    (
        UnboundedSender {
            shared: shared.clone(),
            reason,
        },
        UnboundedReceiver { shared, reason },
    )
}

/// The sending end of an unbounded channel; clone it for further senders.
pub struct UnboundedSender<T> {
    shared: Arc<Shared<T>>,
    reason: &'static str,
}

impl<T> UnboundedSender<T> {
    /// Sends, without waiting.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone or has closed.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let pushed = self.shared.lock().push(value);
        match pushed {
            Ok(after) => {
                after.run();
                Ok(())
            }
            Err((_, value)) => Err(SendError::Closed(value)),
        }
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }

    /// How many values are queued.
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        UnboundedSender {
            shared: self.shared.clone(),
            reason: self.reason,
        }
    }
}

impl<T> Drop for UnboundedSender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender")
            .field("reason", &self.reason)
            .field("queued", &self.len())
            .finish()
    }
}

/// The receiving end of an unbounded channel.
///
/// Dropping it drops what is queued.
pub struct UnboundedReceiver<T> {
    shared: Arc<Shared<T>>,
    reason: &'static str,
}

impl<T> UnboundedReceiver<T> {
    /// Waits for the next value.
    ///
    /// # Cancellation
    /// Safe: either a value is returned, or all values stay queued.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when everything was received and nothing more will
    /// come, [`RecvError::Cancelled`] when the task was asked to cancel.
    pub fn recv<'a>(&'a mut self, cx: &'a Cx) -> UnboundedRecv<'a, T> {
        UnboundedRecv(Receiving::new(&self.shared, cx))
    }

    /// Takes the next value if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether to come back later.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.shared.pop() {
            Popped::Value(value, _) => Ok(value),
            Popped::Empty | Popped::NeedsWaker => Err(TryRecvError::Empty),
            Popped::Closed => Err(TryRecvError::Closed),
        }
    }

    /// The poll form of [`UnboundedReceiver::recv`]: it observes no
    /// cancellation, and `None` is the end.
    pub fn poll_recv(&mut self, task: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_pop(task)
    }

    /// Lets nobody send any more; what is queued can still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// How many values are queued.
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for UnboundedReceiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver")
            .field("reason", &self.reason)
            .field("queued", &self.len())
            .finish()
    }
}

/// Future of [`UnboundedReceiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct UnboundedRecv<'a, T>(Receiving<'a, T>);

impl<T> Future for UnboundedRecv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task)
    }
}

impl<T> DropSafe for UnboundedRecv<'_, T> {}
