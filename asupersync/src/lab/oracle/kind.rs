//! What a broken law is as an error of the runtime.

use super::capability_use::OWNERSHIP;
use super::{OracleViolation, futurelock, obligation_leak};
use crate::lab::failure::LabFailure;
use crate::types::error::{Error, ErrorKind};

impl OracleViolation {
    /// Which kind of error it is: the program's, where the program can break the
    /// law, and otherwise this library's.
    pub fn kind(&self) -> ErrorKind {
        match self.oracle {
            futurelock::NAME => ErrorKind::FuturelockViolation,
            obligation_leak::NAME => ErrorKind::ObligationLeak,
            OWNERSHIP => ErrorKind::TaskNotOwned,
            _ => ErrorKind::Internal,
        }
    }
}

impl From<OracleViolation> for Error {
    fn from(violation: OracleViolation) -> Self {
        Error::of(violation.kind(), violation)
    }
}

impl From<LabFailure> for Error {
    /// A broken law by its own kind; every other way to fail is the program's,
    /// and `ChildFailed`.
    fn from(failure: LabFailure) -> Self {
        match failure {
            LabFailure::Violation(violation) => violation.into(),
            other => Error::of(ErrorKind::ChildFailed, other),
        }
    }
}
