//! One body in a region of its own: what bulkheads, circuit breakers and retries share.

use crate::cx::scope::Opened;
use crate::cx::{Cx, RegionError};
use crate::exec::probe::CancelProbe;
use crate::exec::region::RegionOptions;
use crate::types::cancel::Cancelled;
use std::sync::Arc;

/// Opens the region of a call. A request says so in the caller's error; any
/// other refusal is `refused`.
pub(super) fn open<E: From<Cancelled>>(
    cx: &Cx,
    name: &'static str,
    refused: fn(RegionError) -> E,
) -> Result<Opened, E> {
    Opened::new(cx, RegionOptions::named(name)).map_err(|e| match e {
        RegionError::Cancelled(cancelled) => cancelled.into(),
        other => refused(other),
    })
}

/// Whether an error of a body is a cancellation.
///
/// The caller's own request comes first: that says why the caller stops, whatever
/// the body made of it. Then one that the body met, or was told of.
pub(super) fn cancelled<M>(cx: &Cx, error: &impl CancelProbe<M>) -> Result<(), Cancelled> {
    cx.checkpoint()?;
    match error.cancel_reason() {
        Some(reason) => Err(Cancelled::new(Arc::new(reason.clone()))),
        None => Ok(()),
    }
}
