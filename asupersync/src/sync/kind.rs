//! How the errors of primitives become the runtime's one [`Error`].

use super::{AcquireError, Expired, LockError};
use crate::types::error::{Error, ErrorKind};

impl From<Expired> for Error {
    /// The thing may be another's by now: what is left is a stale handle.
    fn from(e: Expired) -> Self {
        Error::of(ErrorKind::StaleHandle, e)
    }
}

impl From<LockError> for Error {
    /// A poisoned lock tells of a holder that panicked.
    fn from(e: LockError) -> Self {
        match e {
            LockError::Cancelled(c) => c.into(),
            LockError::Poisoned => Error::of(ErrorKind::ChildFailed, e),
        }
    }
}

impl From<AcquireError> for Error {
    /// Whoever closed a semaphore or a pool will not let anybody pass again.
    fn from(e: AcquireError) -> Self {
        match e {
            AcquireError::Cancelled(c) => c.into(),
            AcquireError::Closed => Error::of(ErrorKind::ChannelClosed, e),
        }
    }
}
