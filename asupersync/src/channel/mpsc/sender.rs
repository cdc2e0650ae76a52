//! The sending end: waiting for room, and sending.

use super::super::ends::closed;
use super::super::error::{ReserveError, SendError, TryReserveError, TrySendError};
use super::super::places::{Line, Refusal, Watch};
use super::super::senders::Share;
use super::super::sending::{Queue, Reserved, Reserving, Sending, bounded, fill};
use super::super::waiting::{Wait, Waiting};
use super::Statistics;
use super::permit::OwnedPermit;
use super::shared::Shared;
use crate::cx::{Cx, DropSafe};
use crate::exec::outside;
use crate::exec::task::TaskRef;
use crate::types::cancel::Cancelled;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The sending end; clone it for further senders.
///
/// When the last one is dropped, the receiver gets what is queued and then
/// [`RecvError::Closed`](super::RecvError::Closed).
pub struct Sender<T> {
    pub(super) shared: Share<Shared<T>>,
}

impl<T> Sender<T> {
    /// The first sender of a channel.
    pub(super) fn first(channel: Arc<Shared<T>>) -> Self {
        let shared = Share::first(channel);
        Sender { shared }
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

    /// Like [`Sender::try_reserve`], for a permit that owns this sender.
    ///
    /// # Errors
    /// [`TrySendError`], always with the sender.
    pub fn try_reserve_owned(self, cx: &Cx) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        let reserved = self.try_reserve(cx).map(|permit| permit.0.into_promise());
        match reserved {
            Ok(promise) => Ok(OwnedPermit::new(self, promise)),
            Err(TryReserveError::Full) => Err(TrySendError::Full(self)),
            Err(TryReserveError::Closed) => Err(TrySendError::Closed(self)),
        }
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
            shared: self.shared.channel().clone(),
        }
    }

    /// Sends on a thread that runs no task, which blocks until there is room. In
    /// the lab, whose world is one thread, nobody would be left to receive.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value.
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In a closure of the lab, when it
    /// has to wait.
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        let value = match self.shared.push(value) {
            Ok(()) => return Ok(()),
            Err((Refusal::Closed, value)) => return Err(SendError::Closed(value)),
            Err((Refusal::Full, value)) => value,
        };
        let mut line = Line::new(&*self.shared, 1);
        match outside::block(|task| line.poll(task)) {
            Ok(()) => fill(&*self.shared, None, value),
            Err(_) => Err(SendError::Closed(value)),
        }
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.shared.channel(), other.shared.channel())
    }
}

super::accessors!(Sender);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Sender { shared }
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
        Share::revive(&self.shared).map(|shared| Sender { shared })
    }

    /// How full the channel is.
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
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

bounded!();
