//! Whether to spin for a moment before parking.
//!
//! To park and be woken costs a thread and its waker some microseconds each. If
//! what a thread waits for keeps coming sooner than that, spinning is cheaper
//! for both; if it does not, spinning is pure waste. What came last predicts
//! what comes next: a thread spins after several short waits. A spin that fails
//! says more than a wait that was long, since the wait before it was short: so
//! after each, twice as many short waits are asked for.
//!
//! In between the thread offers its core to others, as the one it waits for may
//! be queued behind it.

use std::time::{Duration, Instant};

/// How long to spin at the most, and what counts as a short wait: about what
/// parking and waking cost together, so that a wrong guess costs no more than
/// twice the right one.
pub(super) const SPIN: Duration = Duration::from_micros(20);

/// Turns of the processor's pause between two looks.
const PAUSES: u32 = 8;

/// Short waits in a row after which a thread spins for the first time.
const ENOUGH: u16 = 4;
/// And as many after spins that have failed.
const MOST: u16 = 1024;

/// What a thread has learnt about its waits.
#[derive(Debug)]
pub(super) struct Patience {
    /// Short waits in a row.
    short: u16,
    /// How many it takes to spin.
    enough: u16,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            short: 0,
            enough: ENOUGH,
        }
    }
}

impl Patience {
    /// Spins until `arrived`, if that promises to be soon; `true` when it has.
    pub(super) fn spin(&mut self, mut arrived: impl FnMut() -> bool) -> bool {
        if self.short < self.enough {
            return false;
        }
        let start = Instant::now();
        loop {
            if arrived() {
                self.enough = ENOUGH;
                return true;
            }
            if start.elapsed() >= SPIN {
                (self.short, self.enough) = (0, (2 * self.enough).min(MOST));
                return false;
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
            std::thread::yield_now();
        }
    }

    /// Notes whether a sleep was short.
    pub(super) fn slept(&mut self, short: bool) {
        self.short = if short { (self.short + 1).min(MOST) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_spins_after_short_waits_and_less_often_in_vain() {
        let mut patience = Patience::default();
        // How many short waits it takes until it spins, and what came of it.
        let mut next = |arrives: bool| {
            for waits in 0.. {
                let mut looks = 0;
                let arrived = patience.spin(|| {
                    looks += 1;
                    arrives
                });
                if looks > 0 {
                    return (waits, arrived);
                }
                patience.slept(true);
            }
            unreachable!("it spins in the end");
        };
        assert_eq!(next(true), (ENOUGH, true), "no reason before");
        assert_eq!(next(true), (0, true), "it goes on");
        assert_eq!(next(false), (0, false));
        assert_eq!(next(false), (2 * ENOUGH, false), "once bitten");
        assert_eq!(next(true), (4 * ENOUGH, true));
        assert_eq!(next(false), (0, false), "and forgiven");
        assert_eq!(next(true), (2 * ENOUGH, true));
        patience.slept(false);
        assert!(!patience.spin(|| true), "a long wait");
    }
}
