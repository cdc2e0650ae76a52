//! What can go wrong in the use of a boundary.

use crate::config::ConfigError;
use crate::report::FutureName;
use asupersync::{Cancelled, PanicPayload};
use std::io;
use std::sync::Arc;

/// A boundary did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused a thread or a descriptor.
    #[error(
        "boundary \"{name}\": the tokio runtime did not start; free threads or file descriptors, or ask for fewer workers"
    )]
    Start {
        /// The boundary.
        name: Arc<str>,
        /// What the system said.
        source: io::Error,
    },
    /// The region that would own the boundary no longer admits anything.
    #[error(
        "boundary \"{name}\": its region no longer admits children; open it before the region closes"
    )]
    RegionClosed {
        /// The boundary.
        name: Arc<str>,
    },
}

/// A future or client did not get to its end through a boundary.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UseError {
    /// The boundary is closed.
    #[error("boundary \"{boundary}\" is closed; use it only inside the region that owns it")]
    Closed {
        /// The boundary.
        boundary: Arc<str>,
    },
    /// The closing boundary dropped the future.
    #[error(
        "{future} was dropped, since it did not end in the cooperative budget of the closing boundary \"{boundary}\""
    )]
    Severed {
        /// The boundary.
        boundary: Arc<str>,
        /// The future.
        future: FutureName,
    },
    /// The future panicked; the worker that polled it did not.
    #[error("{future} panicked: {panic}")]
    Panicked {
        /// The future.
        future: FutureName,
        /// What it said.
        panic: PanicPayload,
    },
    /// The task that waited for the future was asked to cancel.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A boundary was not closed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The caller runs inside the boundary, so that closing it would wait for itself.
    #[error(
        "boundary \"{boundary}\" cannot be closed from inside itself; return from the adopted or delegated future first, or fire its cancel token"
    )]
    Inside {
        /// The boundary.
        boundary: Arc<str>,
    },
}
