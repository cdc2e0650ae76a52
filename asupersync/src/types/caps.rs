//! Capabilities: which effects a context may perform.
//!
//! A [`CapSet`] is a description, and anyone may write one down. What gives it
//! force is the context that carries it, and there is no way to make one that
//! carries more than the context it was made from:
//!
//! 1. the root of a run holds [`CapSet::ALL`], unless its options say less;
//! 2. a narrowed context, a child's context and a region's scope hold the
//!    intersection of their maker's set with the set asked for;
//! 3. nothing forms a union with a set that a context holds.

use std::fmt;
use std::ops::BitAnd;
use std::sync::atomic::{AtomicU64, Ordering};

/// An effect that a context may or may not perform.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Capability {
    /// Starting tasks.
    Spawn,
    /// Waiting for the clock. Reading it needs no capability.
    Time,
    /// Generators of random words. Single words need no capability.
    Random,
    /// Listening and connecting, and waiting for descriptors of the system that
    /// the program brings along. A stream one was given may be used without.
    Net,
    /// Files.
    Fs,
    /// Other processes, and what signals to this one do.
    Process,
    /// Events of one's own in the trace.
    Trace,
    /// Calls to other machines.
    Remote,
}

impl Capability {
    /// All eight, in the order of their bits.
    pub const ALL: [Capability; 8] = [
        Capability::Spawn,
        Capability::Time,
        Capability::Random,
        Capability::Net,
        Capability::Fs,
        Capability::Process,
        Capability::Trace,
        Capability::Remote,
    ];

    /// As it is written in reports, and as the constants of [`CapSet`] are called.
    pub const fn name(self) -> &'static str {
        match self {
            Capability::Spawn => "SPAWN",
            Capability::Time => "TIME",
            Capability::Random => "RANDOM",
            Capability::Net => "NET",
            Capability::Fs => "FS",
            Capability::Process => "PROCESS",
            Capability::Trace => "TRACE",
            Capability::Remote => "REMOTE",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Capability`]s; all of them by default.
///
/// ```
/// use asupersync::{CapSet, Capability};
///
/// let worker = CapSet::ALL.without(CapSet::NET.with(CapSet::FS));
/// assert!(worker.contains(Capability::Time) && !worker.contains(Capability::Net));
/// assert!(worker.is_subset(CapSet::ALL));
/// assert_eq!(format!("{:?}", worker & CapSet::SPAWN.with(CapSet::NET)), "SPAWN");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct CapSet(u8);

impl CapSet {
    /// Every effect.
    pub const ALL: CapSet = CapSet(u8::MAX);
    /// No effect.
    pub const NONE: CapSet = CapSet(0);
    /// [`Capability::Spawn`].
    pub const SPAWN: CapSet = CapSet::of(Capability::Spawn);
    /// [`Capability::Time`].
    pub const TIME: CapSet = CapSet::of(Capability::Time);
    /// [`Capability::Random`].
    pub const RANDOM: CapSet = CapSet::of(Capability::Random);
    /// [`Capability::Net`].
    pub const NET: CapSet = CapSet::of(Capability::Net);
    /// [`Capability::Fs`].
    pub const FS: CapSet = CapSet::of(Capability::Fs);
    /// [`Capability::Process`].
    pub const PROCESS: CapSet = CapSet::of(Capability::Process);
    /// [`Capability::Trace`].
    pub const TRACE: CapSet = CapSet::of(Capability::Trace);
    /// [`Capability::Remote`].
    pub const REMOTE: CapSet = CapSet::of(Capability::Remote);

    /// The set of this one.
    pub const fn of(capability: Capability) -> CapSet {
        CapSet(1 << capability as u8)
    }

    /// The effects in either set.
    pub const fn with(self, o: CapSet) -> CapSet {
        CapSet(self.0 | o.0)
    }

    /// The effects in this set and not in the other.
    pub const fn without(self, o: CapSet) -> CapSet {
        CapSet(self.0 & !o.0)
    }

    /// The effects in both sets.
    pub const fn meet(self, o: CapSet) -> CapSet {
        CapSet(self.0 & o.0)
    }

    /// Whether the effect is in the set.
    #[inline]
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & CapSet::of(capability).0 != 0
    }

    /// Whether every effect of this set is in the other.
    pub const fn is_subset(self, o: CapSet) -> bool {
        self.0 & !o.0 == 0
    }

    /// One bit per effect, in the order of [`Capability::ALL`].
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; every byte is one.
    pub const fn from_bits(bits: u8) -> CapSet {
        CapSet(bits)
    }

    /// The effects of the set, in the order of [`Capability::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL
            .into_iter()
            .filter(move |c| self.contains(*c))
    }
}

impl Default for CapSet {
    /// Everything: a set narrows only where somebody says so.
    fn default() -> Self {
        CapSet::ALL
    }
}

impl BitAnd for CapSet {
    type Output = CapSet;

    fn bitand(self, o: CapSet) -> CapSet {
        self.meet(o)
    }
}

impl From<Capability> for CapSet {
    fn from(capability: Capability) -> Self {
        CapSet::of(capability)
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == CapSet::NONE {
            return f.write_str("NONE");
        }
        for (i, capability) in self.iter().enumerate() {
            if i > 0 {
                f.write_str("|")?;
            }
            f.write_str(capability.name())?;
        }
        Ok(())
    }
}

/// An effect was asked of a context that may not perform it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "CapabilityDenied: {capability} is not among the effects of this context ({held:?}); pass a context that has it, or keep it in TaskBuilder::caps, RegionOptions::caps or Cx::restrict where this one was narrowed"
)]
pub struct CapabilityDenied {
    /// The effect.
    pub capability: Capability,
    /// What the context may do.
    pub held: CapSet,
}

impl From<CapabilityDenied> for std::io::Error {
    fn from(e: CapabilityDenied) -> Self {
        std::io::Error::new(std::io::ErrorKind::PermissionDenied, e)
    }
}

/// How often each effect was denied.
#[derive(Debug, Default)]
pub(crate) struct Denials([AtomicU64; Capability::ALL.len()]);

impl Denials {
    pub(crate) fn count(&self, capability: Capability) {
        // A statistic: nothing is ordered by it.
        self.0[capability as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, capability: Capability) -> u64 {
        self.0[capability as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_effect_has_a_bit_and_a_name_of_its_own() {
        for (i, c) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(CapSet::of(c).bits(), 1 << i);
            assert_eq!(format!("{:?}", CapSet::of(c)), c.name());
        }
        assert_eq!(CapSet::ALL.iter().count(), 8);
        assert_eq!(format!("{:?}", CapSet::NONE), "NONE");
    }

    #[test]
    fn sets_obey_the_laws_of_sets_for_every_pair() {
        for (a, b) in (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| (a, b))) {
            let (x, y) = (CapSet::from_bits(a), CapSet::from_bits(b));
            assert!((x & y).is_subset(x) && (x & y).is_subset(y));
            assert!(x.is_subset(x.with(y)) && y.is_subset(x.with(y)));
            assert_eq!(x.without(y) & y, CapSet::NONE);
            assert_eq!(x.without(y).with(x & y), x);
            assert_eq!(x.is_subset(y), x & y == x);
        }
    }
}
