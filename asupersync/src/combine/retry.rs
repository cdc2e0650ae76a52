//! Trying again what failed, each time in a region of its own, with growing pauses.

use super::call;
use crate::cx::{Cx, RegionError, Scope};
use crate::exec::probe::CancelProbe;
use crate::types::cancel::Cancelled;
use std::time::Duration;

/// How often to try, and how long to wait in between.
///
/// The pause before attempt `n + 1` is drawn evenly from the upper half of
/// `initial · factor^(n-1)`, capped at `max`: growing pauses spare a service that
/// is overloaded, and drawn ones keep its clients from coming back all at once.
/// Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
/// ("equal jitter").
///
/// ```
/// use asupersync::combine::Backoff;
/// use std::time::Duration;
/// let b = Backoff::new(Duration::from_millis(50)).attempts(5).max_delay(Duration::from_secs(2));
/// assert_eq!(b.delay(1, 0.0), Duration::from_millis(25));
/// assert_eq!(b.delay(2, 1.0), Duration::from_millis(100));
/// assert_eq!(b.delay(50, 1.0), Duration::from_secs(2));
/// assert_eq!(b.jitter(false).delay(1, 0.0), Duration::from_millis(50));
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Backoff {
    initial: Duration,
    factor: u32,
    max: Duration,
    attempts: u32,
    jitter: bool,
}

impl Backoff {
    /// Three attempts, with pauses that begin at `initial`, double each time, and
    /// never exceed a minute.
    pub const fn new(initial: Duration) -> Self {
        Backoff {
            initial,
            factor: 2,
            max: Duration::from_secs(60),
            attempts: 3,
            jitter: true,
        }
    }

    /// At most `n` attempts, the first included; 0 counts as 1.
    #[must_use]
    pub const fn attempts(mut self, n: u32) -> Self {
        self.attempts = if n == 0 { 1 } else { n };
        self
    }

    /// Each pause is `factor` times the one before; 0 counts as 1.
    #[must_use]
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = if factor == 0 { 1 } else { factor };
        self
    }

    /// No pause is longer than `max`.
    #[must_use]
    pub const fn max_delay(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// Whether pauses are drawn, or always as long as they may be.
    #[must_use]
    pub const fn jitter(mut self, on: bool) -> Self {
        self.jitter = on;
        self
    }

    /// The pause after `failed` attempts, where `drawn` is a number from 0 to 1.
    pub fn delay(&self, failed: u32, drawn: f64) -> Duration {
        let grown = self.factor.saturating_pow(failed.saturating_sub(1));
        let full = self.initial.saturating_mul(grown).min(self.max);
        if self.jitter {
            full.mul_f64(0.5 + 0.5 * drawn.clamp(0.0, 1.0))
        } else {
            full
        }
    }
}

/// Why a retried operation gave no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RetryError<E> {
    /// The last attempt failed, and there is none left.
    #[error("gave up after {attempts} attempts: {error}")]
    Exhausted {
        /// How many there were.
        attempts: u32,
        /// What the last one said.
        error: E,
    },
    /// The pause would not have ended before the caller's deadline.
    #[error("gave up after {attempts} attempts, with no time left for another: {error}")]
    OutOfTime {
        /// How many there were.
        attempts: u32,
        /// What the last one said.
        error: E,
    },
    /// The attempt said that trying again is no use.
    #[error("gave up after {attempts} attempts, since this does not pass: {error}")]
    Permanent {
        /// How many there were.
        attempts: u32,
        /// What the last one said.
        error: E,
    },
    /// A cancellation: it is never retried.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Something else in the region of an attempt went wrong.
    #[error(transparent)]
    Region(RegionError),
}

impl<E> RetryError<E> {
    /// What the last attempt said, if it was the attempt's error that ended the retries.
    pub fn error(&self) -> Option<&E> {
        match self {
            RetryError::Exhausted { error, .. }
            | RetryError::OutOfTime { error, .. }
            | RetryError::Permanent { error, .. } => Some(error),
            RetryError::Cancelled(_) | RetryError::Region(_) => None,
        }
    }
}

/// Runs `attempt` in a region of its own until it succeeds, pausing as `backoff`
/// says. See [`retry_if`] to tell failures that pass from those that do not.
///
/// # Cancellation
/// A request ends the attempt or the pause; a failure that is or wraps a
/// [`Cancelled`] is never retried. An attempt's region is closed before the next
/// one begins: attempts never overlap.
///
/// # Errors
/// [`RetryError`].
///
/// ```
/// use asupersync::combine::{Backoff, retry};
/// # use asupersync::{LabConfig, LabRuntime, Scope};
/// # use std::{io, time::Duration};
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let mut tries = 0;
/// let value = retry(&cx, Backoff::new(Duration::from_millis(10)), |_scope| {
///     tries += 1;
///     let n = tries;
///     async move { if n < 3 { Err(io::Error::other("busy")) } else { Ok(n) } }
/// }).await.unwrap();
/// assert_eq!(value, 3);
/// # });
/// ```
pub async fn retry<T, E, M, F, Fut>(
    cx: &Cx,
    backoff: Backoff,
    attempt: F,
) -> Result<T, RetryError<E>>
where
    F: FnMut(Scope) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: CancelProbe<M>,
{
    retry_if(cx, backoff, |_| true, attempt).await
}

/// As [`retry`], for failures of which only some pass: `passes` tells which.
///
/// # Errors
/// [`RetryError`].
pub async fn retry_if<T, E, M, F, Fut>(
    cx: &Cx,
    backoff: Backoff,
    mut passes: impl FnMut(&E) -> bool,
    mut attempt: F,
) -> Result<T, RetryError<E>>
where
    F: FnMut(Scope) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: CancelProbe<M>,
{
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match once(cx, &mut attempt).await? {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        call::cancelled(cx, &error)?;
        if !passes(&error) {
            return Err(RetryError::Permanent { attempts, error });
        }
        if attempts >= backoff.attempts {
            return Err(RetryError::Exhausted { attempts, error });
        }
        // 53 bits are what a double holds.
        let drawn = (cx.random_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let due = cx.now() + backoff.delay(attempts, drawn);
        if cx.budget().deadline.is_some_and(|deadline| due >= deadline) {
            return Err(RetryError::OutOfTime { attempts, error });
        }
        cx.sleep_until(due).await?;
    }
}

/// One attempt, in a region that is closed when this returns.
async fn once<T, E, Fut>(
    cx: &Cx,
    attempt: impl FnOnce(Scope) -> Fut,
) -> Result<Result<T, E>, RetryError<E>>
where
    Fut: Future<Output = Result<T, E>>,
{
    let opened = call::open(cx, "attempt", RetryError::Region)?;
    let failed = |r: &Result<T, E>| r.is_err().then(|| "the attempt failed".to_owned());
    let mut reported = opened.run(attempt, failed).await;
    match reported.value.take() {
        Some(Err(error)) => Ok(Err(error)),
        value => {
            reported.value = value;
            reported.into_result().map_err(RetryError::Region)
        }
    }
}
