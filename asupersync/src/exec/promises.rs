//! The slots of a task's promises and holds, without a step that reads,
//! changes and writes in one.
//!
//! | step | done by | how |
//! |---|---|---|
//! | take a slot | the thread that polls the task | a load, and a store once it finds the slot free |
//! | free a slot | the thread that polls the task, if it has the value | a store |
//! | free a slot | any other thread that has the value | a swap |
//! | close | the thread that polls the task, in its last poll | a store to the flags, then a compare-and-swap per slot in use |
//!
//! Nobody else writes to a slot, so what looks like a race is none: a free slot
//! is written to by whoever polls the task, of whom there is one at a time; a
//! slot in use by its value, of which there is one; both at once only in the
//! last row, whose step says who came first.
//!
//! References: a value counts none. A task that has not completed is kept by its
//! seat, or for the root by the call it serves. Completing, it finds the slots
//! still in use, and gives one reference to each of their values before the seat
//! is given up. Who frees a slot and finds it outlived owns that reference; who
//! finds it in use does not look at the task again, as it may be gone the next moment.

use super::atomic::{AtomicU8, Ordering};
use crate::kernel::obligation::{SLOTS, Slot, Tenant};

/// The holder has completed.
const CLOSED: u8 = 1;
/// The holder's world records what happens.
const RECORDS: u8 = 1 << 1;
/// The holder's future is being dropped because its cleanup budget is spent.
const ESCALATED: u8 = 1 << 2;

/// What a task holds.
pub(crate) struct Promises {
    slots: [AtomicU8; SLOTS],
    /// Written by whoever polls the task, or when nobody will any more.
    flags: AtomicU8,
}

/// A slot as its tenant's value knows it: by its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Taken(pub(crate) u8);

impl Promises {
    /// No promises, of a task whose world records events or not.
    pub(crate) fn new(records: bool) -> Self {
        Promises {
            slots: std::array::from_fn(|_| AtomicU8::new(Slot::default().0)),
            flags: AtomicU8::new(if records { RECORDS } else { 0 }),
        }
    }

    /// Takes a slot, if one is free and the holder has not completed.
    ///
    /// For the thread that polls the holder.
    pub(crate) fn take(&self, tenant: Tenant) -> Option<Taken> {
        if self.is_closed() {
            return None;
        }
        let mut slots = (0..SLOTS).map(|index| Taken(index as u8));
        slots.find(|taken| self.take_slot(*taken, tenant))
    }

    /// Takes the first slot, if it is free, the holder has not completed, and
    /// nobody has to be told. Most tasks hold one thing at a time.
    ///
    /// For the thread that polls the holder.
    #[inline(always)]
    pub(crate) fn take_unseen(&self, tenant: Tenant) -> bool {
        self.is_unseen() && self.take_slot(Taken(0), tenant)
    }

    /// Whether the holder has not completed, and nobody has to be told of what it holds.
    #[inline(always)]
    pub(crate) fn is_unseen(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & (CLOSED | RECORDS) == 0
    }

    #[inline(always)]
    fn take_slot(&self, taken: Taken, tenant: Tenant) -> bool {
        // Acquire, in `slot`: the swap of another thread that freed it comes before
        // whatever is done with the task from now on, its end too.
        let slot = self.slot(taken);
        if slot.is_free() {
            let slot = slot.taken_by(tenant);
            self.at(taken).store(slot.0, Ordering::Relaxed);
        }
        slot.is_free()
    }

    /// Frees a slot, unless the holder has completed; `true` when it did.
    ///
    /// For the thread that polls the holder.
    pub(crate) fn free_here(&self, taken: Taken) -> bool {
        let closed = self.is_closed();
        if !closed {
            self.free_slot(taken);
        }
        !closed
    }

    /// As [`Promises::free_here`], of a holder that has not completed: nobody else
    /// writes to a slot in use.
    #[inline(always)]
    pub(crate) fn free_slot(&self, taken: Taken) {
        let freed = self.slot(taken).freed();
        self.at(taken).store(freed.0, Ordering::Relaxed);
    }

    /// Frees a slot; `true` when it was outlived, and the caller has a reference
    /// to the holder to give up. Otherwise the holder may be gone on return.
    #[must_use]
    pub(crate) fn free(&self, taken: Taken) -> bool {
        // Outlived or not, it is freed alike.
        let freed = self.slot(taken).freed();
        // Release: see `take_slot`. Acquire: the reference was counted before.
        Slot(self.at(taken).swap(freed.0, Ordering::AcqRel)).is_outlived()
    }

    /// What is in a slot.
    #[inline(always)]
    pub(crate) fn slot(&self, taken: Taken) -> Slot {
        Slot(self.at(taken).load(Ordering::Acquire))
    }

    /// From here on no slot is taken, and none is freed without a look at who came first.
    pub(crate) fn close(&self) {
        self.set(CLOSED, true);
    }

    /// The slots in use.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = (Taken, Slot)> {
        let all = (0..SLOTS).map(|index| Taken(index as u8));
        // Acquire, in `slot`: see `take_slot`.
        all.map(|taken| (taken, self.slot(taken)))
            .filter(|(_, slot)| !slot.is_free())
    }

    /// The holder has completed and finds the slot in use: `true` when it still
    /// is, and its value has a reference from now on, which the caller has
    /// counted for it.
    #[must_use]
    pub(crate) fn outlive(&self, taken: Taken, slot: Slot) -> bool {
        let (now, then) = (slot.0, slot.outlived().0);
        // Release: the reference was counted before. Acquire: see `take_slot`.
        self.at(taken)
            .compare_exchange(now, then, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Whether the holder has never taken a slot: the first is taken first.
    pub(crate) fn is_unused(&self) -> bool {
        Slot(self.slots[0].load(Ordering::Relaxed)).is_unused()
    }

    /// The holder's future is being dropped by escalation, or is so no longer.
    pub(crate) fn escalated(&self, on: bool) {
        self.set(ESCALATED, on);
    }

    pub(crate) fn is_escalated(&self) -> bool {
        self.flags.load(Ordering::Acquire) & ESCALATED != 0
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Whether its world records what happens.
    #[inline]
    pub(crate) fn is_recorded(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & RECORDS != 0
    }

    fn set(&self, flag: u8, on: bool) {
        let flags = self.flags.load(Ordering::Relaxed);
        let flags = if on { flags | flag } else { flags & !flag };
        self.flags.store(flags, Ordering::Release);
    }

    #[inline(always)]
    fn at(&self, taken: Taken) -> &AtomicU8 {
        &self.slots[usize::from(taken.0) % SLOTS]
    }
}
