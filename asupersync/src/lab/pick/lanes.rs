//! The order of one production worker: cancel before timed before ready, with bounded streaks.
//!
//! Within the lane whose turn it is, the most urgent entries are equal
//! candidates and the seed decides among them; the Ready lane is first in,
//! first out in production, and any of its tasks here, because tasks of
//! different workers have no order.

use super::{Ready, Strategy};
use crate::math::rng::Rng;
use crate::sched::{Fairness, Pick, StreakLimits, Waiting};
use crate::world::Lane;
use std::cmp::Reverse;

/// Chooses by lane.
#[derive(Debug)]
pub struct Lanes {
    rng: Rng,
    fairness: Fairness,
}

impl Lanes {
    /// The strategy of this seed, for a worker with these limits.
    pub fn new(seed: u64, limits: StreakLimits) -> Self {
        Lanes {
            rng: Rng::stream(seed, "schedule"),
            fairness: Fairness::with_limits(limits),
        }
    }
}

impl Strategy for Lanes {
    fn name(&self) -> &'static str {
        "lanes"
    }

    fn task(&mut self, ready: &dyn Ready) -> u32 {
        let lanes: Vec<Lane> = (0..ready.count()).map(|i| ready.lane(i)).collect();
        let cancel = lanes.iter().filter_map(|l| match l {
            Lane::Cancel { priority } => Some(*priority),
            _ => None,
        });
        let timed = lanes.iter().filter_map(|l| match l {
            Lane::Timed { deadline, priority } => Some((*deadline, Reverse(*priority))),
            _ => None,
        });
        let (cancel, timed) = (cancel.max(), timed.min());
        let pick = self.fairness.choose(Waiting {
            cancel: cancel.is_some(),
            timed: timed.is_some(),
            ready: lanes.contains(&Lane::Ready),
        });
        let urgent = match (pick, cancel, timed) {
            (Some(Pick::Cancel), Some(priority), _) => Lane::Cancel { priority },
            (Some(Pick::Timed), _, Some((deadline, Reverse(priority)))) => {
                Lane::Timed { deadline, priority }
            }
            _ => Lane::Ready,
        };
        let equal: Vec<u32> = (0..ready.count())
            .filter(|i| lanes[*i as usize] == urgent)
            .collect();
        let count = u32::try_from(equal.len()).expect("no more candidates than entries");
        equal[self.rng.below(count) as usize]
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.rng.below(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id::TaskId;
    use crate::types::time::Time;

    struct Fixed(Vec<Lane>);

    impl Ready for Fixed {
        fn count(&self) -> u32 {
            u32::try_from(self.0.len()).expect("small")
        }

        fn task(&self, index: u32) -> Option<TaskId> {
            Some(TaskId::new(index, 0))
        }

        fn lane(&self, index: u32) -> Lane {
            self.0[index as usize]
        }
    }

    #[test]
    fn no_lane_starves_and_the_most_urgent_goes_first() {
        let flood = Fixed(vec![
            Lane::Ready,
            Lane::Timed {
                deadline: Time::from_nanos(9),
                priority: 0,
            },
            Lane::Timed {
                deadline: Time::from_nanos(3),
                priority: 0,
            },
            Lane::Cancel { priority: 200 },
            Lane::Cancel { priority: 250 },
        ]);
        for seed in 0..20 {
            let limits = StreakLimits {
                cancel: 1 + (seed % 8) as u8,
                timed: 1 + (seed % 5) as u8,
            };
            let (l, s) = (u32::from(limits.cancel), u32::from(limits.timed));
            let mut lanes = Lanes::new(seed, limits);
            let mut gap = [0_u32; 5];
            let mut served = [0_u32; 5];
            for _ in 0..1_000 {
                let i = lanes.task(&flood) as usize;
                served[i] += 1;
                gap.iter_mut().for_each(|g| *g += 1);
                gap[i] = 0;
                assert!(
                    gap[0] < (l + 1) * (s + 1),
                    "ready starves under seed {seed}"
                );
                assert!(gap[2] < 2 * (l + 1), "timed starves under seed {seed}");
            }
            assert_eq!((served[1], served[3]), (0, 0), "less urgent entries wait");
        }
    }
}
