//! Waiting on a thread that runs no task.

use super::Cx;
use crate::exec::outside;
use std::pin::pin;

impl Cx {
    /// Runs a future to its end on this thread, which blocks meanwhile: for the
    /// closures of [`Cx::spawn_blocking`], which get a context and may wait for
    /// anything with it.
    ///
    /// ```
    /// use asupersync::{Cx, Runtime, Scope, channel::mpsc};
    ///
    /// let runtime = Runtime::builder().current_thread().build().unwrap();
    /// runtime.block_on(async |scope: Scope| {
    ///     let (tx, mut rx) = mpsc::channel(1);
    ///     let sum = scope.spawn_blocking(move |cx: &Cx| {
    ///         let mut sum = 0;
    ///         while let Ok(n) = cx.block_on(rx.recv(cx)) {
    ///             sum += n;
    ///         }
    ///         sum
    ///     });
    ///     for n in 1..=4 {
    ///         tx.send(&scope, n).await.unwrap();
    ///     }
    ///     drop(tx);
    ///     assert_eq!(sum.await.into_result(), Ok(10));
    /// })
    /// .unwrap();
    /// ```
    ///
    /// # Cancellation
    /// Whatever in `fut` waits with this context ends when the task is asked to
    /// cancel, as it would in a task. What waits without one does not: see
    /// [`Cx::cancellable`].
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In the lab, where a closure is
    /// one step and nothing else happens meanwhile, when `fut` has to wait.
    #[track_caller]
    pub fn block_on<F: Future>(&self, fut: F) -> F::Output {
        let mut fut = pin!(fut);
        outside::block(|task| fut.as_mut().poll(task))
    }
}
