//! Uses and rates: the caveats that need memory.

use crate::types::time::Time;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Entries that [`Counts`] keeps by default: about eight megabytes.
const CAPACITY: usize = 65_536;

/// Names the caveat of one token to a counter.
///
/// It follows from the chain up to that caveat, so tokens derived later share
/// it: narrowing a token gives no new uses. It tells nothing about the token's
/// signature, so a counter may be kept anywhere.
pub type QuotaKey = [u8; 32];

/// What a counter is asked to allow one more use of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Of which caveat.
    pub key: QuotaKey,
    /// How many uses there are.
    pub uses: u64,
    /// In how long; `None` is ever.
    pub window: Option<Duration>,
}

/// Why a counter refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The uses of the quota with this index are spent.
    #[error("the uses are spent")]
    Spent(usize),
    /// The verifier keeps no counts.
    #[error("the verifier keeps no counts; give it a counter")]
    NoCounter,
    /// The counter has no room for another token.
    #[error("the counter has no room for another token")]
    Full,
}

/// The memory of a verifier. Verifiers that accept the same tokens share one,
/// or each of them grants all the uses.
pub trait UseCounter {
    /// Takes one use from every quota, or from none.
    ///
    /// # Errors
    /// [`Refused`]; nothing was taken then.
    fn take(&mut self, quotas: &[Quota], now: Option<Time>) -> Result<(), Refused>;
}

/// The counter of a verifier that has none: what needs one is denied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stateless;

impl UseCounter for Stateless {
    fn take(&mut self, quotas: &[Quota], _now: Option<Time>) -> Result<(), Refused> {
        match quotas {
            [] => Ok(()),
            [..] => Err(Refused::NoCounter),
        }
    }
}

/// Counts in memory, bounded: when they are full, a token that was never seen is
/// denied rather than one that was forgotten.
#[derive(Clone, Debug)]
pub struct Counts {
    used: BTreeMap<QuotaKey, Used>,
    capacity: usize,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    uses: u64,
    /// When the window ends; `Time::MAX` when there is none.
    until: Time,
}

impl Default for Counts {
    fn default() -> Self {
        Counts::with_capacity(CAPACITY)
    }
}

impl Counts {
    /// Counts for at most so many caveats at a time.
    pub const fn with_capacity(capacity: usize) -> Self {
        Counts {
            used: BTreeMap::new(),
            capacity,
        }
    }

    /// How many caveats are being counted.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether nothing was counted yet.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    fn used(&self, quota: &Quota, now: Option<Time>) -> Option<Used> {
        let used = self.used.get(&quota.key).copied();
        // A window that has ended counts for nothing.
        used.filter(|u| quota.window.is_none() || now.is_none_or(|now| now < u.until))
    }
}

impl UseCounter for Counts {
    fn take(&mut self, quotas: &[Quota], now: Option<Time>) -> Result<(), Refused> {
        let spent = |q: &Quota| self.used(q, now).map_or(0, |u| u.uses) >= q.uses;
        if let Some(index) = quotas.iter().position(spent) {
            return Err(Refused::Spent(index));
        }
        let fresh = |used: &BTreeMap<QuotaKey, Used>| {
            quotas.iter().filter(|q| !used.contains_key(&q.key)).count()
        };
        if self.used.len() + fresh(&self.used) > self.capacity {
            // Only a window that has ended may be forgotten without granting anything twice.
            self.used
                .retain(|_, u| now.is_none_or(|now| u.until == Time::MAX || now < u.until));
            if self.used.len() + fresh(&self.used) > self.capacity {
                return Err(Refused::Full);
            }
        }
        for quota in quotas {
            let until = match (quota.window, now) {
                (Some(window), Some(now)) => now + window.max(Duration::from_nanos(1)),
                _ => Time::MAX,
            };
            let so_far = self.used(quota, now).unwrap_or(Used { uses: 0, until });
            let uses = so_far.uses + 1;
            self.used.insert(quota.key, Used { uses, ..so_far });
        }
        Ok(())
    }
}

/// A counter that several verifiers share.
impl<C: UseCounter> UseCounter for Arc<Mutex<C>> {
    fn take(&mut self, quotas: &[Quota], now: Option<Time>) -> Result<(), Refused> {
        // A counter takes from all quotas or from none, so a panic leaves nothing half done.
        let mut counter = self.lock().unwrap_or_else(PoisonError::into_inner);
        counter.take(quotas, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(key: u8, uses: u64, window: Option<u64>) -> Quota {
        Quota {
            key: [key; 32],
            uses,
            window: window.map(Duration::from_nanos),
        }
    }

    const fn at(n: u64) -> Option<Time> {
        Some(Time::from_nanos(n))
    }

    #[test]
    fn a_use_is_taken_from_every_quota_or_from_none() {
        let mut counts = Counts::default();
        let (two, one) = (quota(1, 2, None), quota(2, 1, None));
        assert_eq!(counts.take(&[two, one], None), Ok(()));
        assert_eq!(counts.take(&[two, one], None), Err(Refused::Spent(1)));
        // The refusal above took nothing from the first.
        assert_eq!(counts.take(&[two], None), Ok(()));
        assert_eq!(counts.take(&[two], None), Err(Refused::Spent(0)));
    }

    #[test]
    fn a_window_begins_with_its_first_use() {
        let mut counts = Counts::default();
        let q = [quota(1, 2, Some(10))];
        for (now, taken) in [
            (5, true),
            (14, true),
            (14, false),
            (15, true),
            (24, true),
            (24, false),
        ] {
            assert_eq!(counts.take(&q, at(now)).is_ok(), taken, "at {now}");
        }
    }

    #[test]
    fn a_full_counter_forgets_ended_windows_and_nothing_else() {
        let mut counts = Counts::with_capacity(2);
        assert_eq!(counts.take(&[quota(1, 1, None)], at(0)), Ok(()));
        assert_eq!(counts.take(&[quota(2, 1, Some(10))], at(0)), Ok(()));
        assert_eq!(counts.take(&[quota(3, 1, None)], at(9)), Err(Refused::Full));
        assert_eq!(counts.take(&[quota(3, 1, None)], at(10)), Ok(()));
        assert_eq!(
            counts.take(&[quota(1, 1, None)], at(99)),
            Err(Refused::Spent(0))
        );
        assert_eq!((counts.len(), counts.is_empty()), (2, false));
    }
}
