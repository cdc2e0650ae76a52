//! How a call can fail.

use crate::types::cancel::{CancelKind, Cancelled};
use std::io;

/// A call was not answered with a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// The server never had the question, and never will: asking again is safe.
    #[error("the server is gone: the question did not reach it")]
    Closed,
    /// The server had the question and dropped the reply.
    #[error("the server dropped the question: it panicked, was cancelled, or forgot to reply")]
    NoReply,
    /// The server answered that it will not answer.
    #[error("the server declined: {0}")]
    Declined(String),
    /// The caller was asked to cancel; whether the server acts on the question is not known.
    #[error("the call was cancelled before it was answered")]
    Cancelled(#[source] Cancelled),
    /// As [`CallError::Cancelled`], because the caller's deadline has passed.
    #[error("the call was not answered before its deadline")]
    Timeout(#[source] Cancelled),
}

impl From<Cancelled> for CallError {
    fn from(cancelled: Cancelled) -> Self {
        if cancelled.reason().root_cause().kind == CancelKind::Timeout {
            CallError::Timeout(cancelled)
        } else {
            CallError::Cancelled(cancelled)
        }
    }
}

impl From<CallError> for io::Error {
    /// A server that is gone is a broken pipe, one that does not answer an unexpected end.
    fn from(e: CallError) -> Self {
        match e {
            CallError::Closed => io::Error::new(io::ErrorKind::BrokenPipe, e),
            CallError::NoReply => io::Error::new(io::ErrorKind::UnexpectedEof, e),
            CallError::Declined(_) => io::Error::new(io::ErrorKind::ConnectionRefused, e),
            CallError::Cancelled(c) | CallError::Timeout(c) => c.into(),
        }
    }
}
