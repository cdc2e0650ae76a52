//! How the errors of input and output become the runtime's one [`Error`].

use crate::types::cancel::{Cancelled, reason_in};
use crate::types::caps::CapabilityDenied;
use crate::types::error::{Error, ErrorKind};
use std::io;

impl From<io::Error> for Error {
    /// One that wraps an error of the runtime, a cancel or a refusal is that again.
    fn from(e: io::Error) -> Self {
        let e = match e.downcast::<Error>() {
            Ok(ours) => return ours,
            Err(e) => e,
        };
        let e = match e.downcast::<Cancelled>() {
            Ok(cancelled) => return cancelled.into(),
            Err(e) => e,
        };
        let e = match e.downcast::<CapabilityDenied>() {
            Ok(denied) => return denied.into(),
            Err(e) => e,
        };
        match reason_in(&e) {
            Some(reason) => reason.clone().into(),
            None => Error::of(ErrorKind::Io, e),
        }
    }
}
