//! What a task holds until it lets go, as a byte per slot.
//!
//! | bits | field | says |
//! |---|---|---|
//! | 0..4 | record | 0 free, 1 to 6 a reserved promise of that kind, 7 a hold, 8 outlived |
//! | 4..8 | generation | tells readers of events one tenant of a slot from the next: 0 for the first, then 1 to 15 over and over |
//!
//! A promise has to be resolved. A hold promises nothing: it is there so that
//! whoever finds the holder's address finds the holder.
//!
//! | record | a tenant comes | the tenant's value goes | the holder completes |
//! |---|---|---|---|
//! | free | → reserved or held, as long as the holder lives | - | stays free |
//! | reserved | - | → free: committed or aborted | → outlived: it has leaked |
//! | held | - | → free | → outlived |
//! | outlived | - | → free: it is too late, nothing is resolved | - |
//!
//! Invariants:
//! 1. LINEAR: a slot is freed only by the value that was given it, so it is
//!    never lent to two and no value resolves another's promise;
//! 2. LEDGER: once the holder has completed, no slot is reserved or held.

use crate::types::obligation::ObligationKind;

/// Slots of a task.
pub const SLOTS: usize = 8;

const RECORD: u8 = 0b1111;
const GENERATION: u32 = 4;
const HELD: u8 = 7;
const OUTLIVED: u8 = 8;

/// Who takes a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tenant {
    /// A promise of that kind.
    Promise(ObligationKind),
    /// Who only wants the holder to stay in place.
    Hold,
}

/// A slot; one that was never used is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slot(pub u8);

impl Slot {
    /// Whether nobody has it.
    #[inline]
    pub fn is_free(self) -> bool {
        self.0 & RECORD == 0
    }

    /// Whether nobody ever had it.
    #[inline]
    pub fn is_unused(self) -> bool {
        self.0 == 0
    }

    /// The free slot once it is taken.
    #[inline]
    #[must_use]
    pub fn taken_by(self, tenant: Tenant) -> Self {
        let record = match tenant {
            Tenant::Promise(kind) => kind as u8 + 1,
            Tenant::Hold => HELD,
        };
        Slot(self.0 | record)
    }

    /// The slot once its tenant's value has let go of it, whatever it was then.
    #[inline]
    #[must_use]
    pub fn freed(self) -> Self {
        // Carries into the generation, from the last of which it goes on with 1.
        let next = (self.0 | RECORD).wrapping_add(1);
        Slot(if next == 0 { 1 << GENERATION } else { next })
    }

    /// The slot in use once its holder has completed.
    #[must_use]
    pub fn outlived(self) -> Self {
        Slot(self.0 & !RECORD | OUTLIVED)
    }

    /// Whether its holder had completed while it was in use.
    #[inline]
    pub fn is_outlived(self) -> bool {
        self.0 & RECORD == OUTLIVED
    }

    /// The promise that is reserved in it.
    pub fn promise(self) -> Option<ObligationKind> {
        let number = usize::from(self.0 & RECORD).checked_sub(1)?;
        ObligationKind::ALL.get(number).copied()
    }

    /// Which tenant's it is, or that of the next if it is free.
    pub fn generation(self) -> u32 {
        u32::from(self.0 >> GENERATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants() -> impl Iterator<Item = Tenant> {
        let promises = ObligationKind::ALL.into_iter().map(Tenant::Promise);
        promises.chain([Tenant::Hold])
    }

    #[test]
    fn every_byte_that_can_come_about_says_what_it_stands_for() {
        let mut slot = Slot::default();
        assert!(slot.is_unused() && slot.is_free());
        // Twice around, so that the generation begins again.
        for generation in (0..16).chain(1..16).chain(1..4) {
            assert_eq!(slot.generation(), generation);
            for tenant in tenants() {
                let taken = slot.taken_by(tenant);
                assert!(!taken.is_free() && !taken.is_outlived() && !taken.is_unused());
                let promised = match tenant {
                    Tenant::Promise(kind) => Some(kind),
                    Tenant::Hold => None,
                };
                assert_eq!(taken.promise(), promised);
                assert_eq!(taken.generation(), generation);
                let outlived = taken.outlived();
                assert!(outlived.is_outlived() && !outlived.is_free());
                assert_eq!(outlived.promise(), None);
                assert_eq!(outlived.freed(), taken.freed());
            }
            slot = slot.taken_by(Tenant::Hold).freed();
            assert!(slot.is_free() && !slot.is_unused() && !slot.is_outlived());
        }
    }
}
