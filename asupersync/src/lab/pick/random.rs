//! Uniform choice among everything that can run.

use super::{Ready, Strategy};
use crate::math::rng::Rng;

/// Chooses with equal probability; forgets nothing and prefers nothing.
#[derive(Debug)]
pub struct Random {
    rng: Rng,
}

impl Random {
    /// The strategy of this seed.
    pub fn new(seed: u64) -> Self {
        Random {
            rng: Rng::stream(seed, "schedule"),
        }
    }
}

impl Strategy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn task(&mut self, ready: &dyn Ready) -> u32 {
        self.rng.below(ready.count())
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.rng.below(bound)
    }
}
