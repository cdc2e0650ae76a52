//! Watching another task's cancellation without taking part in it.
//!
//! A checkpoint through a task's own [`Cx`] acknowledges the request and spends its masks, which is
//! the task's business alone. This wait goes through the cleanup view, whose checkpoints do neither,
//! and reads the request itself.

use asupersync::Cx;
use asupersync::cx::Interrupt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Resolves when the task of `cx`, or the region it is the body of, is asked to cancel.
pub(crate) fn asked(cx: &Cx) -> Asked {
    Asked {
        cx: cx.cleanup().clone(),
        interrupt: Interrupt::default(),
    }
}

/// The future of [`asked`].
pub(crate) struct Asked {
    cx: Cx,
    interrupt: Interrupt,
}

impl Future for Asked {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // Registers first, so that a request in between is seen; through this view it never fails.
        let _ = ready!(this.interrupt.poll(&this.cx, task));
        if this.cx.is_cancel_requested() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
