//! No more than so many per period, in the order in which they ask.
//!
//! Source: the token bucket of Turner, "New directions in communications", IEEE
//! Communications Magazine 24(10), 1986: the bucket holds `burst` tokens and
//! regains one every `period / permits`.

use crate::cx::{Cx, DropSafe};
use crate::exec::lock;
use crate::sync::{Lock, LockError, Mutex as FairMutex, MutexGuard};
use crate::time::Sleep;
use crate::types::cancel::Cancelled;
use crate::types::time::Time;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How busy a rate limit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimitStatistics {
    /// Tasks that wait for their turn.
    pub waiting: usize,
    /// When the next turn is there; in the past, if it is there already.
    pub next: Time,
}

/// Lets `permits` calls through per `period`, the first `permits` of them at
/// once, and has the others wait for their turn, first come first served. Share
/// it by reference or in an `Arc`.
///
/// ```
/// use asupersync::combine::RateLimit;
/// # use asupersync::{LabConfig, LabRuntime, Scope};
/// # use std::{num::NonZeroU32, time::Duration};
/// # LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
/// let limit = RateLimit::new(NonZeroU32::new(10).unwrap(), Duration::from_secs(1));
/// let start = cx.now();
/// for _ in 0..15 {
///     limit.acquire(&cx).await.unwrap();
/// }
/// assert_eq!(cx.now().since(start), Duration::from_millis(500));
/// # });
/// ```
#[derive(Debug)]
pub struct RateLimit {
    /// Whoever has it is the next to take a token.
    turn: FairMutex<()>,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Between two tokens.
    every: Duration,
    /// How long the bucket takes to fill.
    fills_in: Duration,
    /// When it will be full, as far as known; before now, it is.
    full_at: Time,
}

impl Bucket {
    /// Takes a token, or says when there will be one.
    fn take(&mut self, now: Time) -> Result<(), Time> {
        let due = self.due();
        if now < due {
            return Err(due);
        }
        self.full_at = self.full_at.max(now) + self.every;
        Ok(())
    }

    /// When there is a token: when all but one of those that fill it are missing.
    fn due(&self) -> Time {
        let brought = (self.full_at + self.every).as_nanos();
        Time::from_nanos(brought.saturating_sub(self.fills_in.as_nanos() as u64))
    }
}

impl RateLimit {
    /// `permits` per `period`, and as many at once after a pause of that length.
    pub fn new(permits: NonZeroU32, period: Duration) -> Self {
        Self::with_burst(permits, period, permits)
    }

    /// `permits` per `period`, and `burst` at once after a long pause.
    pub fn with_burst(permits: NonZeroU32, period: Duration, burst: NonZeroU32) -> Self {
        let every = period / permits.get();
        RateLimit {
            turn: FairMutex::new(()),
            bucket: Mutex::new(Bucket {
                every,
                fills_in: every.saturating_mul(burst.get()),
                full_at: Time::ZERO,
            }),
        }
    }

    /// Waits for a turn, and takes it.
    ///
    /// # Cancellation
    /// Safe: no turn is lost, the next in line gets it.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn acquire<'a>(&'a self, cx: &'a Cx) -> TakeTurn<'a> {
        TakeTurn {
            limit: self,
            cx,
            step: Step::Line(self.turn.lock(cx)),
        }
    }

    /// How busy it is.
    pub fn statistics(&self) -> RateLimitStatistics {
        let turn = self.turn.statistics();
        RateLimitStatistics {
            // Whoever has the next turn waits for it outside of the line.
            waiting: turn.waiting + usize::from(turn.locked),
            next: lock(&self.bucket).due(),
        }
    }

    /// Takes a turn if there is one now.
    ///
    /// # Errors
    /// When there will be one, if nobody else takes it before; now, while others wait.
    pub fn try_acquire(&self, cx: &Cx) -> Result<(), Time> {
        let now = cx.now();
        match self.turn.try_lock() {
            Ok(_turn) => lock(&self.bucket).take(now),
            Err(_) => Err(now),
        }
    }
}

/// Future of [`RateLimit::acquire`].
#[must_use = "futures do nothing unless awaited"]
pub struct TakeTurn<'a> {
    limit: &'a RateLimit,
    cx: &'a Cx,
    step: Step<'a>,
}

enum Step<'a> {
    /// In line.
    Line(Lock<'a, ()>),
    /// The next to take a token, and about to look for one.
    Next(MutexGuard<'a, ()>),
    /// The same, until there is one.
    Due(MutexGuard<'a, ()>, Sleep<'a>),
    Ended,
}

impl Future for TakeTurn<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.step {
                Step::Line(line) => match ready!(Pin::new(line).poll(task)) {
                    Ok(turn) => this.step = Step::Next(turn),
                    Err(LockError::Cancelled(cancelled)) => return Poll::Ready(Err(cancelled)),
                    Err(LockError::Poisoned) => unreachable!("the lock does not poison"),
                },
                Step::Next(_) => {
                    let taken = lock(&this.limit.bucket).take(this.cx.now());
                    let Step::Next(turn) = std::mem::replace(&mut this.step, Step::Ended) else {
                        unreachable!("just looked at");
                    };
                    match taken {
                        Ok(()) => return Poll::Ready(Ok(())),
                        Err(due) => this.step = Step::Due(turn, this.cx.sleep_until(due)),
                    }
                }
                Step::Due(_, sleep) => {
                    ready!(Pin::new(sleep).poll(task))?;
                    let Step::Due(turn, _) = std::mem::replace(&mut this.step, Step::Ended) else {
                        unreachable!("just looked at");
                    };
                    this.step = Step::Next(turn);
                }
                Step::Ended => unreachable!("a future is not polled after its end"),
            }
        }
    }
}

impl DropSafe for TakeTurn<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_window_sees_more_than_it_may(
            gaps in prop::collection::vec(0u64..400, 1..200),
            permits in 1u32..8,
            burst in 1u32..8,
        ) {
            let one = |n| NonZeroU32::new(n).unwrap();
            let period = Duration::from_nanos(700);
            let limit = RateLimit::with_burst(one(permits), period, one(burst));
            let every = u64::from(700 / permits);
            let (mut now, mut taken) = (Time::from_nanos(10_000), Vec::new());
            for gap in gaps {
                now = now + Duration::from_nanos(gap);
                match lock(&limit.bucket).take(now) {
                    Ok(()) => taken.push(now.as_nanos()),
                    Err(due) => {
                        prop_assert!(due > now && due <= now + Duration::from_nanos(every));
                    }
                }
            }
            // Between any two turns, at most a burst and what the time between brings.
            for (i, first) in taken.iter().enumerate() {
                for (j, last) in taken.iter().enumerate().skip(i) {
                    let brought = (last - first) / every;
                    prop_assert!(((j - i) as u64) < brought + u64::from(burst), "{taken:?}");
                }
            }
        }
    }
}
