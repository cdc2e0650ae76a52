//! What a lab run is made from; equal configurations give equal runs.

use super::net::NetModel;
use super::oracle::MAX_IDLE_STEPS;
use super::pick::Pick;
use crate::math::rng;
use crate::sched::StreakLimits;
use crate::types::obligation::LeakResponse;
use std::time::Duration;

/// The variable that pins the seed of every lab of the process.
pub const SEED_VARIABLE: &str = "ASUPERSYNC_SEED";

/// Steps after which a run is given up, unless configured.
const MAX_STEPS: u64 = 100_000;

/// How a lab runs a program; chainable.
///
/// ```
/// use asupersync::LabConfig;
/// let config = LabConfig::default().seed(42).max_steps(10_000);
/// assert_eq!(config.seed_in_use(), 42);
/// ```
#[derive(Clone, Debug)]
pub struct LabConfig {
    pub(super) seed: u64,
    pub(super) max_steps: u64,
    pub(super) strict: bool,
    pub(super) leak_response: LeakResponse,
    pub(super) futurelock_max_idle_steps: u64,
    pub(super) auto_advance: bool,
    pub(super) network: NetModel,
    pub(super) pick: Pick,
    pub(super) streaks: StreakLimits,
    pub(super) blocking_duration: Duration,
}

impl Default for LabConfig {
    fn default() -> Self {
        LabConfig {
            seed: 0,
            max_steps: MAX_STEPS,
            strict: true,
            leak_response: LeakResponse::Panic,
            futurelock_max_idle_steps: MAX_IDLE_STEPS,
            auto_advance: true,
            network: NetModel::default(),
            pick: Pick::Random,
            streaks: StreakLimits::default(),
            blocking_duration: Duration::ZERO,
        }
    }
}

impl LabConfig {
    /// From which every choice and every random word of the run is drawn.
    ///
    /// The environment variable `ASUPERSYNC_SEED` overrides it, so that the line
    /// which a failure prints re-runs that failure without a change to the test.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Polls and blocking jobs after which the run is given up as a livelock; 100,000 by default.
    #[must_use]
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// Whether a promise dropped by a running task is a violation; on by default.
    #[must_use]
    pub fn strict(mut self, on: bool) -> Self {
        self.strict = on;
        self
    }

    /// What an obligation that its holder forgot does to the holder; a panic by
    /// default. It is a violation in any case.
    #[must_use]
    pub fn leak_response(mut self, response: LeakResponse) -> Self {
        self.leak_response = response;
        self
    }

    /// Steps for which a task that holds a promise may go without a poll, while
    /// it waits for neither the clock nor a socket; 1,000 by default. Beyond it
    /// is a [`Futurelock`](super::oracle::Futurelock).
    #[must_use]
    pub fn futurelock_max_idle_steps(mut self, steps: u64) -> Self {
        self.futurelock_max_idle_steps = steps;
        self
    }

    /// Whether the clock jumps to the next timer when nothing can run; on by
    /// default. When off, only [`LabRuntime::advance`](super::LabRuntime::advance) lets it move.
    #[must_use]
    pub fn auto_advance(mut self, on: bool) -> Self {
        self.auto_advance = on;
        self
    }

    /// How the virtual network behaves.
    #[must_use]
    pub fn network(mut self, model: NetModel) -> Self {
        self.network = model;
        self
    }

    /// Who makes the choices; [`Pick::Random`] by default.
    #[must_use]
    pub fn pick(mut self, pick: Pick) -> Self {
        self.pick = pick;
        self
    }

    /// How long urgent tasks may go before others under [`Pick::Lanes`]; each
    /// limit counts as at least 1.
    #[must_use]
    pub fn streak_limits(mut self, limits: StreakLimits) -> Self {
        self.streaks = limits;
        self
    }

    /// How long a closure on the blocking pool takes; no time by default.
    ///
    /// It runs as one step when that time is over, so that it has no effect
    /// before, and as many of them as there are overlap: the lab has a thread
    /// for each.
    ///
    /// ```
    /// use asupersync::{LabConfig, LabRuntime, Scope};
    /// use std::time::Duration;
    ///
    /// let config = LabConfig::default().blocking_duration(Duration::from_secs(3));
    /// let took = LabRuntime::new(config).run(async |scope: Scope| {
    ///     let start = scope.now();
    ///     let sum = scope.spawn_blocking(|_cx| 1 + 1).await;
    ///     assert_eq!(sum.into_result().unwrap(), 2);
    ///     scope.now() - start
    /// });
    /// assert_eq!(took, Duration::from_secs(3));
    /// ```
    #[must_use]
    pub fn blocking_duration(mut self, d: Duration) -> Self {
        self.blocking_duration = d;
        self
    }

    /// The seed a lab of this configuration uses: the configured one, or the one
    /// that `ASUPERSYNC_SEED` pins.
    ///
    /// # Panics
    /// When `ASUPERSYNC_SEED` is set and is not a number: a run under another
    /// seed than the one asked for would answer a different question.
    pub fn seed_in_use(&self) -> u64 {
        pinned(SEED_VARIABLE).unwrap_or(self.seed)
    }

    /// Names what the run depends on, besides the seed and the choices, which the trace holds.
    pub(super) fn fingerprint(&self) -> u64 {
        let LabConfig {
            seed: _,
            max_steps,
            strict,
            leak_response,
            futurelock_max_idle_steps,
            auto_advance,
            network,
            pick: _,
            streaks: _,
            blocking_duration,
        } = self;
        let text = format!(
            "{max_steps} {strict} {leak_response:?} {futurelock_max_idle_steps} {auto_advance} {network:?} \
             {blocking_duration:?}"
        );
        rng::hash(text.as_bytes())
    }
}

/// The number in an environment variable; `None` when it is not set.
pub(super) fn pinned(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.trim().parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable} must be a whole number from 0 to 2^64 - 1, not {text:?}"),
    }
}
