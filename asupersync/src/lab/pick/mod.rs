//! Who makes the choices of a run, one strategy per file.
//!
//! Every nondeterminism of a run is one question to a [`Strategy`]; the answers
//! are recorded and are the schedule. A question with one possible answer is
//! not asked. Zero is always the plain answer: the task that waits longest, the
//! shortest delay, no cut. Any list of answers is a valid schedule, because an
//! answer that is too large is reduced.

mod fifo;
mod lanes;
mod random;
mod replay;

pub use fifo::Fifo;
pub use lanes::Lanes;
pub use random::Random;
pub use replay::Replay;

use crate::sched::StreakLimits;
use crate::types::id::TaskId;
use crate::world::Lane;
use std::sync::Arc;

/// Which strategy a run uses.
#[derive(Clone, Debug, Default)]
pub enum Pick {
    /// Any runnable task, with equal probability: explores what several workers could do.
    #[default]
    Random,
    /// The task that became runnable first.
    Fifo,
    /// A task of the lane whose turn it is, as one production worker would
    /// choose, with ties broken by the seed; [`LabConfig::streak_limits`] are
    /// that worker's.
    ///
    /// [`LabConfig::streak_limits`]: super::LabConfig::streak_limits
    Lanes,
    /// A recorded schedule; zeros after its end.
    Replay(Arc<[u32]>),
}

impl Pick {
    /// Replays a schedule.
    pub fn replay(choices: impl Into<Arc<[u32]>>) -> Self {
        Pick::Replay(choices.into())
    }

    pub(super) fn strategy(&self, seed: u64, streaks: StreakLimits) -> Box<dyn Strategy> {
        match self {
            Pick::Random => Box::new(Random::new(seed)),
            Pick::Fifo => Box::new(Fifo::new(seed)),
            Pick::Lanes => Box::new(Lanes::new(seed, streaks)),
            Pick::Replay(choices) => Box::new(Replay::new(choices.clone())),
        }
    }
}

/// Answers the questions of one run.
pub trait Strategy: Send {
    /// What it is called in reports.
    fn name(&self) -> &'static str;

    /// Which of at least two runnable entries goes next; reduced modulo their number.
    fn task(&mut self, ready: &dyn Ready) -> u32;

    /// A number below `bound`, which is at least 2: a delay, or where to cut a
    /// segment; reduced modulo `bound`.
    fn number(&mut self, bound: u32) -> u32;
}

/// What can run, the longest waiting first.
pub trait Ready {
    /// How many entries there are, at least two.
    fn count(&self) -> u32;

    /// The task of an entry; `None` for a blocking job.
    fn task(&self, index: u32) -> Option<TaskId>;

    /// The lane of an entry.
    fn lane(&self, index: u32) -> Lane;
}
