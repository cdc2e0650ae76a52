//! The judgement: the chain first, then every condition, then the uses.
//!
//! Nothing is said about the conditions of a token whose chain does not hold,
//! and no use is taken unless everything else does.

use super::caveat::{Caveat, Condition, Verdict};
use super::counter::{Quota, Refused, UseCounter};
use super::mac::{self, Key, Signature};
use super::{Discharge, Macaroon, codec};
use crate::cx::Cx;
use crate::types::id::{RegionId, TaskId};
use crate::types::time::Time;
use std::collections::BTreeMap;

/// What a verifier knows about a request. What it does not know, it denies.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub(super) now: Option<Time>,
    pub(super) region: Option<RegionId>,
    pub(super) task: Option<TaskId>,
    pub(super) resource: Option<String>,
    pub(super) facts: BTreeMap<String, String>,
    discharges: Vec<Discharge>,
}

impl Context {
    /// Nothing is known.
    pub fn new() -> Self {
        Context::default()
    }

    /// The time, the region and the task of a context.
    pub fn of(cx: &Cx) -> Self {
        Context {
            now: Some(cx.now()),
            region: Some(cx.region_id()),
            task: Some(cx.task_id()),
            ..Context::default()
        }
    }

    /// The request is made now.
    #[must_use]
    pub fn now(mut self, now: Time) -> Self {
        self.now = Some(now);
        self
    }

    /// It comes from this region.
    #[must_use]
    pub fn region(mut self, region: RegionId) -> Self {
        self.region = Some(region);
        self
    }

    /// It comes from this task.
    #[must_use]
    pub fn task(mut self, task: TaskId) -> Self {
        self.task = Some(task);
        self
    }

    /// It is for this resource.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// The value of this key, for [`Caveat::Equals`].
    #[must_use]
    pub fn fact(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.insert(key.into(), value.into());
        self
    }

    /// It comes with this consent of a third party.
    #[must_use]
    pub fn discharge(mut self, discharge: Discharge) -> Self {
        self.discharges.push(discharge);
        self
    }
}

/// Why a token was denied.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// It was not minted with this key, or was changed since.
    #[error("the signature does not match: wrong key, or the token was changed")]
    Signature,
    /// A condition does not hold.
    #[error("{0:?} does not hold")]
    Violated(Caveat),
    /// A condition asks about something that the verifier does not know.
    #[error(
        "{caveat:?} asks for {what}, which the verifier does not know; put it into the Context"
    )]
    Missing {
        /// The condition.
        caveat: Caveat,
        /// What it asks for.
        what: &'static str,
    },
    /// Its uses are spent.
    #[error("{0:?}: the uses are spent")]
    Spent(Caveat),
    /// The counter could not count it.
    #[error(transparent)]
    Counter(Refused),
    /// A third party has not consented.
    #[error("nobody at {location:?} has consented, or to another request")]
    NoDischarge {
        /// Where consent is given.
        location: String,
    },
}

impl Macaroon {
    /// Whether the token was minted with `key`, all its conditions hold, and there
    /// is a use left, which is taken.
    ///
    /// # Errors
    /// [`Denied`], by the first condition that does not hold; no use was taken then.
    pub fn verify(
        &self,
        key: &Key,
        context: &Context,
        counter: &mut dyn UseCounter,
    ) -> Result<(), Denied> {
        let mut trial = Trial {
            token: &self.signature,
            context,
            unused: context.discharges.iter().collect(),
            counted: Vec::new(),
        };
        trial.chain(self, key, |last| last.matches(&self.signature))?;
        let (quotas, caveats): (Vec<Quota>, Vec<&Caveat>) = trial.counted.into_iter().unzip();
        match counter.take(&quotas, context.now) {
            Ok(()) => Ok(()),
            Err(Refused::Spent(index)) if index < caveats.len() => {
                Err(Denied::Spent(caveats[index].clone()))
            }
            Err(refused) => Err(Denied::Counter(refused)),
        }
    }
}

/// One request on trial.
struct Trial<'a> {
    /// The last link of the token that discharges are bound to.
    token: &'a Signature,
    context: &'a Context,
    /// Each discharge counts once, so that two which ask for each other end.
    unused: Vec<&'a Discharge>,
    counted: Vec<(Quota, &'a Caveat)>,
}

impl<'a> Trial<'a> {
    /// Goes along the chain of `token`, whose last link has to satisfy `genuine`.
    fn chain(
        &mut self,
        token: &'a Macaroon,
        key: &Key,
        genuine: impl FnOnce(&Signature) -> bool,
    ) -> Result<(), Denied> {
        let mut links = vec![mac::first(key, &token.id)];
        for condition in &token.conditions {
            let link = mac::next(&links[links.len() - 1], &codec::condition(condition));
            links.push(link);
        }
        if !genuine(&links[links.len() - 1]) {
            return Err(Denied::Signature);
        }
        for (condition, link) in token.conditions.iter().zip(links.windows(2)) {
            match condition {
                Condition::Own(caveat) => self.own(caveat, &link[1])?,
                Condition::Third(third) => {
                    let key = mac::unseal(&link[0], &third.id, &third.sealed);
                    self.discharged(&third.id, &key).unwrap_or_else(|| {
                        Err(Denied::NoDischarge {
                            location: third.location.clone(),
                        })
                    })?;
                }
            }
        }
        Ok(())
    }

    fn own(&mut self, caveat: &'a Caveat, link: &Signature) -> Result<(), Denied> {
        match caveat.judge(self.context) {
            Verdict::Met => return Ok(()),
            Verdict::Violated => return Err(Denied::Violated(caveat.clone())),
            Verdict::Unknown(what) => {
                return Err(Denied::Missing {
                    caveat: caveat.clone(),
                    what,
                });
            }
            Verdict::Counted => {}
        }
        let (uses, window) = match caveat {
            Caveat::Rate { uses, window } => (u64::from(*uses), Some(*window)),
            Caveat::MaxUses(uses) => (*uses, None),
            _ => unreachable!("only these two are counted"),
        };
        let key = mac::name(link);
        self.counted.push((Quota { key, uses, window }, caveat));
        Ok(())
    }

    /// Judges the discharge of this identifier; `None` when there is none that is genuine.
    fn discharged(&mut self, id: &[u8], key: &Key) -> Option<Result<(), Denied>> {
        let token = self.token;
        let mut tried = 0;
        // Anyone can make a discharge with a given identifier, so all of them are tried.
        while let Some(at) = self.unused[tried..].iter().position(|d| d.0.id == id) {
            let discharge = self.unused.remove(tried + at);
            let bound = &discharge.0.signature;
            let judged = self.chain(&discharge.0, key, |last| {
                mac::bind(token, last).matches(bound)
            });
            if judged != Err(Denied::Signature) {
                return Some(judged);
            }
            tried += at;
        }
        None
    }
}
