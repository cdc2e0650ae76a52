//! The errors of receiving from a oneshot channel.

use crate::types::cancel::Cancelled;
use std::io;

/// The value was not received.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecvError {
    /// No value will come.
    #[error("no value will come: the sender went away without sending, or it was received before")]
    Closed,
    /// The receiver was asked to cancel; a value sent can still be received.
    #[error(
        "receiving was cancelled; to wait for the value while cancelling use `recv(cx.cleanup())`"
    )]
    Cancelled(#[source] Cancelled),
}

/// The value was not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TryRecvError {
    /// Not sent yet.
    #[error("no value has been sent yet: await `recv`, or try again later")]
    Empty,
    /// No value will come.
    #[error("no value will come: the sender went away without sending, or it was received before")]
    Closed,
}

impl From<RecvError> for io::Error {
    /// A sender that went away is a broken pipe.
    fn from(e: RecvError) -> Self {
        match e {
            RecvError::Closed => io::Error::new(io::ErrorKind::BrokenPipe, e),
            RecvError::Cancelled(c) => c.into(),
        }
    }
}
