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
//!
//! A channel is one allocation, freed with the value received or with the last
//! end; sending and receiving are one atomic step each, and one more where
//! somebody waits or has promised to send.

mod cell;
mod error;
#[cfg(test)]
mod model;

/// What the cell is made of, by a name that a model checker can give to its own.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicUsize, Ordering};

    /// `std`'s, with access in the form that a model checker can follow.
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        pub(super) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

pub use cell::Statistics;
pub use error::{RecvError, TryRecvError};

use super::ends::closed;
use super::waiting::{Wait, Waiting};
use crate::cx::{Cx, DropSafe};
use crate::exec::obligation::Obligation;
use crate::exec::outside;
use crate::types::cancel::Cancelled;
use crate::types::cancel_class::CancelClass;
use crate::types::obligation::{AbortCause, ObligationKind};
use cell::{Found, Rx, Tx};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What happens to each operation that is cancelled or dropped half-way.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Sender::closed", CancelClass::Safe),
    ("Receiver::recv", CancelClass::Safe),
];

/// A channel for one value; one allocation.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = cell::pair();
    (Sender(tx), Receiver(rx))
}

/// The sending end. Dropped unused, the receiver gets [`RecvError::Closed`].
pub struct Sender<T>(Tx<T>);

impl<T> Sender<T> {
    /// Sends the value, without waiting.
    ///
    /// Once:
    ///
    /// ```compile_fail,E0382
    /// let (tx, _rx) = asupersync::channel::oneshot::channel();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// ```
    ///
    /// # Errors
    /// The value, when the receiver is gone or has closed.
    pub fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }

    /// Promises to send: from now on the task of `cx` owes the receiver a value
    /// or an abort, and is reported when it completes with neither.
    pub fn reserve(mut self, cx: &Cx) -> Permit<T> {
        self.0.promise();
        Permit {
            tx: self.0,
            promise: cx.promise(ObligationKind::SendPermit),
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
        Closed(Waiting::new(cx, self))
    }

    /// The poll form of [`Sender::closed`]: it observes no cancellation.
    pub fn poll_closed(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.0.poll_closed(task.waker())
    }

    /// Whether a value sent now would come back.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// A promise to send the value. Dropped, the receiver gets [`RecvError::Closed`].
#[must_use = "a permit that is dropped sends nothing"]
pub struct Permit<T> {
    // First, so that the receiver is told before the promise settles itself,
    // which may panic in strict mode.
    tx: Tx<T>,
    promise: Obligation,
}

impl<T> Permit<T> {
    /// Sends the value.
    ///
    /// # Errors
    /// The value, when the receiver is gone or has closed.
    pub fn send(self, value: T) -> Result<(), T> {
        let sent = self.tx.send(value);
        match &sent {
            Ok(()) => self.promise.commit(),
            Err(_) => self.promise.abort(AbortCause::Error),
        }
        sent
    }

    /// Sends nothing: the receiver gets [`RecvError::Closed`].
    pub fn abort(self) {
        drop(self.tx);
        self.promise.abort(AbortCause::Explicit);
    }

    /// Whether a value sent now would come back.
    pub fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
    pub fn transfer(self, cx: &Cx) -> Self {
        Permit {
            tx: self.tx,
            promise: cx.adopt(self.promise),
        }
    }
}

/// How far the channel of an end has come, and how the end is shown.
macro_rules! statistics {
    ($End:ident, $field:tt) => {
        impl<T> $End<T> {
            /// How far the channel has come.
            pub fn statistics(&self) -> Statistics {
                self.$field.statistics()
            }
        }

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($End))
                    .field("channel", &self.statistics())
                    .finish_non_exhaustive()
            }
        }
    };
}
statistics!(Sender, 0);
statistics!(Permit, tx);
statistics!(Receiver, 0);

/// The receiving end. Dropping it drops a value that was not received.
pub struct Receiver<T>(Rx<T>);

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
        Recv(Waiting::new(cx, self))
    }

    /// Takes the value if it is there.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether to come back later.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.0.try_recv() {
            Found::Value(value) => Ok(value),
            Found::Nothing => Err(TryRecvError::Empty),
            Found::Gone => Err(TryRecvError::Closed),
        }
    }

    /// The poll form of [`Receiver::recv`]: it observes no cancellation, and
    /// `None` means that no value will come.
    pub fn poll_recv(&mut self, task: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(task.waker())
    }

    /// Receives on a thread that runs no task, which blocks meanwhile. In the
    /// lab, whose world is one thread, nobody would be left to send.
    ///
    /// # Errors
    /// [`RecvError::Closed`], as [`Receiver::recv`].
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In a closure of the lab, when it
    /// has to wait.
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        outside::block(|task| self.poll_recv(task)).ok_or(RecvError::Closed)
    }

    /// Lets the sender send no more; a value sent before can still be received.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// Whether no value is there to be received.
    pub fn is_empty(&self) -> bool {
        !self.statistics().queued
    }

    /// Whether this end is done with: the value was received, or it has said that
    /// none will come. In a `select!` in a loop it is the condition of the branch.
    pub fn is_terminated(&self) -> bool {
        self.0.has_left()
    }
}

/// Future of [`Receiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T>(Waiting<'a, &'a mut Receiver<T>>);

impl<T> Wait for &mut Receiver<T> {
    type Output = Option<T>;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(task)
    }

    fn withdraw(&mut self) {
        self.0.forget_waker();
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    // Part of whatever waits, as that of `mpsc::Recv`.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task).map(|received| match received {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(RecvError::Closed),
            Err(cancelled) => Err(RecvError::Cancelled(cancelled)),
        })
    }
}

impl<T> DropSafe for Recv<'_, T> {}

impl<T> Wait for &mut Sender<T> {
    type Output = ();

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.poll_closed(task)
    }

    fn withdraw(&mut self) {
        self.0.forget_waker();
    }
}

closed!(&'a mut Sender<T>);
