//! What a region does when one of its children ends badly.

use super::id::TaskId;
use super::outcome::Severity;
use super::time::Time;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The reaction of a region to the ends of its children.
#[derive(Clone, Default)]
pub enum Policy {
    /// An error or a panic cancels the siblings.
    #[default]
    FailFast,
    /// Nothing cancels the siblings; all ends are collected.
    Collect,
    /// The program decides.
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
pub trait RegionPolicy: Send + Sync {
    /// What to do about this end.
    fn on_child(&self, end: &ChildEnd) -> Action;
}

/// How a child ended, as a policy sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildEnd {
    /// The task that ended.
    pub task: TaskId,
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
    CancelSiblings,
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
