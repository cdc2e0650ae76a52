//! Ticking at a fixed period.

use super::Sleep;
use crate::cx::{Cx, DropSafe};
use crate::types::cancel::Cancelled;
use crate::types::time::Time;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What to do about ticks that were missed because nobody waited in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Missed {
    /// Tick as often as it takes to catch up.
    #[default]
    Burst,
    /// Count the period from the late tick on.
    Delay,
    /// Leave the missed ones out and stay on the original grid.
    Skip,
}

/// Ticks at a fixed period; see [`Cx::interval`].
#[derive(Debug)]
pub struct Interval {
    next: Time,
    period: Duration,
    missed: Missed,
}

impl Cx {
    /// Ticks every `period`; the first tick is due at once.
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn interval(&self, period: Duration, missed: Missed) -> Interval {
        assert!(!period.is_zero(), "an interval needs a period above zero");
        Interval {
            next: self.now(),
            period,
            missed,
        }
    }
}

impl Interval {
    /// Waits for the next tick and returns when it was due.
    ///
    /// *Cancellation.* Safe: it ends early, and no tick is lost.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn tick<'a>(&'a mut self, cx: &'a Cx) -> Tick<'a> {
        let sleep = cx.sleep_until(self.next);
        let interval = self;
        Tick {
            interval,
            cx,
            sleep,
        }
    }

    /// The time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}

/// Future of [`Interval::tick`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Tick<'a> {
    interval: &'a mut Interval,
    cx: &'a Cx,
    sleep: Sleep<'a>,
}

impl Future for Tick<'_> {
    type Output = Result<Time, Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Tick {
            interval,
            cx,
            sleep,
        } = self.get_mut();
        ready!(Pin::new(sleep).poll(task))?;
        let due = interval.next;
        interval.next = following(due, cx.now(), interval.period, interval.missed);
        Poll::Ready(Ok(due))
    }
}

impl DropSafe for Tick<'_> {}

/// The tick after the one that was due at `due` and taken at `now`.
fn following(due: Time, now: Time, period: Duration, missed: Missed) -> Time {
    let next = due + period;
    if next >= now {
        return next;
    }
    match missed {
        Missed::Burst => next,
        Missed::Delay => now + period,
        Missed::Skip => {
            let late = now.since(due).as_nanos();
            let periods = late / period.as_nanos() + 1;
            let skip = period.as_nanos().saturating_mul(periods);
            due + Duration::from_nanos(u64::try_from(skip).unwrap_or(u64::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_follow_the_policy() {
        let t = Time::from_nanos;
        let period = Duration::from_nanos(10);
        for (missed, taken, next) in [
            (Missed::Burst, 0, 10),
            (Missed::Burst, 35, 10),
            (Missed::Delay, 35, 45),
            (Missed::Skip, 35, 40),
            (Missed::Skip, 40, 50),
            (Missed::Skip, 10, 10),
        ] {
            assert_eq!(
                following(t(0), t(taken), period, missed),
                t(next),
                "{missed:?} at {taken}"
            );
        }
    }
}
