//! Waiting for the wish to stop.

use crate::cx::{Cx, DropSafe, Interrupt};
use crate::types::slots::Key;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Cx {
    /// Waits until the process is asked to stop: SIGTERM, SIGINT, or a request
    /// to this task to cancel, which a cancelled root region brings to all.
    ///
    /// While anyone waits, the first signal cancels nothing: whoever waits
    /// decides how to wind down. Once it has resolved, it always does at once.
    ///
    /// *Cancellation.* Safe.
    ///
    /// ```
    /// # use asupersync::{Runtime, Scope, Cx, CancelKind};
    /// # let runtime = Runtime::builder().current_thread().build().unwrap();
    /// # runtime.block_on(async |scope: Scope| {
    /// let server = scope.spawn(async |cx: Cx| {
    ///     cx.shutdown_signal().await;
    ///     "winding down"
    /// });
    /// # scope.yield_now().await.unwrap();
    /// # server.cancel(CancelKind::User);
    /// # assert_eq!(server.await.into_result().unwrap(), "winding down");
    /// # }).unwrap();
    /// ```
    pub fn shutdown_signal(&self) -> ShutdownSignal<'_> {
        ShutdownSignal {
            cx: self,
            listening: None,
            interrupt: Interrupt::default(),
        }
    }
}

/// Future of [`Cx::shutdown_signal`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ShutdownSignal<'a> {
    cx: &'a Cx,
    listening: Option<Key>,
    interrupt: Interrupt,
}

impl Future for ShutdownSignal<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let shutdown = this.cx.world().shutdown();
        let asked = ready!(this.interrupt.poll(this.cx, task)).is_err();
        let waits = !asked
            && match this.listening {
                Some(key) => shutdown.update(key, task.waker()),
                None => {
                    this.listening = shutdown.listen(task.waker());
                    this.listening.is_some()
                }
            };
        if waits {
            return Poll::Pending;
        }
        this.leave();
        Poll::Ready(())
    }
}

impl ShutdownSignal<'_> {
    fn leave(&mut self) {
        if let Some(key) = self.listening.take() {
            self.cx.world().shutdown().leave(key);
        }
    }
}

impl Drop for ShutdownSignal<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl DropSafe for ShutdownSignal<'_> {}
