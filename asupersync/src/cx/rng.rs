//! Random words: from the seed of the run in the lab, from the system in production.

use super::Cx;
use crate::math::rng::Rng;
use crate::types::caps::{Capability, CapabilityDenied};
use crate::types::event::Event;

impl Cx {
    /// 64 uniformly distributed bits. Not for secrets.
    ///
    /// In the lab every task has a stream of its own, which follows from the seed
    /// and from how the task came to be: the *n*-th task that the *m*-th task of
    /// the body started, and so on. So a draw, or a task started elsewhere, does
    /// not shift what the others draw.
    pub fn random_u64(&self) -> u64 {
        let world = self.world();
        if self.region_cell().tree.records {
            world.emit(Event::EntropyDrawn);
        }
        world.entropy(self.task_id())
    }

    /// A generator split from this task's stream: for many numbers, or for code
    /// that knows nothing of a `Cx`. Two calls give two unrelated generators. Not
    /// for secrets.
    ///
    /// # Errors
    /// [`CapabilityDenied`] when this context lacks [`Capability::Random`].
    ///
    /// ```
    /// use asupersync::{LabConfig, LabRuntime};
    ///
    /// let roll = || {
    ///     let lab = LabRuntime::new(LabConfig::default().seed(7));
    ///     lab.run(async |cx| {
    ///         let mut rng = cx.rng().expect("the body may do everything");
    ///         [(); 8].map(|()| 1 + rng.below(6))
    ///     })
    /// };
    /// assert_eq!(roll(), roll());
    /// ```
    pub fn rng(&self) -> Result<Rng, CapabilityDenied> {
        self.require(Capability::Random)?;
        Ok(Rng::new(self.random_u64()))
    }
}
