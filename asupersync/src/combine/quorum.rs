//! As many successes as are needed, from as many arms as there are.

use super::heat::{ArmsError, Heat};
use super::race::Arm;
use crate::cx::Cx;

/// What [`first_ok`] and [`hedge`](super::hedge()) return: the arm that succeeded, and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Success<T> {
    /// Which arm, counted from 0.
    pub index: usize,
    /// What it returned.
    pub value: T,
}

/// Runs the arms as tasks, in parallel, until one succeeds; the others are asked
/// to cancel with `RaceLost` and awaited: it takes as long as the success and the
/// slowest loser's cleanup.
///
/// # Cancellation
/// Asked to cancel, it cancels all arms and awaits them; what they return is dropped.
///
/// # Errors
/// [`ArmsError::Failed`] with all failures when no arm succeeded, also when
/// there are none; [`ArmsError::Cancelled`].
///
/// # Panics
/// When an arm panics, after all arms have ended.
///
/// ```
/// use asupersync::combine::{Arm, first_ok};
/// # use asupersync::{Cx, LabConfig, LabRuntime, Scope};
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let found = first_ok(&cx, [
///     Arm::new(async |_cx: Cx| Err::<u8, _>("no such mirror")),
///     Arm::new(async |_cx: Cx| Ok(7)),
/// ]).await.unwrap();
/// assert_eq!((found.index, found.value), (1, 7));
/// # });
/// ```
pub async fn first_ok<T, E>(
    cx: &Cx,
    arms: impl IntoIterator<Item = Arm<Result<T, E>>>,
) -> Result<Success<T>, ArmsError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let mut values = quorum(cx, 1, arms).await?;
    Ok(values.remove(0))
}

/// Runs the arms as tasks, in parallel, until `needed` have succeeded or so many
/// have failed that this cannot happen any more; the rest are asked to cancel
/// with `RaceLost` and awaited: it takes as long as the last success and the
/// slowest loser's cleanup.
///
/// The successes come in the order in which they happened. None needed is a
/// quorum at once, and starts nothing.
///
/// # Cancellation
/// Asked to cancel, it cancels all arms and awaits them; what they return is dropped.
///
/// # Errors
/// [`ArmsError`]; when more are needed than there are arms, none is started.
///
/// # Panics
/// When an arm panics, after all arms have ended.
pub async fn quorum<T, E>(
    cx: &Cx,
    needed: usize,
    arms: impl IntoIterator<Item = Arm<Result<T, E>>>,
) -> Result<Vec<Success<T>>, ArmsError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    cx.checkpoint()?;
    // The caller's code, which may panic: before there is a region to leave behind.
    let arms: Vec<_> = arms.into_iter().collect();
    let total = arms.len();
    let mut successes = Vec::with_capacity(needed.min(total));
    let mut failures = Vec::new();
    if needed > total {
        return Err(failed(needed, total, failures));
    }
    if needed == 0 {
        return Ok(successes);
    }
    Heat::run(cx, "quorum", async |heat| {
        for (index, arm) in arms.into_iter().enumerate() {
            heat.start(index, arm);
        }
        while let Some(ended) = heat.next().await {
            match ended? {
                (index, Ok(value)) => successes.push(Success { index, value }),
                (index, Err(e)) => failures.push((index, e)),
            }
            if successes.len() == needed {
                return Ok(successes);
            }
            if total - failures.len() < needed {
                break;
            }
        }
        Err(failed(needed, total, failures))
    })
    .await?
}

pub(super) fn failed<E>(needed: usize, arms: usize, failures: Vec<(usize, E)>) -> ArmsError<E> {
    ArmsError::Failed {
        needed,
        arms,
        failures,
    }
}
