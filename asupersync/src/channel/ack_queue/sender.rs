//! The sending end of a queue with acknowledgement.

use super::super::ends::{closed, end};
use super::super::places::Watch;
use super::super::senders::Share;
use super::super::sending::{Queue, Reserved, Reserving, Sending, bounded};
use super::super::waiting::Waiting;
use super::{
    DeadLetter, ReserveError, SendError, Shared, Statistics, TryReserveError, TrySendError,
};
use crate::cx::{Cx, DropSafe};
use crate::exec::lock;
use crate::types::cancel::Cancelled;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The sending end; clone it for further senders.
///
/// When the last one is dropped, receivers get what is there, and
/// [`super::RecvError::Closed`] once all of it was dealt with.
pub struct Sender<T> {
    shared: Share<Shared<T>>,
}

impl<T> Sender<T> {
    /// The first sender of a queue.
    pub(super) fn first(queue: Arc<Shared<T>>) -> Self {
        let shared = Share::first(queue);
        Sender { shared }
    }

    /// Whether nothing can be sent any more: the receivers are gone or have closed.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.state).places.is_closed()
    }

    /// Takes the dead letters that are there, oldest first; their places are free then.
    pub fn dead_letters(&self) -> impl ExactSizeIterator<Item = DeadLetter<T>> + use<T> {
        self.shared.take_dead().into_iter()
    }
}

end!(Sender, "queue");

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Sender { shared }
    }
}

bounded!();
