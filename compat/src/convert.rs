//! Ends of tasks, translated between the two worlds without loss.
//!
//! | tokio | here |
//! |---|---|
//! | `Ok(v)` | `Outcome::Ok(v)` |
//! | `Ok(Err(e))`, flattened | `Outcome::Err(e)` |
//! | a `JoinError` of an aborted task | `Outcome::Cancelled`, which names the task |
//! | a `JoinError` of a panicked task | `Outcome::Panicked` with its message |

use crate::boundary::Boundary;
use crate::error::UseError;
use asupersync::{CancelKind, CancelReason, Outcome, OutcomeError, PanicPayload};
use tokio::task::JoinError;

/// How a tokio task ended, as an [`Outcome`].
///
/// ```
/// use asupersync_compat::outcome_of;
/// use asupersync::Outcome;
///
/// assert_eq!(outcome_of(Ok(1)), Outcome::Ok(1));
/// ```
pub fn outcome_of<T>(joined: Result<T, JoinError>) -> Outcome<T> {
    match joined {
        Ok(value) => Outcome::Ok(value),
        Err(error) => from_join_error(error),
    }
}

/// How a tokio task that returns a `Result` ended: its own error becomes [`Outcome::Err`].
pub fn outcome_of_result<T, E>(joined: Result<Result<T, E>, JoinError>) -> Outcome<T, E> {
    match joined {
        Ok(Ok(value)) => Outcome::Ok(value),
        Ok(Err(error)) => Outcome::Err(error),
        Err(error) => from_join_error(error),
    }
}

fn from_join_error<T, E>(error: JoinError) -> Outcome<T, E> {
    let said = error.to_string();
    match error.try_into_panic() {
        Ok(payload) => Outcome::Panicked(PanicPayload::from_any(payload)),
        Err(_) => Outcome::Cancelled(CancelReason::new(CancelKind::User).with_message(said)),
    }
}

/// How an adopted or delegated future ended, as an [`Outcome`]: a closed boundary stays an error.
pub fn outcome_of_use<T>(used: Result<T, UseError>) -> Outcome<T, UseError> {
    match used {
        Ok(value) => Outcome::Ok(value),
        Err(UseError::Panicked { panic, .. }) => Outcome::Panicked(panic),
        Err(UseError::Cancelled(cancelled)) => Outcome::Cancelled(cancelled.into()),
        Err(severed @ UseError::Severed { .. }) => Outcome::Cancelled(
            CancelReason::new(CancelKind::RegionEnd).with_message(severed.to_string()),
        ),
        Err(closed @ UseError::Closed { .. }) => Outcome::Err(closed),
    }
}

impl Boundary {
    /// The [`JoinError`] that tokio code expects for an end that is not a value.
    ///
    /// tokio makes one only for a task of its own, so a task is spawned on the boundary to end the same way: it is
    /// aborted, or unwinds with the message (past the panic hook, which has seen the panic itself).
    ///
    /// # Errors
    /// The boundary is closed.
    pub async fn join_error(&self, end: OutcomeError) -> Result<JoinError, UseError> {
        let handle = self.books().handle()?;
        let task = match end {
            OutcomeError::Panicked(panic) => handle.spawn(async move {
                std::panic::resume_unwind(Box::new(panic.message().to_owned()))
            }),
            OutcomeError::Cancelled(_) => {
                let task = handle.spawn(std::future::pending());
                task.abort();
                task
            }
            OutcomeError::Err(never) => match never {},
        };
        drop(handle);
        let joined: Result<std::convert::Infallible, JoinError> = task.await;
        match joined {
            Err(error) => Ok(error),
            Ok(never) => match never {},
        }
    }
}
