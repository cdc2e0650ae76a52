//! System calls that block, off the workers.

use crate::cx::Cx;
use crate::exec::handle::TaskHandle;
use crate::types::outcome::{Outcome, OutcomeError};
use std::io;

/// Runs `f` on the blocking pool, as a task of the caller's region.
///
/// *Cancellation.* Returns at once; `f` runs to its end, and the region waits
/// for it. Through the cleanup view `f` runs in a shielded region, since a region
/// that is closing admits no task; this then returns when `f` has.
pub(crate) async fn offload<T, F>(cx: &Cx, f: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce(&Cx) -> io::Result<T> + Send + 'static,
{
    cx.checkpoint()?;
    let granted = cx.within_effect();
    if !cx.is_cleanup() {
        return result_of(granted.spawn_blocking(f).join(cx).await?);
    }
    granted
        .region(async |scope| scope.spawn_blocking(f).await)
        .await
        .map_or_else(|e| Err(e.into()), result_of)
}

/// As [`offload`], for code that polls by hand. Not for the cleanup view.
pub(crate) fn start<T, F>(cx: &Cx, f: F) -> TaskHandle<io::Result<T>>
where
    T: Send + 'static,
    F: FnOnce(&Cx) -> io::Result<T> + Send + 'static,
{
    cx.within_effect().spawn_blocking(f)
}

/// What a closure returned; one that never ran, or panicked, is an error.
pub(crate) fn result_of<T>(outcome: Outcome<io::Result<T>>) -> io::Result<T> {
    match outcome.into_result() {
        Ok(result) => result,
        Err(OutcomeError::Err(never)) => match never {},
        Err(ended) => Err(io::Error::other(ended)),
    }
}
