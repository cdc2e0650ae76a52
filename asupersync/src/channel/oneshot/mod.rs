//! One value, once, from one task to another.
//!
//! ```
//! use asupersync::channel::oneshot;
//!
//! let (tx, mut rx) = oneshot::channel();
//! tx.send(7).unwrap();
//! assert_eq!(rx.try_recv(), Ok(7));
//! assert_eq!(rx.try_recv(), Err(oneshot::TryRecvError::Closed));
//! ```

mod error;
mod state;

pub use error::{RecvError, TryRecvError};

use crate::cx::{Cx, DropSafe, Interrupt};
use crate::exec::obligation::Obligation;
use crate::types::cancel::Cancelled;
use crate::types::obligation::{AbortCause, ObligationKind};
use state::{Shared, Watched};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A channel for one value; one allocation.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new());
    (
        Sender {
            shared: Some(shared.clone()),
        },
        Receiver { shared },
    )
}

/// The sending end. Dropped unused, the receiver gets [`RecvError::Closed`].
pub struct Sender<T> {
    /// Taken when it is used.
    shared: Option<Arc<Shared<T>>>,
}

impl<T> Sender<T> {
    /// Sends the value, without waiting.
    ///
    /// # Errors
    /// The value, when the receiver is gone or has closed.
    pub fn send(mut self, value: T) -> Result<(), T> {
        self.take().send(value)
    }

    /// Promises to send: from now on the task of `cx` owes the receiver a value
    /// or an abort, and is reported when it completes with neither.
    pub fn reserve(mut self, cx: &Cx) -> Permit<T> {
        let promise = cx.promise(ObligationKind::SendPermit);
        Permit {
            shared: Some(self.take()),
            promise: Some(promise),
        }
    }

    /// Waits until the receiver is gone or has closed.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn closed<'a>(&'a mut self, cx: &'a Cx) -> Closed<'a, T> {
        Closed {
            sender: self,
            cx,
            interrupt: Interrupt::default(),
            waiting: false,
        }
    }

    /// Whether a value sent now would come back.
    pub fn is_closed(&self) -> bool {
        self.shared().is_closed()
    }

    fn shared(&self) -> &Arc<Shared<T>> {
        self.shared
            .as_ref()
            .expect("a sender holds its channel until it is used")
    }

    fn take(&mut self) -> Arc<Shared<T>> {
        self.shared
            .take()
            .expect("a sender holds its channel until it is used")
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.remove_sender();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// A promise to send the value. Dropped, the receiver gets [`RecvError::Closed`].
#[must_use = "a permit that is dropped sends nothing"]
pub struct Permit<T> {
    /// Taken when it is used.
    shared: Option<Arc<Shared<T>>>,
    promise: Option<Obligation>,
}

impl<T> Permit<T> {
    /// Sends the value.
    ///
    /// # Errors
    /// The value, when the receiver is gone or has closed.
    pub fn send(mut self, value: T) -> Result<(), T> {
        let (Some(shared), Some(promise)) = (self.shared.take(), self.promise.take()) else {
            unreachable!("a permit holds its channel until it is used");
        };
        let sent = shared.send(value);
        match &sent {
            Ok(()) => promise.commit(),
            Err(_) => promise.abort(AbortCause::Error),
        }
        sent
    }

    /// Sends nothing: the receiver gets [`RecvError::Closed`].
    pub fn abort(mut self) {
        if let (Some(shared), Some(promise)) = (self.shared.take(), self.promise.take()) {
            shared.remove_sender();
            promise.abort(AbortCause::Explicit);
        }
    }

    /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }
}

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        // The promise settles itself after this, by its own drop.
        if let Some(shared) = self.shared.take() {
            shared.remove_sender();
        }
    }
}

impl<T> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// The receiving end. Dropping it drops a value that was not received.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Waits for the value.
    ///
    /// # Cancellation
    /// Safe: either the value is returned, or it can still be received.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when the sender went away without sending, or the
    /// value was received already; [`RecvError::Cancelled`] when the task was
    /// asked to cancel.
    pub fn recv<'a>(&'a mut self, cx: &'a Cx) -> Recv<'a, T> {
        Recv {
            receiver: self,
            cx,
            interrupt: Interrupt::default(),
            waiting: false,
        }
    }

    /// Takes the value if it is there.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether to come back later.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.try_recv()
    }

    /// The poll form of [`Receiver::recv`]: it observes no cancellation, and
    /// `None` means that no value will come.
    pub fn poll_recv(&mut self, task: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_recv(task)
    }

    /// Lets the sender send no more; a value sent before can still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("closed", &self.shared.is_closed())
            .finish()
    }
}

/// Future of [`Receiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
    cx: &'a Cx,
    interrupt: Interrupt,
    /// Whether the channel keeps a waker of ours.
    waiting: bool,
}

impl<T> Recv<'_, T> {
    fn withdraw(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.receiver.shared.forget_receiver();
        }
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Err(cancelled) = ready!(this.interrupt.poll(this.cx, task)) {
            this.withdraw();
            return Poll::Ready(Err(RecvError::Cancelled(cancelled)));
        }
        let received = this.receiver.shared.poll_recv(task);
        this.waiting = received.is_pending();
        received.map(|value| value.ok_or(RecvError::Closed))
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl<T> DropSafe for Recv<'_, T> {}

/// Future of [`Sender::closed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a, T> {
    sender: &'a mut Sender<T>,
    cx: &'a Cx,
    interrupt: Interrupt,
    /// Whether the channel keeps a waker of ours.
    waiting: bool,
}

impl<T> Closed<'_, T> {
    fn withdraw(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.sender.shared().forget_watcher();
        }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Err(cancelled) = ready!(this.interrupt.poll(this.cx, task)) {
            this.withdraw();
            return Poll::Ready(Err(cancelled));
        }
        let watched = this.sender.shared().poll_watch(task);
        this.waiting = watched == Watched::Open;
        match watched {
            Watched::Open => Poll::Pending,
            Watched::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl<T> DropSafe for Closed<'_, T> {}
