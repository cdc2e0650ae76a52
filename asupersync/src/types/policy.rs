//! What a region does when one of its children ends badly.

use super::id::{RegionId, TaskId};
use super::outcome::Severity;
use super::time::Time;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The reaction of a region to the ends of its children.
///
/// Ends are handled one after the other, in the order in which they come; a
/// report orders ends of one instant by task.
#[derive(Clone, Default)]
pub enum Policy {
    /// An error or a panic cancels the siblings.
    #[default]
    FailFast,
    /// Nothing cancels the siblings; all ends are collected.
    Collect,
    /// The program decides, at the end of every child that was not stopped on
    /// purpose, good ends included.
    Custom(Arc<dyn RegionPolicy>),
}

impl Policy {
    /// What to do about this end.
    pub fn on_child(&self, end: &ChildEnd) -> Action {
        match self {
            Policy::FailFast => match end.severity {
                Severity::Err | Severity::Panicked => Action::CancelSiblings,
                Severity::Ok | Severity::Cancelled => Action::Continue,
            },
            Policy::Collect => Action::Continue,
            Policy::Custom(p) => p.on_child(end),
        }
    }

    /// Whether the policy wants to hear of this end at all: nobody else asks
    /// about the many ends that are good.
    pub(crate) fn hears_of(&self, severity: Severity) -> bool {
        severity != Severity::Ok || matches!(self, Policy::Custom(_))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Policy::FailFast => "FailFast",
            Policy::Collect => "Collect",
            Policy::Custom(_) => "Custom",
        })
    }
}

/// A reaction written by the program. It is called with no lock held and must not block.
///
/// ```
/// use asupersync::types::policy::{Action, ChildEnd, RegionPolicy};
/// use asupersync::{Policy, RegionOptions, Severity};
/// use std::sync::Arc;
///
/// /// A panic concerns the regions above as well.
/// struct Grave;
/// impl RegionPolicy for Grave {
///     fn on_child(&self, end: &ChildEnd) -> Action {
///         match end.severity {
///             Severity::Panicked => Action::Escalate,
///             Severity::Err => Action::CancelSiblings,
///             Severity::Ok | Severity::Cancelled => Action::Continue,
///         }
///     }
/// }
/// let options = RegionOptions { policy: Policy::Custom(Arc::new(Grave)), ..RegionOptions::named("jobs") };
/// # drop(options);
/// ```
pub trait RegionPolicy: Send + Sync {
    /// What to do about this end.
    fn on_child(&self, end: &ChildEnd) -> Action;
}

/// How a child ended, as a policy sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildEnd {
    /// The task that ended.
    pub task: TaskId,
    /// The task's region: another than the policy's own when the end was
    /// escalated from a region below.
    pub region: RegionId,
    /// How.
    pub severity: Severity,
    /// When.
    pub at: Time,
}

/// A policy's decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Let the siblings go on.
    Continue,
    /// Ask every sibling to cancel.
    ///
    /// After a bad end the siblings are asked with `FailFast`; after a good one
    /// with `RaceLost`, since they are no longer needed, which is no failure.
    CancelSiblings,
    /// As `CancelSiblings`; then the failure counts as one of the region above,
    /// whose policy decides about it in turn. At the root it ends there.
    Escalate,
}

/// How many children a region admits at a time.
///
/// Limits count the region's own live children, not what is below those: so an
/// admission looks at one region only. A subregion has its own limits met with
/// its parent's. Regions opened by cleanup are not counted against a limit, for
/// cleanup that is refused would not be cleanup.
///
/// ```
/// use asupersync::RegionLimits;
/// let limits = RegionLimits { max_tasks: 1_000, ..RegionLimits::NONE };
/// assert_eq!(limits.meet(RegionLimits { max_tasks: 5, ..RegionLimits::NONE }).max_tasks, 5);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionLimits {
    /// Live tasks, blocking ones and daemons included.
    pub max_tasks: u32,
    /// Open subregions.
    pub max_regions: u32,
    /// Live blocking tasks: closures that run on, or wait for, the blocking pool.
    pub max_blocking: u32,
}

impl RegionLimits {
    /// No limit.
    pub const NONE: RegionLimits = RegionLimits {
        max_tasks: u32::MAX,
        max_regions: u32::MAX,
        max_blocking: u32::MAX,
    };

    /// Both limits at once.
    #[must_use]
    pub fn meet(self, o: Self) -> Self {
        RegionLimits {
            max_tasks: self.max_tasks.min(o.max_tasks),
            max_regions: self.max_regions.min(o.max_regions),
            max_blocking: self.max_blocking.min(o.max_blocking),
        }
    }
}

impl Default for RegionLimits {
    fn default() -> Self {
        RegionLimits::NONE
    }
}

/// The limit of a region that refused a child.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Limit {
    /// [`RegionLimits::max_tasks`] of this many.
    Tasks(u32),
    /// [`RegionLimits::max_regions`] of this many.
    Regions(u32),
    /// [`RegionLimits::max_blocking`] of this many.
    Blocking(u32),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Tasks(max) => write!(f, "{max} live tasks"),
            Limit::Regions(max) => write!(f, "{max} open subregions"),
            Limit::Blocking(max) => write!(f, "{max} live blocking tasks"),
        }
    }
}

/// How long cleanup may take, by the rank of the reason for it.
///
/// The time is what bounds cleanup. The polls are there for code that spins: a
/// consumer that drains a full queue to slow readers is polled once per reader
/// that makes room, so the default allows ten thousand polls a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CleanupPolicy {
    /// Time and polls for ranks 0 to 5; a stronger reason never gets more.
    pub table: [(Duration, u32); 6],
}

impl CleanupPolicy {
    /// Limits for a reason of this rank.
    pub fn limits(&self, rank: u8) -> (Duration, u32) {
        self.table[usize::from(rank.min(5))]
    }

    /// The same table with every time capped at `d`.
    #[must_use]
    pub fn capped(mut self, d: Duration) -> Self {
        for row in &mut self.table {
            row.0 = row.0.min(d);
        }
        self
    }
}

impl Default for CleanupPolicy {
    fn default() -> Self {
        const POLLS_PER_SECOND: u32 = 10_000;
        const fn row(seconds: u32) -> (Duration, u32) {
            (
                Duration::from_secs(seconds as u64),
                seconds * POLLS_PER_SECOND,
            )
        }
        CleanupPolicy {
            table: [row(5), row(5), row(3), row(3), row(2), row(1)],
        }
    }
}

/// What happens to code that is still running when its cleanup budget is spent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Escalation {
    /// Drop it at the next poll boundary and name it in the report.
    #[default]
    Drop,
    /// Never drop it.
    Wait,
}

/// The name of a region or task: a literal, or owned text.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Name(Option<std::borrow::Cow<'static, str>>);

impl Name {
    /// No name.
    pub const NONE: Name = Name(None);

    /// A name that is known when the program is built.
    pub const fn literal(name: &'static str) -> Name {
        Name(Some(std::borrow::Cow::Borrowed(name)))
    }

    /// The name, or `""` when there is none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }

    /// Whether there is no name.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl From<&'static str> for Name {
    fn from(s: &'static str) -> Self {
        Name(Some(s.into()))
    }
}

impl From<String> for Name {
    fn from(s: String) -> Self {
        Name(Some(s.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_reason_never_gets_more_time_or_polls_for_its_cleanup() {
        let policy = CleanupPolicy::default();
        let seconds: Vec<_> = (0..=6)
            .map(|rank| policy.limits(rank).0.as_secs())
            .collect();
        assert_eq!(
            seconds,
            [5, 5, 3, 3, 2, 1, 1],
            "a rank beyond the last is the last"
        );
        for policy in [policy, policy.capped(Duration::from_secs(2))] {
            for rank in 1..=6 {
                let (weaker, stronger) = (policy.limits(rank - 1), policy.limits(rank));
                assert!(
                    stronger.0 <= weaker.0 && stronger.1 <= weaker.1,
                    "rank {rank}"
                );
            }
        }
        assert_eq!(
            policy.capped(Duration::from_secs(2)).limits(0).0.as_secs(),
            2
        );
    }
}
