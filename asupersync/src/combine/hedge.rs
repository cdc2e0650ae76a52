//! Asking again before the first answer has failed to come.
//!
//! Source: Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013: a second
//! request, sent when the first is later than most, cuts the tail of latencies
//! for a few per cent of extra load. Choose the delay near the 95th percentile.

use super::heat::{ArmsError, Heat};
use super::quorum::{Success, failed};
use super::race::Arm;
use crate::cx::Cx;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// What a hedged call waits for.
enum Next<T> {
    /// An arm ended.
    Ended(T),
    /// It is time for another arm.
    Late,
}

/// Runs the first arm, and another each time `delay` passes without a success or
/// an arm fails, until one succeeds; the others are asked to cancel with
/// `RaceLost` and awaited: it takes as long as the success and the slowest loser's
/// cleanup.
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
pub async fn hedge<T, E>(
    cx: &Cx,
    delay: Duration,
    arms: impl IntoIterator<Item = Arm<Result<T, E>>>,
) -> Result<Success<T>, ArmsError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    cx.checkpoint()?;
    let mut arms = arms.into_iter().enumerate();
    let mut failures = Vec::new();
    Heat::run(cx, "hedge", async |heat| {
        let mut started = 0;
        loop {
            let Some((index, arm)) = arms.next() else {
                break;
            };
            heat.start(index, arm);
            started += 1;
            match late_or_ended(heat, delay).await {
                Next::Late => {}
                Next::Ended(ended) => match ended? {
                    (index, Ok(value)) => return Ok(Success { index, value }),
                    (index, Err(e)) => failures.push((index, e)),
                },
            }
        }
        while let Some(ended) = heat.next().await {
            match ended? {
                (index, Ok(value)) => return Ok(Success { index, value }),
                (index, Err(e)) => failures.push((index, e)),
            }
        }
        Err(failed(1, started, failures))
    })
    .await?
}

/// Waits for an arm to end, at most for `delay`.
async fn late_or_ended<T: Send + 'static>(
    heat: &mut Heat<T>,
    delay: Duration,
) -> Next<Result<(usize, T), crate::types::cancel::Cancelled>> {
    let scope = heat.scope().clone();
    let mut sleep = pin!(scope.sleep(delay));
    let mut slept = false;
    poll_fn(|task| {
        if let Poll::Ready(Some(ended)) = heat.poll_next(task) {
            return Poll::Ready(Next::Ended(ended));
        }
        if slept {
            return Poll::Pending;
        }
        match sleep.as_mut().poll(task) {
            Poll::Ready(Ok(())) => Poll::Ready(Next::Late),
            // A request reaches the arms as well, and ends them: no other is started.
            Poll::Ready(Err(_)) => {
                slept = true;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
