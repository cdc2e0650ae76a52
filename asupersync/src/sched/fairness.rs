//! Which lane is served next: strict priority, bounded by two streak counters.
//!
//! | waiting | streaks | served |
//! |---|---|---|
//! | cancel only | any | cancel |
//! | cancel and a lower lane | fewer than L cancels in a row | cancel |
//! | cancel and a lower lane | L cancels in a row | a lower lane, streak back to 0 |
//! | timed and ready (lower pick) | fewer than S timed in a row | timed |
//! | timed and ready (lower pick) | S timed in a row | ready, streak back to 0 |
//!
//! The timed streak counts lower picks only, so cancels in between do not reset it.

/// How many tasks in a row an urgent lane may have served while a lower one waits.
///
/// With L and S for the two, the ready lane is served within
/// `(L + 1) * (S + 1)` dispatches of its worker, and the timed lane within
/// `2 * (L + 1)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreakLimits {
    /// L: dispatches from the cancel lane while a lower lane waits; 1 to 32.
    pub cancel: u8,
    /// S: dispatches from the timed lane, among those of lower lanes, while the
    /// ready lane waits; 1 to 32.
    pub timed: u8,
}

impl StreakLimits {
    /// The largest limit: beyond it a lane would as good as starve.
    pub const MAX: u8 = 32;
}

impl Default for StreakLimits {
    /// 8 and 8.
    fn default() -> Self {
        StreakLimits {
            cancel: 8,
            timed: 8,
        }
    }
}

/// Which lanes have something to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The cancel lane.
    pub cancel: bool,
    /// The timed lane.
    pub timed: bool,
    /// The ready lane.
    pub ready: bool,
}

/// The lane to serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// The cancel lane.
    Cancel,
    /// The timed lane.
    Timed,
    /// The ready lane.
    Ready,
}

/// The streak counters of one worker.
#[derive(Clone, Debug)]
pub struct Fairness {
    cancel_limit: u8,
    timed_limit: u8,
    cancels: u8,
    timeds: u8,
}

impl Fairness {
    /// Counters with the default limits.
    pub const fn new() -> Self {
        Fairness::with_limits(StreakLimits {
            cancel: 8,
            timed: 8,
        })
    }

    /// Counters with these limits; 0 counts as 1.
    pub const fn with_limits(limits: StreakLimits) -> Self {
        let StreakLimits { cancel, timed } = limits;
        Fairness {
            cancel_limit: if cancel == 0 { 1 } else { cancel },
            timed_limit: if timed == 0 { 1 } else { timed },
            cancels: 0,
            timeds: 0,
        }
    }

    /// Decides which lane is served, and counts it; `None` when nothing waits.
    pub fn choose(&mut self, waiting: Waiting) -> Option<Pick> {
        let lower = waiting.timed || waiting.ready;
        if waiting.cancel && (!lower || self.cancels < self.cancel_limit) {
            // A run of cancels that holds nobody up does not count against them.
            self.cancels = if lower { self.cancels + 1 } else { 0 };
            return Some(Pick::Cancel);
        }
        self.cancels = 0;
        if waiting.timed && (!waiting.ready || self.timeds < self.timed_limit) {
            self.timeds = if waiting.ready { self.timeds + 1 } else { 0 };
            return Some(Pick::Timed);
        }
        self.timeds = 0;
        waiting.ready.then_some(Pick::Ready)
    }

    /// Notes that a ready task was served while both lanes above were empty.
    pub fn served_ready(&mut self) {
        self.cancels = 0;
        self.timeds = 0;
    }
}

impl Default for Fairness {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(bits: u8) -> Waiting {
        Waiting {
            cancel: bits & 1 != 0,
            timed: bits & 2 != 0,
            ready: bits & 4 != 0,
        }
    }

    proptest! {
        /// A lane that keeps waiting is served within its bound, whatever comes and goes above it.
        #[test]
        fn every_lane_is_served_within_its_bound(
            (cancel, timed) in (1u8..12, 1u8..12),
            others in prop::collection::vec(0u8..8, 400),
        ) {
            let (l, s) = (usize::from(cancel), usize::from(timed));
            let cases = [(Pick::Ready, 4u8, (l + 1) * (s + 1)), (Pick::Timed, 2u8, 2 * (l + 1))];
            for (lane, bit, bound) in cases {
                let mut fairness = Fairness::with_limits(StreakLimits { cancel, timed });
                let mut gap = 0;
                for bits in &others {
                    let pick = fairness.choose(waiting(bits | bit)).expect("something waits");
                    gap = if pick == lane { 0 } else { gap + 1 };
                    prop_assert!(gap < bound, "{lane:?} waited {gap} dispatches");
                }
            }
        }

        #[test]
        fn only_a_waiting_lane_is_served(all in prop::collection::vec(0u8..8, 200)) {
            let mut fairness = Fairness::new();
            for bits in all {
                let w = waiting(bits);
                match fairness.choose(w) {
                    Some(Pick::Cancel) => prop_assert!(w.cancel),
                    Some(Pick::Timed) => prop_assert!(w.timed),
                    Some(Pick::Ready) => prop_assert!(w.ready),
                    None => prop_assert_eq!(bits, 0),
                }
            }
        }
    }

    #[test]
    fn floods_above_leave_exactly_the_promised_share() {
        let mut fairness = Fairness::new();
        let picks: Vec<_> = (0..81)
            .filter_map(|_| fairness.choose(waiting(7)))
            .collect();
        let count = |lane| picks.iter().filter(|p| **p == lane).count();
        assert_eq!(
            (count(Pick::Cancel), count(Pick::Timed), count(Pick::Ready)),
            (72, 8, 1)
        );
    }

    #[test]
    fn a_cancel_run_that_holds_nobody_up_is_free() {
        let mut fairness = Fairness::new();
        assert!((0..1000).all(|_| fairness.choose(waiting(1)) == Some(Pick::Cancel)));
        let first: Vec<_> = (0..9).filter_map(|_| fairness.choose(waiting(5))).collect();
        assert_eq!(first.iter().filter(|p| **p == Pick::Cancel).count(), 8);
        assert_eq!(first[8], Pick::Ready);
    }
}
