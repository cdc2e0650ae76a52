//! What a boundary is made of: its name, its threads and how long each rung of its closing may take.
//!
//! A [`BoundaryConfig`] is checked once, when the boundary opens; everything
//! behind that point may rely on it.

use std::sync::Arc;
use std::time::Duration;

/// Worker threads of a boundary unless it says otherwise: one may be blocked by a
/// library and the other still drives I/O and timers.
pub const DEFAULT_WORKERS: usize = 2;
/// Most worker threads of one boundary.
pub const MAX_WORKERS: usize = 512;
/// Threads for blocking jobs of a boundary unless it says otherwise.
pub const DEFAULT_BLOCKING_THREADS: usize = 64;
/// Longest name: it is repeated in thread names and reports.
pub const MAX_NAME: usize = 128;
/// Longest budget: a close that may take longer is a mistake in the units.
pub const MAX_BUDGET: Duration = Duration::from_secs(3600);

/// Which scheduler the boundary's tokio runtime has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flavor {
    /// Work-stealing workers.
    MultiThread {
        /// How many.
        workers: usize,
    },
    /// One thread that runs every task; `block_in_place` panics there, as tokio documents.
    CurrentThread,
}

/// How a boundary is opened and closed.
///
/// ```
/// use asupersync_compat::BoundaryConfig;
/// use std::time::Duration;
///
/// let config = BoundaryConfig::new("billing").workers(1).cooperative(Duration::from_millis(500));
/// assert!(config.validate().is_ok());
/// assert!(config.workers(0).validate().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoundaryConfig {
    pub(crate) name: Arc<str>,
    pub(crate) flavor: Flavor,
    pub(crate) blocking_threads: usize,
    pub(crate) budgets: Budgets,
}

/// How long each rung of the ladder may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budgets {
    /// From the request to the moment at which what is left is dropped.
    pub cooperative: Duration,
    /// For each of the two rungs that drop: severing adopted futures, and shutting the runtime down.
    pub hard: Duration,
}

impl Default for Budgets {
    /// 2 s and 500 ms: together below the 5 s that a region's finalizers have.
    fn default() -> Self {
        Budgets {
            cooperative: Duration::from_secs(2),
            hard: Duration::from_millis(500),
        }
    }
}

impl BoundaryConfig {
    /// A boundary of this name with two workers and the default budgets.
    pub fn new(name: impl AsRef<str>) -> Self {
        BoundaryConfig {
            name: name.as_ref().into(),
            flavor: Flavor::MultiThread {
                workers: DEFAULT_WORKERS,
            },
            blocking_threads: DEFAULT_BLOCKING_THREADS,
            budgets: Budgets::default(),
        }
    }

    /// With this many worker threads.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.flavor = Flavor::MultiThread { workers };
        self
    }

    /// With a single thread that runs every task.
    #[must_use]
    pub fn current_thread(mut self) -> Self {
        self.flavor = Flavor::CurrentThread;
        self
    }

    /// With at most this many threads for `spawn_blocking`.
    #[must_use]
    pub fn blocking_threads(mut self, most: usize) -> Self {
        self.blocking_threads = most;
        self
    }

    /// How long code may take to end by itself once it has been asked to.
    #[must_use]
    pub fn cooperative(mut self, budget: Duration) -> Self {
        self.budgets.cooperative = budget;
        self
    }

    /// How long each of the two dropping rungs may take.
    #[must_use]
    pub fn hard(mut self, budget: Duration) -> Self {
        self.budgets.hard = budget;
        self
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used, and the range it must lie in.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() || self.name.len() > MAX_NAME || self.name.contains('\0') {
            return Err(ConfigError::Name {
                name: self.name.clone(),
            });
        }
        if let Flavor::MultiThread { workers } = self.flavor
            && !(1..=MAX_WORKERS).contains(&workers)
        {
            return Err(ConfigError::Workers {
                name: self.name.clone(),
                workers,
            });
        }
        if self.blocking_threads == 0 {
            return Err(ConfigError::BlockingThreads {
                name: self.name.clone(),
            });
        }
        let Budgets { cooperative, hard } = self.budgets;
        if cooperative > MAX_BUDGET {
            return Err(ConfigError::Cooperative {
                name: self.name.clone(),
                given: cooperative,
            });
        }
        if hard.is_zero() || hard > MAX_BUDGET {
            return Err(ConfigError::Hard {
                name: self.name.clone(),
                given: hard,
            });
        }
        Ok(())
    }
}

impl Default for BoundaryConfig {
    fn default() -> Self {
        BoundaryConfig::new("tokio")
    }
}

/// A value of a [`BoundaryConfig`] that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The name is empty, too long or holds a NUL.
    #[error(
        "boundary name {name:?} must have 1 to {MAX_NAME} bytes and no NUL, since its threads carry it"
    )]
    Name {
        /// What was given.
        name: Arc<str>,
    },
    /// No worker, or too many.
    #[error(
        "boundary \"{name}\": {workers} workers; ask for 1 to {MAX_WORKERS}, or for `.current_thread()`"
    )]
    Workers {
        /// The boundary.
        name: Arc<str>,
        /// What was given.
        workers: usize,
    },
    /// No thread for blocking jobs.
    #[error(
        "boundary \"{name}\": 0 blocking threads would leave every `spawn_blocking` waiting forever; allow at least 1"
    )]
    BlockingThreads {
        /// The boundary.
        name: Arc<str>,
    },
    /// The cooperative budget is too long.
    #[error(
        "boundary \"{name}\": a cooperative budget of {given:?} is above the limit of {MAX_BUDGET:?}"
    )]
    Cooperative {
        /// The boundary.
        name: Arc<str>,
        /// What was given.
        given: Duration,
    },
    /// The hard budget is zero or too long.
    #[error(
        "boundary \"{name}\": a hard budget of {given:?} must be above zero, since threads need time to end, and at most {MAX_BUDGET:?}"
    )]
    Hard {
        /// The boundary.
        name: Arc<str>,
        /// What was given.
        given: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_work_and_says_why() {
        let good = || BoundaryConfig::new("b");
        let cases: [(BoundaryConfig, &str); 8] = [
            (BoundaryConfig::new(""), "1 to 128 bytes"),
            (BoundaryConfig::new("a\0b"), "no NUL"),
            (BoundaryConfig::new("x".repeat(129)), "1 to 128 bytes"),
            (good().workers(0), "0 workers"),
            (good().workers(513), "513 workers"),
            (good().blocking_threads(0), "0 blocking threads"),
            (good().hard(Duration::ZERO), "above zero"),
            (good().cooperative(MAX_BUDGET * 2), "above the limit"),
        ];
        for (config, expected) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
        for config in [
            good(),
            good().workers(512),
            good().current_thread(),
            good().cooperative(Duration::ZERO),
            BoundaryConfig::default(),
        ] {
            assert_eq!(config.validate(), Ok(()));
        }
    }
}
