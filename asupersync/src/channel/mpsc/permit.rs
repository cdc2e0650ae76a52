//! A reserved place that owns its sender.

use super::super::error::SendError;
use super::super::sending::{fill, release};
use super::Sender;
use crate::cx::Cx;
use crate::exec::obligation::Obligation;
use crate::types::obligation::AbortCause;
use std::fmt;

/// A [`Permit`](super::Permit) that owns its sender.
#[must_use = "a permit that is dropped sends nothing"]
pub struct OwnedPermit<T> {
    /// Taken, both of them, when the place is used or given back.
    held: Option<(Sender<T>, Obligation)>,
}

impl<T> OwnedPermit<T> {
    pub(super) fn new(sender: Sender<T>, promise: Obligation) -> Self {
        OwnedPermit {
            held: Some((sender, promise)),
        }
    }

    /// Sends the value, and gives the sender back.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone.
    pub fn send(mut self, value: T) -> Result<Sender<T>, SendError<T>> {
        let (sender, promise) = self.take();
        fill(&*sender.shared, Some(promise), value)?;
        Ok(sender)
    }

    /// Gives the place back, and the sender too.
    pub fn abort(mut self) -> Sender<T> {
        let (sender, promise) = self.take();
        release(&*sender.shared, promise, Some(AbortCause::Explicit));
        sender
    }

    /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        let (sender, promise) = self.take();
        OwnedPermit::new(sender, cx.adopt(promise))
    }

    fn take(&mut self) -> (Sender<T>, Obligation) {
        self.held
            .take()
            .expect("an owned permit holds its sender until it is used")
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some((sender, promise)) = self.held.take() {
            release(&*sender.shared, promise, None);
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit")
            .field("sender", &self.held.as_ref().map(|(sender, _)| sender))
            .finish_non_exhaustive()
    }
}
