//! What all operations share: noticing cancellation, and the promise while in flight.

use crate::cx::{Cx, Interrupt};
use crate::exec::obligation::Obligation;
use crate::types::obligation::{AbortCause, ObligationKind};
use std::io;
use std::task::{Context, Poll};

/// Embedded in every I/O future.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    interrupt: Interrupt,
    /// Made at the first poll that has to wait: most operations never wait.
    in_flight: Option<Obligation>,
}

impl Operation {
    /// Runs one step of the operation, unless the task was asked to cancel.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &Cx,
        task: &mut Context<'_>,
        step: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Err(cancelled) = std::task::ready!(self.interrupt.poll(cx, task)) {
            self.settle(AbortCause::Cancel);
            return Poll::Ready(Err(cancelled.into()));
        }
        let polled = step(task);
        match &polled {
            Poll::Pending if self.in_flight.is_none() => {
                self.in_flight = Some(cx.promise(ObligationKind::IoOp));
            }
            Poll::Pending => {}
            Poll::Ready(Ok(_)) => {
                if let Some(promise) = self.in_flight.take() {
                    promise.commit();
                }
            }
            Poll::Ready(Err(_)) => self.settle(AbortCause::Error),
        }
        polled
    }

    fn settle(&mut self, cause: AbortCause) {
        if let Some(promise) = self.in_flight.take() {
            promise.abort(cause);
        }
    }
}
