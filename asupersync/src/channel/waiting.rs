//! What the futures of all channels have in common: they listen for cancellation,
//! and leave their channel as they found it when they end early.

use crate::cx::{Cx, Interrupt};
use crate::types::cancel::Cancelled;
use std::task::{Context, Poll, ready};

/// What a future of a channel waits for.
pub(super) trait Wait {
    /// What it gets.
    type Output;

    /// Gets it, or leaves `task`'s waker with the channel.
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output>;

    /// Leaves the channel: takes the waker back, and passes on what was granted
    /// and never used. Has no effect when nothing is waited for.
    fn withdraw(&mut self);
}

/// A wait of a task: it ends early when the task is asked to cancel.
pub(super) struct Waiting<'a, W: Wait> {
    pub(super) wait: W,
    pub(super) cx: &'a Cx,
    interrupt: Interrupt,
}

impl<'a, W: Wait> Waiting<'a, W> {
    pub(super) fn new(cx: &'a Cx, wait: W) -> Self {
        Waiting {
            wait,
            cx,
            interrupt: Interrupt::default(),
        }
    }

    #[inline]
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<W::Output, Cancelled>> {
        if let Err(cancelled) = ready!(self.interrupt.poll(self.cx, task)) {
            self.wait.withdraw();
            return Poll::Ready(Err(cancelled));
        }
        self.wait.poll(task).map(Ok)
    }
}

impl<W: Wait> Drop for Waiting<'_, W> {
    fn drop(&mut self) {
        self.wait.withdraw();
    }
}
