//! Awaiting many futures of one kind, in place.

use futures_util::future;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls all futures at once, in place, and returns their outputs in the order
/// of the futures.
///
/// All are awaited, also after one of them failed; like a plain `.await` it may
/// borrow, and it is dropped as a whole. A future is polled again only when it
/// was woken, so a thousand of them cost a thousand times one. For futures of
/// several kinds use the macro `join!`.
///
/// # Cancellation
/// Whatever the futures do: each sees the request in its own waits.
///
/// ```
/// use asupersync::combine::join_all;
/// # use asupersync::{LabConfig, LabRuntime, Scope};
/// # use std::time::Duration;
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let naps = [3, 1, 2].map(|n| cx.sleep(Duration::from_secs(n)));
/// assert_eq!(join_all(naps).await, [Ok(()), Ok(()), Ok(())]);
/// # });
/// ```
pub fn join_all<I>(futures: I) -> JoinAll<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    JoinAll {
        inner: future::join_all(futures.into_iter().map(IntoFuture::into_future)),
    }
}

/// Future of [`join_all`].
#[must_use = "futures do nothing unless polled"]
#[pin_project::pin_project]
pub struct JoinAll<F: Future> {
    #[pin]
    inner: future::JoinAll<F>,
}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(task)
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").finish_non_exhaustive()
    }
}
