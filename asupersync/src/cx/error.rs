//! How the errors of tasks and regions become the runtime's one [`Error`].

use super::scope::{RegionError, TryRegionError};
use crate::exec::handle::SpawnError;
use crate::types::error::{Error, ErrorKind};
use crate::types::outcome::Severity;

impl From<SpawnError> for Error {
    fn from(e: SpawnError) -> Self {
        match e {
            SpawnError::RegionClosed { .. } => Error::of(ErrorKind::RegionClosed, e),
            SpawnError::AdmissionDenied { .. } => Error::of(ErrorKind::AdmissionDenied, e),
            SpawnError::NoHome => Error::of(ErrorKind::Config, e),
            SpawnError::CapabilityDenied(denied) => denied.into(),
        }
    }
}

impl From<RegionError> for Error {
    /// A region that ended badly is told by what was worst: a child's own
    /// failure, else code that had to be dropped, else the request that ended it.
    fn from(e: RegionError) -> Self {
        match &e {
            RegionError::Cancelled(c) => c.clone().into(),
            RegionError::Closed { .. } => Error::of(ErrorKind::RegionClosed, e),
            RegionError::AdmissionDenied { .. } => Error::of(ErrorKind::AdmissionDenied, e),
            RegionError::Ended(report) if report.severity == Severity::Cancelled => {
                let abandoned = report.abandoned.first().cloned().map(Error::from);
                let reason = || e.cancel_reason().cloned().map(Error::from);
                let told = abandoned.or_else(reason);
                told.unwrap_or_else(|| Error::of(ErrorKind::Cancelled, e))
            }
            RegionError::Ended(_) => Error::of(ErrorKind::ChildFailed, e),
            RegionError::CloseTimeout(_) => Error::of(ErrorKind::RegionCloseTimeout, e),
        }
    }
}

impl<E> From<TryRegionError<E>> for Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    fn from(e: TryRegionError<E>) -> Self {
        match e {
            TryRegionError::Body(e) => Error::of(ErrorKind::ChildFailed, e),
            TryRegionError::Region(e) => e.into(),
        }
    }
}
