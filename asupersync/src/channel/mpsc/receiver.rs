//! The receiving end, of bounded and unbounded channels alike.

use super::super::error::{RecvError, TryRecvError};
use super::super::waiting::{Wait, Waiting};
use super::shared::Shared;
use super::state::Popped;
use crate::cx::{Cx, DropSafe};
use crate::exec::outside;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The receiving end.
///
/// Dropping it drops what is queued; to take it first, [`Receiver::close`] and receive the rest.
pub struct Receiver<T> {
    pub(super) shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Waits for the next value.
    ///
    /// # Cancellation
    /// Safe: either a value is returned, or all values stay queued. To receive
    /// the rest while cancelling, use `recv(cx.cleanup())`.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when everything was received and nothing more will
    /// come, [`RecvError::Cancelled`] when the task was asked to cancel.
    pub fn recv<'a>(&'a mut self, cx: &'a Cx) -> Recv<'a, T> {
        self.shared.consumer.is(cx.task_ref());
        Recv(Waiting::new(cx, Receiving::new(&self.shared)))
    }

    /// Waits for a value, and takes it and those queued behind it, at most
    /// `limit`, into `buffer`. Says how many, which is 0 only for a limit of 0.
    ///
    /// # Cancellation
    /// Safe: values are in `buffer`, or still queued.
    ///
    /// # Errors
    /// As [`Receiver::recv`]; nothing was added to `buffer` then.
    pub fn recv_many<'a>(
        &'a mut self,
        cx: &'a Cx,
        buffer: &'a mut Vec<T>,
        limit: usize,
    ) -> RecvMany<'a, T> {
        self.shared.consumer.is(cx.task_ref());
        RecvMany(Waiting::new(cx, self.many(buffer, limit)))
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

    /// The poll form of [`Receiver::recv`], for use inside a future or stream of
    /// one's own: it observes no cancellation, and `None` is the end.
    pub fn poll_recv(&mut self, task: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_pop(task)
    }

    /// The poll form of [`Receiver::recv_many`]: it observes no cancellation, and
    /// 0 is the end, unless that is the limit.
    pub fn poll_recv_many(
        &mut self,
        task: &mut Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        let received = self.many(buffer, limit).poll(task);
        received.map(|received| received.unwrap_or(0))
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

    /// As [`Receiver::recv_many`], on a thread that runs no task, which blocks
    /// meanwhile.
    ///
    /// # Errors
    /// [`RecvError::Closed`]; nothing was added to `buffer` then.
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In a closure of the lab, when it
    /// has to wait.
    pub fn blocking_recv_many(
        &mut self,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Result<usize, RecvError> {
        let mut many = self.many(buffer, limit);
        outside::block(|task| many.poll(task))
    }

    fn many<'a>(&'a self, buffer: &'a mut Vec<T>, limit: usize) -> ReceivingMany<'a, T> {
        ReceivingMany {
            one: Receiving::new(&self.shared),
            buffer,
            limit,
        }
    }

    /// Lets nobody send any more, except into places already reserved; what is
    /// queued or comes from these can still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Takes everything that is queued at the moment.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = T> + use<T> {
        let mut wake = Vec::new();
        let values = self.shared.lock().drain(&mut wake);
        wake.into_iter().for_each(Waker::wake);
        values.into_iter()
    }
}

super::accessors!(Receiver);

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, "Receiver", &self.shared)
    }
}

/// Future of [`Receiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T>(Waiting<'a, Receiving<'a, T>>);

struct Receiving<'a, T> {
    shared: &'a Shared<T>,
    /// Whether the channel keeps a waker of ours.
    waiting: bool,
}

impl<'a, T> Receiving<'a, T> {
    fn new(shared: &'a Shared<T>) -> Self {
        Receiving {
            shared,
            waiting: false,
        }
    }
}

impl<T> Wait for Receiving<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output> {
        let received = self.shared.poll_pop(task);
        self.waiting = received.is_pending();
        received.map(|value| value.ok_or(RecvError::Closed))
    }

    fn withdraw(&mut self) {
        if std::mem::take(&mut self.waiting) {
            let after = self.shared.lock().forget_receiver();
            after.run();
        }
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    // Part of whatever waits: a small value that is returned beside room for an
    // error is read in larger pieces than it was written in, which waits for the writes.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let received = self.get_mut().0.poll(task);
        received.map(|r| r.unwrap_or_else(|cancelled| Err(RecvError::Cancelled(cancelled))))
    }
}

impl<T> DropSafe for Recv<'_, T> {}

/// Future of [`Receiver::recv_many`].
#[must_use = "futures do nothing unless awaited"]
pub struct RecvMany<'a, T>(Waiting<'a, ReceivingMany<'a, T>>);

struct ReceivingMany<'a, T> {
    one: Receiving<'a, T>,
    buffer: &'a mut Vec<T>,
    limit: usize,
}

impl<T> Wait for ReceivingMany<'_, T> {
    type Output = Result<usize, RecvError>;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(further) = self.limit.checked_sub(1) else {
            return Poll::Ready(Ok(0));
        };
        self.one.poll(task).map(|first| {
            self.buffer.push(first?);
            Ok(1 + self.one.shared.pop_many(further, self.buffer))
        })
    }

    fn withdraw(&mut self) {
        self.one.withdraw();
    }
}

impl<T> Future for RecvMany<'_, T> {
    type Output = Result<usize, RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let received = self.get_mut().0.poll(task);
        received.map(|r| r.unwrap_or_else(|cancelled| Err(RecvError::Cancelled(cancelled))))
    }
}

impl<T> DropSafe for RecvMany<'_, T> {}
