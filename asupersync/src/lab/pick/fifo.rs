//! First come, first served; only delays are drawn from the seed.

use super::{Ready, Strategy};
use crate::math::rng::Rng;

/// Runs what has waited longest.
#[derive(Debug)]
pub struct Fifo {
    rng: Rng,
}

impl Fifo {
    /// The strategy whose delays come from this seed.
    pub fn new(seed: u64) -> Self {
        Fifo {
            rng: Rng::stream(seed, "schedule"),
        }
    }
}

impl Strategy for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn task(&mut self, _ready: &dyn Ready) -> u32 {
        0
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.rng.below(bound)
    }
}
