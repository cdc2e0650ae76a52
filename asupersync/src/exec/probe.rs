//! Recognising a cancellation inside the error a body returned.
//!
//! `try_spawn` counts an error that is or wraps [`Cancelled`] as the task's
//! cancellation, if the task was asked. The bound is a sealed trait whose
//! marker is inferred, so no error type has to implement anything.

use super::cell::{Ended, Settle};
use crate::types::cancel::{CancelReason, reason_in};
use crate::types::report::FailureValue;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

mod sealed {
    /// The error implements `std::error::Error`.
    #[derive(Debug)]
    pub struct StdError;
    /// The error is a boxed `dyn Error`.
    #[derive(Debug)]
    pub struct Boxed;
    /// The error is an `anyhow::Error`.
    #[cfg(feature = "anyhow")]
    #[derive(Debug)]
    pub struct Anyhow;
    /// The error is text or nothing, and never a cancellation.
    #[derive(Debug)]
    pub struct Opaque;

    /// Pairs an error type with the way to look into it; nobody else can name it.
    pub trait Known<M> {}

    impl<E: std::error::Error> Known<StdError> for E {}
    impl Known<Boxed> for Box<dyn std::error::Error + Send + Sync> {}
    impl Known<Boxed> for Box<dyn std::error::Error + Send> {}
    #[cfg(feature = "anyhow")]
    impl Known<Anyhow> for anyhow::Error {}
    impl Known<Opaque> for String {}
    impl Known<Opaque> for &'static str {}
    impl Known<Opaque> for () {}
}

/// An error type that can be looked into for a cancellation.
///
/// Implemented for every `std::error::Error`, for `Box<dyn Error + Send + Sync>`
/// and `Box<dyn Error + Send>`, for `anyhow::Error` (feature `anyhow`), and for
/// `String`, `&'static str` and `()`, which are never cancellations. The
/// parameter is inferred, and sealed: for another error type say yourself what
/// it wraps, with [`Cx::try_spawn_with`](crate::Cx::try_spawn_with).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be looked into for a cancellation",
    label = "`try_spawn` cannot tell whether this is a cancellation",
    note = "it needs an error that implements `std::error::Error`, a boxed one, text, or `()`, and `anyhow::Error` with the feature `anyhow`",
    note = "use `try_spawn_with` to say what your error wraps, or `spawn` if the returned `Result` is a plain value"
)]
pub trait CancelProbe<M>: sealed::Known<M> + 'static {
    /// The reason inside, if this is or wraps a cancellation.
    fn cancel_reason(&self) -> Option<&CancelReason>;

    /// What a report says about it.
    fn message(&self) -> String {
        "returned an error".to_owned()
    }
}

impl<E: Error + 'static> CancelProbe<sealed::StdError> for E {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        reason_in(self)
    }

    fn message(&self) -> String {
        self.to_string()
    }
}

impl CancelProbe<sealed::Boxed> for Box<dyn Error + Send + Sync> {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        reason_in(&**self)
    }

    fn message(&self) -> String {
        self.to_string()
    }
}

impl CancelProbe<sealed::Boxed> for Box<dyn Error + Send> {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        reason_in(&**self)
    }

    fn message(&self) -> String {
        self.to_string()
    }
}

#[cfg(feature = "anyhow")]
impl CancelProbe<sealed::Anyhow> for anyhow::Error {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        reason_in(&**self)
    }

    fn message(&self) -> String {
        self.to_string()
    }
}

impl CancelProbe<sealed::Opaque> for String {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        None
    }

    fn message(&self) -> String {
        (*self).to_string()
    }
}

impl CancelProbe<sealed::Opaque> for &'static str {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        None
    }

    fn message(&self) -> String {
        (*self).to_string()
    }
}

impl CancelProbe<sealed::Opaque> for () {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        None
    }
}

/// An error, and whether its owner says that it is a cancellation.
pub(crate) struct Probed<E> {
    pub(crate) error: E,
    pub(crate) is_cancel: bool,
}

/// As [`Plain`], for a body that stays on its thread.
pub(crate) struct Local;

impl<T: 'static> Settle<T> for Local {
    type T = T;
    type E = Infallible;
    const LOCAL: bool = true;

    fn settle(output: T, _: impl FnOnce() -> Option<Arc<CancelReason>>) -> Ended<T, Infallible> {
        Ended::Ok(output)
    }
}

/// A body whose `Err` is the outcome's error, or a cancellation if its owner says so.
pub(crate) struct TriedWith;

impl<T: 'static, E: Send + 'static> Settle<Result<T, Probed<E>>> for TriedWith {
    type T = T;
    type E = E;

    fn settle(
        output: Result<T, Probed<E>>,
        asked: impl FnOnce() -> Option<Arc<CancelReason>>,
    ) -> Ended<T, E> {
        match output {
            Ok(value) => Ended::Ok(value),
            Err(Probed { error, is_cancel }) => end_with(error, is_cancel, asked),
        }
    }

    fn keep(e: E) -> Option<FailureValue> {
        Some(FailureValue::new(e))
    }
}

/// The outcome of a body that failed with `e`.
fn end_with<T, E>(
    e: E,
    is_cancel: bool,
    asked: impl FnOnce() -> Option<Arc<CancelReason>>,
) -> Ended<T, E> {
    match is_cancel.then(asked).flatten() {
        Some(asked) => Ended::Cancelled(asked),
        None => Ended::Err(e),
    }
}

/// A body whose return value is the outcome's value.
pub(crate) struct Plain;

impl<T: 'static> Settle<T> for Plain {
    type T = T;
    type E = Infallible;

    fn settle(output: T, _: impl FnOnce() -> Option<Arc<CancelReason>>) -> Ended<T, Infallible> {
        Ended::Ok(output)
    }
}

/// A body whose `Err` is the outcome's error, or a cancellation.
pub(crate) struct Tried<M>(std::marker::PhantomData<fn(M)>);

impl<T: 'static, E: CancelProbe<M> + Send, M: 'static> Settle<Result<T, E>> for Tried<M> {
    type T = T;
    type E = E;

    fn settle(
        output: Result<T, E>,
        asked: impl FnOnce() -> Option<Arc<CancelReason>>,
    ) -> Ended<T, E> {
        match output {
            Ok(value) => Ended::Ok(value),
            Err(e) => {
                let is_cancel = e.cancel_reason().is_some();
                end_with(e, is_cancel, asked)
            }
        }
    }

    fn describe(e: &E) -> String {
        e.message()
    }

    fn keep(e: E) -> Option<FailureValue> {
        Some(FailureValue::new(e))
    }
}
