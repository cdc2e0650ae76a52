//! A resource that is released however its use ends.

use super::Cx;
use pin_project::pin_project;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

impl Cx {
    /// Acquires a resource, uses it, and releases it, however the use ends: by a
    /// value, an error, a cancellation or a panic.
    ///
    /// `release` gets the cleanup view of this context, so what it waits for does
    /// not fail with `Cancelled`, and it runs exactly once if `acquire` succeeded.
    ///
    /// # Cancellation
    /// A request ends whatever `use_` waits for, and `release` runs within the
    /// cleanup budget. If the enclosing future is dropped instead, by a `select!`
    /// or because that budget is spent, the resource is dropped and `release`
    /// does not run: what must run even then is deferred ([`Cx::defer`]).
    ///
    /// # Errors
    /// What `acquire` or `use_` returned.
    ///
    /// # Panics
    /// A panic of `use_` is raised again after the release. One of `release` is
    /// raised, unless `use_` has panicked already.
    ///
    /// ```
    /// # use asupersync::{Cx, Runtime, Scope};
    /// # let runtime = Runtime::builder().current_thread().build().unwrap();
    /// # let log = runtime.block_on(async |cx: Scope| {
    /// let mut log = Vec::new();
    /// let length = cx
    ///     .bracket(
    ///         async { Ok::<_, std::io::Error>(String::from("open")) },
    ///         async |file: &mut String| Ok(file.len()),
    ///         async |file: String, _cx: &Cx| log.push(file + ", closed"),
    ///     )
    ///     .await;
    /// assert_eq!(length.unwrap(), 4);
    /// assert_eq!(log, ["open, closed"]);
    /// # });
    /// # log.unwrap();
    /// ```
    pub async fn bracket<R, T, E>(
        &self,
        acquire: impl Future<Output = Result<R, E>>,
        use_: impl AsyncFnOnce(&mut R) -> Result<T, E>,
        release: impl AsyncFnOnce(R, &Cx),
    ) -> Result<T, E> {
        let mut resource = acquire.await?;
        let used = contained(async { use_(&mut resource).await }).await;
        let released = contained(async { release(resource, self.cleanup()).await }).await;
        match (used, released) {
            (Ok(result), Ok(())) => result,
            (Err(panic), _) | (_, Err(panic)) => resume_unwind(panic),
        }
    }
}

/// What a panic carries.
type Payload = Box<dyn std::any::Any + Send>;

/// The output of `future`, or what it panicked with; the future is gone by then.
async fn contained<F: Future>(future: F) -> Result<F::Output, Payload> {
    let future = Some(future);
    pin!(Contained { future }).await
}

#[pin_project]
struct Contained<F> {
    #[pin]
    future: Option<F>,
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, Payload>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        let polled = catch(|| {
            let future = future.as_mut().as_pin_mut();
            future.expect("it is polled until it ends").poll(task)
        });
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        // What it leaves may panic too, which must not keep the release from running.
        let dropped = catch(|| future.set(None));
        Poll::Ready(ended.and_then(|output| dropped.map(|()| output)))
    }
}

fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Payload> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f))
}
