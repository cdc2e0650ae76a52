//! Sending into a place: what the bounded channels have in common.

use super::error::SendError;
use super::places::{Line, Refusal, Room};
use super::waiting::Wait;
use crate::cx::{Cx, Interrupt};
use crate::exec::obligation::Obligation;
use crate::types::obligation::AbortCause;
use std::task::{Context, Poll, ready};

/// A channel whose places take values.
pub(super) trait Queue<T>: Room {
    /// Fills a free place, and wakes who can go on. The value comes back if there is none.
    fn push(&self, value: T) -> Result<(), (Refusal, T)>;

    /// Fills a reserved place, and wakes who can go on. The value comes back, and
    /// the place is free, if nobody will ever receive it.
    fn fill(&self, value: T) -> Result<(), T>;
}

/// Fills a reserved place and settles the promise.
pub(super) fn fill<T>(
    queue: &impl Queue<T>,
    promise: Option<Obligation>,
    value: T,
) -> Result<(), SendError<T>> {
    let filled = queue.fill(value);
    if let Some(promise) = promise {
        match &filled {
            Ok(()) => promise.commit(),
            Err(_) => promise.abort(AbortCause::Error),
        }
    }
    filled.map_err(SendError::Closed)
}

/// Gives a reserved place back and settles the promise; without a cause the
/// promise itself tells a drop from a cancellation.
pub(super) fn release(room: &impl Room, promise: Option<Obligation>, cause: Option<AbortCause>) {
    // First the next in line: settling may panic in strict mode.
    room.release();
    if let Some(promise) = promise {
        match cause {
            Some(cause) => promise.abort(cause),
            None => drop(promise),
        }
    }
}

/// A value on its way in: the future of `send` in all bounded channels.
///
/// With room at once nothing is reserved: one lock, and no promise to record,
/// since nothing can come between the reservation and the commit.
pub(super) struct Sending<'a, T, Q: Queue<T>> {
    line: Line<'a, Q>,
    cx: &'a Cx,
    interrupt: Interrupt,
    value: Option<T>,
}

impl<'a, T, Q: Queue<T>> Sending<'a, T, Q> {
    pub(super) fn new(queue: &'a Q, cx: &'a Cx, value: T) -> Self {
        Sending {
            line: Line::new(queue),
            cx,
            interrupt: Interrupt::default(),
            value: Some(value),
        }
    }

    /// # Panics
    /// When polled after completion.
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let interrupted = ready!(self.interrupt.poll(self.cx, task));
        let value = self
            .value
            .take()
            .expect("a completed send is not polled again");
        if let Err(cancelled) = interrupted {
            self.line.withdraw();
            return Poll::Ready(Err(SendError::Cancelled(value, cancelled)));
        }
        let queue = self.line.room;
        let value = if self.line.is_waiting() {
            value
        } else {
            match queue.push(value) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err((Refusal::Closed, value)) => {
                    return Poll::Ready(Err(SendError::Closed(value)));
                }
                Err((Refusal::Full, value)) => value,
            }
        };
        match self.line.poll(task) {
            Poll::Ready(Ok(())) => Poll::Ready(fill(queue, None, value)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(SendError::Closed(value))),
            Poll::Pending => {
                self.value = Some(value);
                Poll::Pending
            }
        }
    }
}

impl<T, Q: Queue<T>> Drop for Sending<'_, T, Q> {
    fn drop(&mut self) {
        self.line.withdraw();
    }
}
