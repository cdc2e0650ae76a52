//! How much a task may use: time, polls, cost, and how urgent it is.
//!
//! Budgets are a product of four chains, hence a bounded distributive lattice:
//! [`Budget::meet`] is "obey both", [`Budget::join`] is "obey either". A bounded
//! distributive lattice is a commutative idempotent semiring, with ⊕ = `join`,
//! whose zero is [`Budget::ZERO`], and ⊗ = `meet`, whose one is
//! [`Budget::INFINITE`]. `asupersync/tests/laws.rs` checks the laws.
//!
//! | limit | binds | spent when | request |
//! |---|---|---|---|
//! | deadline | each task and region below | the instant is reached | `Timeout` |
//! | poll quota | each task by itself | as many polls were made | `PollQuota`, before the next |
//! | cost quota | a task, or a region and everything below as one pool | as much was charged | `CostQuota`, at once |
//! | priority | order among equals only | never | - |

use super::cancel::CancelKind;
use super::time::Time;
use std::time::Duration;

/// Limits on a task or on everything in a region.
///
/// ```
/// use asupersync::{Budget, Time};
/// let parent = Budget::new().with_deadline(Time::from_nanos(5));
/// let child = Budget::new().with_deadline(Time::from_nanos(10));
/// assert_eq!(parent.meet(child).deadline, Some(Time::from_nanos(5)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// The instant at which a request of kind `Timeout` is raised; `None` is never.
    pub deadline: Option<Time>,
    /// Polls before a request of kind `PollQuota` is raised; `u32::MAX` is unlimited.
    pub poll_quota: u32,
    /// Cost units before a request of kind `CostQuota` is raised; `None` is unlimited.
    pub cost_quota: Option<u64>,
    /// Urgency among equals, larger first.
    pub priority: u8,
}

impl Budget {
    /// No limit at all: the unit of `meet`.
    pub const INFINITE: Budget = Budget {
        deadline: None,
        poll_quota: u32::MAX,
        cost_quota: None,
        priority: 0,
    };
    /// Nothing allowed: absorbs under `meet`.
    pub const ZERO: Budget = Budget {
        deadline: Some(Time::ZERO),
        poll_quota: 0,
        cost_quota: Some(0),
        priority: 255,
    };

    /// No limit at all.
    pub const fn new() -> Budget {
        Budget::INFINITE
    }

    /// Ends at `at`.
    #[must_use]
    pub const fn with_deadline(mut self, at: Time) -> Self {
        self.deadline = Some(at);
        self
    }

    /// Ends `d` after `now`.
    #[must_use]
    pub fn with_timeout(self, now: Time, d: Duration) -> Self {
        self.with_deadline(now + d)
    }

    /// May be polled `polls` times.
    #[must_use]
    pub const fn with_poll_quota(mut self, polls: u32) -> Self {
        self.poll_quota = polls;
        self
    }

    /// May spend `cost` units.
    #[must_use]
    pub const fn with_cost_quota(mut self, cost: u64) -> Self {
        self.cost_quota = Some(cost);
        self
    }

    /// Has this urgency.
    #[must_use]
    pub const fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Whether it limits anything; urgency is no limit.
    pub(crate) fn limits(&self) -> bool {
        let unlimited = Budget::INFINITE.with_priority(self.priority);
        *self != unlimited
    }

    /// The loosest budget that obeys both: earlier deadline, smaller quotas, higher priority.
    #[must_use]
    pub fn meet(self, o: Budget) -> Budget {
        Budget {
            deadline: smaller(self.deadline, o.deadline),
            poll_quota: self.poll_quota.min(o.poll_quota),
            cost_quota: smaller(self.cost_quota, o.cost_quota),
            priority: self.priority.max(o.priority),
        }
    }

    /// The tightest budget that either obeys: the dual of [`Budget::meet`].
    #[must_use]
    pub fn join(self, o: Budget) -> Budget {
        Budget {
            deadline: larger(self.deadline, o.deadline),
            poll_quota: self.poll_quota.max(o.poll_quota),
            cost_quota: larger(self.cost_quota, o.cost_quota),
            priority: self.priority.min(o.priority),
        }
    }

    /// Time left at `now`; `None` when there is no deadline.
    pub fn remaining_time(&self, now: Time) -> Option<Duration> {
        self.deadline.map(|at| at.since(now))
    }

    /// The request that this budget raises at `now`, if one of its limits is used up.
    ///
    /// ```
    /// use asupersync::{Budget, CancelKind, Time};
    /// assert_eq!(Budget::ZERO.spent(Time::ZERO), Some(CancelKind::Timeout));
    /// assert_eq!(Budget::INFINITE.spent(Time::MAX), None);
    /// ```
    pub fn spent(&self, now: Time) -> Option<CancelKind> {
        if self.is_past_deadline(now) {
            Some(CancelKind::Timeout)
        } else if self.poll_quota == 0 {
            Some(CancelKind::PollQuota)
        } else if self.cost_quota == Some(0) {
            Some(CancelKind::CostQuota)
        } else {
            None
        }
    }

    /// Whether the deadline is reached; the instant itself counts.
    pub fn is_past_deadline(&self, now: Time) -> bool {
        self.deadline.is_some_and(|at| now >= at)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::INFINITE
    }
}

/// `None` stands for +∞.
fn smaller<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn larger<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    Some(a?.max(b?))
}
