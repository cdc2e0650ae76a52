//! The ladder as a value: which rung a closing boundary stands on, and what to do there.
//!
//! | Rung | Left when | Next |
//! |---|---|---|
//! | Drain | nothing is alive and the owner is done | Shutdown, nothing was dropped |
//! | Drain | the cooperative budget is spent | Sever, or Shutdown when no future is adopted |
//! | Sever | no adopted future is left, or the hard budget is spent | Shutdown |
//! | Shutdown | the runtime was given its time | Recount |
//! | Recount | at once | the end, with a [`Stage`] |
//!
//! Invariants:
//! 1. a rung is never entered twice, so the ladder ends after at most
//!    cooperative + 2 × hard, given that its moves are carried out in their time;
//! 2. `Leaked` is the answer whenever anything is alive at the recount, whatever came before;
//! 3. `Cooperative` is the answer only if nothing was dropped by force and nothing is alive.
//!
//! It reads no clock and touches no runtime: times and counts come in, moves go out.

use crate::config::Budgets;
use crate::report::{Census, Stage, StageTimes};
use std::time::Duration;

/// First pause between two looks at tokio's task count, which has no notifier.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// Longest pause between two looks.
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// What the one who closes must do now.
#[must_use = "a move that is not carried out leaves the boundary half closed"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Move {
    /// Look again after this pause, or earlier when something left.
    Wait(Duration),
    /// Mark every adopted future as severed and wake its owner.
    Sever,
    /// Shut the runtime down, waiting at most this long for its threads.
    Shutdown(Duration),
    /// Report.
    Finish(Stage),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rung {
    Drain,
    Sever,
    Shutdown,
    Recount,
}

/// The closing of one boundary.
#[derive(Debug)]
pub(crate) struct Ladder {
    budgets: Budgets,
    rung: Rung,
    /// When the current rung was entered, since the request.
    entered: Duration,
    pause: Duration,
    /// Whether something was alive when the cooperative budget was spent.
    forced: bool,
    pub(crate) times: StageTimes,
    /// Counts when the drain ended, and when severing did.
    pub(crate) after_drain: Census,
    pub(crate) after_sever: Census,
}

impl Ladder {
    /// Begins to drain; `now` is the time since the request.
    pub(crate) fn begin(budgets: Budgets, now: Duration) -> Self {
        Ladder {
            budgets,
            rung: Rung::Drain,
            entered: now,
            pause: FIRST_PAUSE,
            forced: false,
            times: StageTimes {
                cancel: now,
                ..StageTimes::default()
            },
            after_drain: Census::default(),
            after_sever: Census::default(),
        }
    }

    /// The next move, given what is alive `now`. `owned` says that the owner may still
    /// come with more work, so that a moment of silence is not yet the end.
    pub(crate) fn next(&mut self, now: Duration, alive: Census, owned: bool) -> Move {
        match self.rung {
            Rung::Drain => self.drain(now, alive, owned),
            Rung::Sever => self.sever(now, alive),
            Rung::Shutdown => {
                self.times.shutdown = now.saturating_sub(self.entered);
                self.rung = Rung::Recount;
                self.next(now, alive, false)
            }
            Rung::Recount => Move::Finish(if !alive.is_empty() {
                Stage::Leaked
            } else if self.forced {
                Stage::HardDrop
            } else {
                Stage::Cooperative
            }),
        }
    }

    fn drain(&mut self, now: Duration, alive: Census, owned: bool) -> Move {
        let quiet = alive.tasks == 0 && alive.adopted == 0;
        let left = self.budgets.cooperative.saturating_sub(now);
        if (owned || !quiet) && !left.is_zero() {
            let pause = self.pause.min(left);
            self.pause = (self.pause * 2).min(LAST_PAUSE);
            return Move::Wait(pause);
        }
        self.times.drain = now.saturating_sub(self.entered);
        self.after_drain = alive;
        self.after_sever = alive;
        self.entered = now;
        self.forced = !quiet;
        if alive.adopted > 0 {
            self.rung = Rung::Sever;
            self.pause = FIRST_PAUSE;
            return Move::Sever;
        }
        // Blocking jobs cannot be asked to end; they get what the drain left over.
        self.rung = Rung::Shutdown;
        Move::Shutdown(self.budgets.hard + if self.forced { Duration::ZERO } else { left })
    }

    fn sever(&mut self, now: Duration, alive: Census) -> Move {
        let left = self
            .budgets
            .hard
            .saturating_sub(now.saturating_sub(self.entered));
        if alive.adopted > 0 && !left.is_zero() {
            let pause = self.pause.min(left);
            self.pause = (self.pause * 2).min(LAST_PAUSE);
            return Move::Wait(pause);
        }
        self.times.sever = now.saturating_sub(self.entered);
        self.after_sever = alive;
        self.entered = now;
        self.rung = Rung::Shutdown;
        Move::Shutdown(self.budgets.hard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUDGETS: Budgets = Budgets {
        cooperative: Duration::from_millis(100),
        hard: Duration::from_millis(30),
    };
    const NONE: Census = Census {
        tasks: 0,
        adopted: 0,
        threads: 0,
        blocking: 0,
    };
    const TASK: Census = Census { tasks: 1, ..NONE };
    const ADOPTED: Census = Census { adopted: 1, ..NONE };
    const THREAD: Census = Census { threads: 1, ..NONE };
    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Feeds `(time in ms, alive, owned)` and compares the moves.
    fn check(script: &[(u64, Census, bool, Move)]) {
        let mut ladder = Ladder::begin(BUDGETS, Duration::ZERO);
        for (i, (at, alive, owned, expected)) in script.iter().enumerate() {
            assert_eq!(
                ladder.next(MS(*at), *alive, *owned),
                *expected,
                "step {i} of {script:?}"
            );
        }
    }

    #[test]
    fn a_quiet_boundary_is_not_dropped() {
        check(&[
            (0, TASK, false, Move::Wait(FIRST_PAUSE)),
            (1, NONE, false, Move::Shutdown(MS(30 + 99))),
            (2, NONE, false, Move::Finish(Stage::Cooperative)),
        ]);
    }

    #[test]
    fn silence_is_not_the_end_while_the_owner_may_come_back() {
        check(&[
            (1, NONE, true, Move::Wait(FIRST_PAUSE)),
            (2, ADOPTED, true, Move::Wait(FIRST_PAUSE * 2)),
            (3, NONE, false, Move::Shutdown(MS(30 + 97))),
            (3, NONE, false, Move::Finish(Stage::Cooperative)),
        ]);
        check(&[
            (100, NONE, true, Move::Shutdown(MS(30))),
            (101, NONE, true, Move::Finish(Stage::Cooperative)),
        ]);
    }

    #[test]
    fn adopted_futures_go_before_the_runtime() {
        check(&[
            (100, ADOPTED, false, Move::Sever),
            (101, ADOPTED, false, Move::Wait(FIRST_PAUSE)),
            (102, NONE, false, Move::Shutdown(MS(30))),
            (103, NONE, false, Move::Finish(Stage::HardDrop)),
        ]);
        check(&[
            (100, ADOPTED, false, Move::Sever),
            (131, ADOPTED, false, Move::Shutdown(MS(30))),
            (132, ADOPTED, false, Move::Finish(Stage::Leaked)),
        ]);
    }

    #[test]
    fn whatever_is_alive_at_the_end_is_a_leak() {
        check(&[
            (100, TASK, false, Move::Shutdown(MS(30))),
            (130, TASK, false, Move::Finish(Stage::Leaked)),
        ]);
        check(&[
            (0, NONE, false, Move::Shutdown(MS(130))),
            (130, THREAD, false, Move::Finish(Stage::Leaked)),
        ]);
    }

    proptest! {
        /// Whatever the counts do, the ladder ends in its time, severs before it shuts
        /// down, shuts down exactly once, and judges by the last count alone.
        #[test]
        fn ends_in_time(counts in prop::collection::vec((0usize..3, 0usize..3, 0usize..2, any::<bool>()), 1..80), late in 0u64..5) {
            let mut ladder = Ladder::begin(BUDGETS, Duration::ZERO);
            let mut now = Duration::ZERO;
            let (mut severed, mut shut) = (0, 0);
            for i in 0.. {
                let (tasks, adopted, threads, owned) = counts[i % counts.len()];
                let alive = Census { tasks, adopted, threads, blocking: 0 };
                match ladder.next(now, alive, owned) {
                    Move::Wait(d) => {
                        prop_assert!(!d.is_zero() && d <= LAST_PAUSE);
                        now += d + Duration::from_micros(late);
                    }
                    Move::Sever => {
                        prop_assert_eq!((severed, shut), (0, 0));
                        severed += 1;
                    }
                    Move::Shutdown(d) => {
                        prop_assert_eq!(shut, 0);
                        shut += 1;
                        now += d;
                    }
                    Move::Finish(stage) => {
                        prop_assert_eq!(shut, 1);
                        prop_assert_eq!(stage == Stage::Leaked, !alive.is_empty());
                        break;
                    }
                }
            }
            let slack = MS(20);
            prop_assert!(now <= BUDGETS.cooperative + 2 * BUDGETS.hard + slack, "took {now:?}");
        }
    }
}
