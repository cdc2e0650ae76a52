//! A reserved place, and waiting for one.

use super::super::error::{ReserveError, SendError};
use super::super::sending::{Reserved, Reserving, fill, release};
use super::Sender;
use super::shared::Shared;
use crate::cx::{Cx, DropSafe};
use crate::exec::obligation::Obligation;
use crate::types::obligation::AbortCause;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A reserved place: what is sent into it neither waits nor can be cancelled.
///
/// Dropping it gives the place to the next in line.
#[must_use = "a permit that is dropped sends nothing"]
pub struct Permit<'a, T>(pub(super) Reserved<'a, Shared<T>>);

impl<T> Permit<'_, T> {
    /// Sends the value.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone.
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
        super::debug(f, "Permit", self.0.room)
    }
}

/// A [`Permit`] that owns its sender.
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

/// Future of [`Sender::reserve`].
#[must_use = "futures do nothing unless awaited"]
pub struct Reserve<'a, T>(pub(super) Reserving<'a, Shared<T>>);

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task).map_ok(Permit)
    }
}

impl<T> DropSafe for Reserve<'_, T> {}
