//! A reserved place, and waiting for one.

use super::super::error::{ReserveError, SendError};
use super::super::places::Line;
use super::super::sending::{fill, release};
use super::super::waiting::Waiting;
use super::Sender;
use super::shared::Shared;
use crate::cx::{Cx, DropSafe};
use crate::exec::obligation::Obligation;
use crate::types::obligation::{AbortCause, ObligationKind};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A reserved place: what is sent into it neither waits nor can be cancelled.
///
/// Dropping it gives the place to the next in line.
#[must_use = "a permit that is dropped sends nothing"]
pub struct Permit<'a, T> {
    sender: &'a Sender<T>,
    /// Taken when the place is used or given back.
    promise: Option<Obligation>,
}

impl<'a, T> Permit<'a, T> {
    pub(super) fn new(sender: &'a Sender<T>, cx: &Cx) -> Self {
        Permit {
            sender,
            promise: Some(cx.promise(ObligationKind::SendPermit)),
        }
    }

    /// Sends the value.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone.
    pub fn send(mut self, value: T) -> Result<(), SendError<T>> {
        fill(&*self.sender.shared, self.promise.take(), value)
    }

    /// Gives the place back.
    pub fn abort(mut self) {
        release(
            &*self.sender.shared,
            self.promise.take(),
            Some(AbortCause::Explicit),
        );
    }

    /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }

    pub(super) fn into_promise(mut self) -> Obligation {
        self.promise
            .take()
            .expect("a permit holds its promise until it is used")
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if self.promise.is_some() {
            release(&*self.sender.shared, self.promise.take(), None);
        }
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("sender", self.sender)
            .finish_non_exhaustive()
    }
}

/// A [`Permit`] that owns its sender.
#[must_use = "a permit that is dropped sends nothing"]
pub struct OwnedPermit<T> {
    sender: Option<Sender<T>>,
    promise: Option<Obligation>,
}

impl<T> OwnedPermit<T> {
    pub(super) fn new(sender: Sender<T>, promise: Obligation) -> Self {
        OwnedPermit {
            sender: Some(sender),
            promise: Some(promise),
        }
    }

    /// Sends the value, and gives the sender back.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone.
    pub fn send(mut self, value: T) -> Result<Sender<T>, SendError<T>> {
        let sender = self.take_sender();
        fill(&*sender.shared, self.promise.take(), value)?;
        Ok(sender)
    }

    /// Gives the place back, and the sender too.
    pub fn abort(mut self) -> Sender<T> {
        let sender = self.take_sender();
        release(
            &*sender.shared,
            self.promise.take(),
            Some(AbortCause::Explicit),
        );
        sender
    }

    /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }

    fn take_sender(&mut self) -> Sender<T> {
        self.sender
            .take()
            .expect("an owned permit holds its sender until it is used")
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            release(&*sender.shared, self.promise.take(), None);
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit")
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

/// Future of [`Sender::reserve`].
#[must_use = "futures do nothing unless awaited"]
pub struct Reserve<'a, T> {
    sender: &'a Sender<T>,
    wait: Waiting<'a, Line<'a, Shared<T>>>,
}

impl<'a, T> Reserve<'a, T> {
    pub(super) fn new(sender: &'a Sender<T>, cx: &'a Cx) -> Self {
        Reserve {
            sender,
            wait: Waiting::new(cx, Line::new(&*sender.shared)),
        }
    }
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.wait.poll(task).map(|reserved| match reserved {
            Ok(Ok(())) => Ok(Permit::new(this.sender, this.wait.cx)),
            Ok(Err(_)) => Err(ReserveError::Closed),
            Err(cancelled) => Err(ReserveError::Cancelled(cancelled)),
        })
    }
}

impl<T> DropSafe for Reserve<'_, T> {}
