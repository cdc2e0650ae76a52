//! Why something was asked to stop.
//!
//! Reasons form a join semilattice under [`CancelReason::strengthen`]: a later,
//! stronger request wins, a weaker one changes nothing.

use super::caps::{Capability, CapabilityDenied};
use super::id::{RegionId, TaskId};
use super::time::Time;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Links of a cause chain kept; what is beyond is cut and [`CancelReason::truncated`] says so.
pub const MAX_CHAIN: usize = 32;
/// Bytes of a message kept.
pub const MAX_MESSAGE: usize = 256;

/// What raised a request to cancel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CancelKind {
    /// Somebody called `cancel`.
    User,
    /// The owner ended the region on purpose: a stop, not a failure.
    RegionEnd,
    /// A deadline passed.
    Timeout,
    /// The poll quota is spent.
    PollQuota,
    /// The cost quota is spent.
    CostQuota,
    /// A sibling failed under the `FailFast` policy.
    FailFast,
    /// Another arm of a race won.
    RaceLost,
    /// A linked task ended.
    LinkBroken,
    /// The region above was asked to cancel.
    ParentCancelled,
    /// The runtime is shutting down.
    Shutdown,
}

impl CancelKind {
    /// Strength from 0 to 5: a stronger reason has a smaller cleanup budget.
    pub const fn rank(self) -> u8 {
        match self {
            CancelKind::User | CancelKind::RegionEnd => 0,
            CancelKind::Timeout => 1,
            CancelKind::PollQuota | CancelKind::CostQuota => 2,
            CancelKind::FailFast | CancelKind::RaceLost | CancelKind::LinkBroken => 3,
            CancelKind::ParentCancelled => 4,
            CancelKind::Shutdown => 5,
        }
    }
}

/// Who asked for a cancellation, when, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CancelReason {
    /// What raised the request.
    pub kind: CancelKind,
    /// The region in which it was raised, when it was raised inside one.
    pub region: Option<RegionId>,
    /// The task that raised it, or whose end did.
    pub task: Option<TaskId>,
    /// When.
    pub at: Time,
    /// What the caller said, at most 256 bytes.
    pub message: Option<Arc<str>>,
    /// The request this one follows from.
    pub cause: Option<Arc<CancelReason>>,
    /// Whether a message or the chain was cut.
    pub truncated: bool,
    /// The wait ended because its context may not perform this effect; nobody asked anything.
    pub denied: Option<CapabilityDenied>,
}

impl CancelReason {
    /// A reason of this kind with nothing else known; the runtime fills in where and when.
    pub const fn new(kind: CancelKind) -> Self {
        CancelReason {
            kind,
            region: None,
            task: None,
            at: Time::ZERO,
            message: None,
            cause: None,
            truncated: false,
            denied: None,
        }
    }

    /// With a message; cut at a character boundary below 256 bytes.
    #[must_use]
    pub fn with_message(mut self, message: impl AsRef<str>) -> Self {
        let message = message.as_ref();
        let mut end = message.len().min(MAX_MESSAGE);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        self.truncated |= end < message.len();
        self.message = Some(message[..end].into());
        self
    }

    /// As a consequence of `cause`; a chain that would exceed 32 links keeps its
    /// newest links and its root, so that the origin is never what is lost.
    #[must_use]
    pub fn caused_by(mut self, cause: Arc<CancelReason>) -> Self {
        if cause.chain().count() < MAX_CHAIN {
            self.truncated |= cause.truncated;
            self.cause = Some(cause);
            return self;
        }
        let root = Arc::new(cause.root_cause().clone());
        let mut kept: Vec<CancelReason> = cause.chain().take(MAX_CHAIN - 2).cloned().collect();
        let mut tail = root;
        while let Some(mut link) = kept.pop() {
            link.cause = Some(tail);
            tail = Arc::new(link);
        }
        self.truncated = true;
        self.cause = Some(tail);
        self
    }

    /// The stronger of the two: higher rank, then the earlier, then the smaller in field order.
    ///
    /// Idempotent, associative and commutative.
    #[must_use]
    pub fn strengthen(self, o: CancelReason) -> Self {
        if self.precedence(&o) == Ordering::Less {
            o
        } else {
            self
        }
    }

    /// Whether [`CancelReason::strengthen`] with `o` gives `o`, and not this one.
    pub(crate) fn yields_to(&self, o: &Self) -> bool {
        self.precedence(o) == Ordering::Less
    }

    /// The request at the beginning of the chain.
    pub fn root_cause(&self) -> &Self {
        let mut r = self;
        while let Some(cause) = &r.cause {
            r = cause;
        }
        r
    }

    /// This reason, its cause, the cause of that, and so on.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |r| r.cause.as_deref())
    }

    /// Whether any link of the chain is of this kind.
    pub fn any_cause_is(&self, kind: CancelKind) -> bool {
        self.chain().any(|r| r.kind == kind)
    }

    /// The denial as something with an order.
    fn denied_bits(&self) -> Option<(Capability, u8)> {
        self.denied.map(|d| (d.capability, d.held.bits()))
    }

    /// Greater means stronger.
    fn precedence(&self, o: &Self) -> Ordering {
        let mut a = self.chain();
        let mut b = o.chain();
        loop {
            let order = match (a.next(), b.next()) {
                (None, None) => return Ordering::Equal,
                (Some(_), None) => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
                (Some(a), Some(b)) => (a.kind.rank().cmp(&b.kind.rank()))
                    .then_with(|| b.at.cmp(&a.at))
                    .then_with(|| b.kind.cmp(&a.kind))
                    .then_with(|| b.region.cmp(&a.region))
                    .then_with(|| b.task.cmp(&a.task))
                    .then_with(|| b.message.cmp(&a.message))
                    .then_with(|| b.truncated.cmp(&a.truncated))
                    .then_with(|| b.denied_bits().cmp(&a.denied_bits())),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
    }
}

impl From<CancelKind> for CancelReason {
    fn from(kind: CancelKind) -> Self {
        CancelReason::new(kind)
    }
}

impl From<&str> for CancelReason {
    fn from(message: &str) -> Self {
        CancelReason::new(CancelKind::User).with_message(message)
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, link) in self.chain().enumerate() {
            if i > 0 {
                f.write_str(" <- ")?;
            }
            write!(f, "{:?}", link.kind)?;
            if let Some(message) = &link.message {
                write!(f, " ({message})")?;
            }
            match (link.task, link.region) {
                (Some(t), Some(r)) => write!(f, " by {t} in {r}")?,
                (Some(t), None) => write!(f, " by {t}")?,
                (None, Some(r)) => write!(f, " in {r}")?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

impl std::error::Error for CancelReason {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|c| c as _)
    }
}

/// The error of a wait that ended because the task was asked to cancel.
///
/// Its `source()` is the [`CancelReason`] on purpose: transparent wrappers and
/// `io::Error::other` forward to the inner source, and would hide an error
/// that has none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cancelled(Arc<CancelReason>);

impl Cancelled {
    /// The error for this reason.
    pub fn new(reason: Arc<CancelReason>) -> Self {
        Cancelled(reason)
    }

    /// Why.
    pub fn reason(&self) -> &CancelReason {
        &self.0
    }

    /// The effect that the context of the wait may not perform, if that is what
    /// ended it: then nobody has asked the task to cancel.
    pub fn denied(&self) -> Option<CapabilityDenied> {
        self.0.denied
    }

    /// Why, shared.
    pub fn into_reason(self) -> Arc<CancelReason> {
        self.0
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.denied {
            Some(denied) => denied.fmt(f),
            None => write!(f, "cancelled: {}", self.0),
        }
    }
}

impl std::error::Error for Cancelled {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl From<CapabilityDenied> for Cancelled {
    /// For waits whose only error is this one.
    fn from(denied: CapabilityDenied) -> Self {
        let mut reason = CancelReason::new(CancelKind::User).with_message(denied.to_string());
        reason.denied = Some(denied);
        Cancelled::new(Arc::new(reason))
    }
}

impl From<Cancelled> for CancelReason {
    fn from(c: Cancelled) -> Self {
        Arc::unwrap_or_clone(c.0)
    }
}

impl From<Cancelled> for std::io::Error {
    /// Of kind `Other`, not `Interrupted`: standard helpers retry the latter
    /// forever. A denied effect is `PermissionDenied`.
    fn from(c: Cancelled) -> Self {
        match c.denied() {
            Some(_) => std::io::Error::new(std::io::ErrorKind::PermissionDenied, c),
            None => std::io::Error::other(c),
        }
    }
}

/// The [`CancelReason`] inside an error, looked for along its chain of sources.
pub fn reason_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a CancelReason> {
    let mut link = Some(error);
    // A chain of sources may be cyclic in hostile code; the bound is far above any real one.
    for _ in 0..64 {
        let e = link?;
        if let Some(c) = e.downcast_ref::<Cancelled>() {
            return Some(c.reason());
        }
        if let Some(r) = e.downcast_ref::<CancelReason>() {
            return Some(r);
        }
        if let Some(io) = e.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
        {
            link = Some(inner);
            continue;
        }
        link = e.source();
    }
    None
}
