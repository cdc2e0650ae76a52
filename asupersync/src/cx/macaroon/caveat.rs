//! The conditions of a token: eight of its own, and the consent of others.

use super::codec::{TooLong, bounded};
use super::glob;
use super::verify::Context;
use crate::types::id::{RegionId, TaskId};
use crate::types::time::Time;
use std::time::Duration;

/// A condition of a token. All of a token's conditions must hold, and one whose
/// context the verifier does not know does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Caveat {
    /// Valid from this instant on.
    NotBefore(Time),
    /// Valid strictly before this instant.
    NotAfter(Time),
    /// Only for requests from this region.
    InRegion(RegionId),
    /// Only for requests from this task.
    InTask(TaskId),
    /// At most so many uses, of this token and of all that were derived from it
    /// after this caveat.
    MaxUses(u64),
    /// Only for resources that match this pattern: segments separated by `/`,
    /// where `*` is any one segment and `**` any number of them. A resource with
    /// an empty segment, `.` or `..` matches nothing.
    Resource(String),
    /// At most `uses` in a `window`, which begins with the first use after the
    /// one before it has ended.
    Rate {
        /// How many.
        uses: u32,
        /// In how long; counted in nanoseconds, at least one and at most 2⁶⁴ - 1.
        window: Duration,
    },
    /// Only when the verifier knows this value under this key.
    Equals {
        /// What is asked.
        key: String,
        /// What the answer has to be.
        value: String,
    },
}

/// A condition that somebody else has to consent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThirdParty {
    pub(super) location: String,
    /// The caveat's key, readable only to who knows the link before this one.
    pub(super) sealed: [u8; 32],
    pub(super) id: Vec<u8>,
}

impl ThirdParty {
    /// Where to ask.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What to ask for.
    pub fn id(&self) -> &[u8] {
        &self.id
    }
}

/// A link of the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    Own(Caveat),
    Third(ThirdParty),
}

impl Condition {
    /// Whether all of its texts are within [`MAX_TEXT`](super::MAX_TEXT).
    pub(super) fn bounded(&self) -> Result<(), TooLong> {
        match self {
            Condition::Third(third) => {
                bounded("a location", third.location.len())?;
                bounded("an identifier", third.id.len())
            }
            Condition::Own(Caveat::Resource(pattern)) => bounded("a pattern", pattern.len()),
            Condition::Own(Caveat::Equals { key, value }) => {
                bounded("a key", key.len())?;
                bounded("a value", value.len())
            }
            Condition::Own(_) => Ok(()),
        }
    }
}

/// What a caveat without memory comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Met,
    Violated,
    /// The verifier does not know what the caveat asks about.
    Unknown(&'static str),
    /// It depends on earlier uses.
    Counted,
}

impl Caveat {
    pub(super) fn judge(&self, context: &Context) -> Verdict {
        fn of<T>(known: Option<T>, what: &'static str, holds: impl FnOnce(T) -> bool) -> Verdict {
            match known.map(holds) {
                None => Verdict::Unknown(what),
                Some(true) => Verdict::Met,
                Some(false) => Verdict::Violated,
            }
        }
        match self {
            Caveat::NotBefore(t) => of(context.now, "the time", |now| now >= *t),
            Caveat::NotAfter(t) => of(context.now, "the time", |now| now < *t),
            Caveat::InRegion(r) => of(context.region, "the region", |region| region == *r),
            Caveat::InTask(t) => of(context.task, "the task", |task| task == *t),
            Caveat::Resource(pattern) => of(context.resource.as_deref(), "the resource", |r| {
                glob::matches(pattern, r)
            }),
            Caveat::Equals { key, value } => {
                of(context.facts.get(key), "the value of the key", |known| {
                    known == value
                })
            }
            Caveat::Rate { .. } if context.now.is_none() => Verdict::Unknown("the time"),
            Caveat::MaxUses(_) | Caveat::Rate { .. } => Verdict::Counted,
        }
    }
}
