//! A channel without a bound, for the few places where a sender cannot wait and the rate is
//! bounded by something else: it takes a sentence that says by what.

use super::super::error::SendError;
use super::{Closed, Receiver, Sender, Statistics, WeakSender};
use crate::cx::Cx;
use std::fmt;

/// The receiving end of an unbounded channel: receiving does not differ.
pub type UnboundedReceiver<T> = Receiver<T>;

/// The sending end of an unbounded channel; clone it for further senders.
pub struct UnboundedSender<T>(pub(super) Sender<T>);

impl<T> UnboundedSender<T> {
    /// Sends, without waiting.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone or has closed.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        // More than fits into memory is never queued, so it is not full.
        self.0
            .try_send(value)
            .map_err(|e| SendError::Closed(e.into_inner()))
    }

    /// As [`Sender::closed`].
    ///
    /// # Cancellation
    /// Safe: it only looks.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn closed<'a>(&'a self, cx: &'a Cx) -> Closed<'a, T> {
        self.0.closed(cx)
    }

    /// A sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        WeakUnboundedSender(self.0.downgrade())
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

super::accessors!(UnboundedSender, 0);

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        UnboundedSender(self.0.clone())
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, "UnboundedSender", &self.0.shared)
    }
}

/// As [`WeakSender`], of an unbounded channel.
pub struct WeakUnboundedSender<T>(WeakSender<T>);

impl<T> WeakUnboundedSender<T> {
    /// A sender, unless the last one has gone.
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        self.0.upgrade().map(UnboundedSender)
    }

    /// How full the channel is.
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }
}

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> Self {
        WeakUnboundedSender(self.0.clone())
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakUnboundedSender").field(&self.0).finish()
    }
}
