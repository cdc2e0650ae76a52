//! The promises a task holds, in a table of its own.
//!
//! Reserving and resolving touch the holder's table only: no lock for the first
//! eight, no global table ever.
//!
//! Invariants:
//! 1. LINEAR: an id names one record, once: whoever frees it has resolved it,
//!    and a stale id resolves nothing, since a slot that is used again is in
//!    another generation;
//! 2. HELD: only the value of the holder names its record; it cannot be cloned,
//!    and what resolves or moves it takes it;
//! 3. LEDGER: whoever completes has no record: what is left then has leaked.

use super::region::RegionCell;
use super::task::TaskRef;
use super::{contain, lock};
use crate::kernel::task::TaskPhase;
use crate::types::event::Event;
use crate::types::id::ObligationId;
use crate::types::obligation::{AbortCause, LeakResponse, ObligationKind, Resolution};
use crate::types::outcome::PanicPayload;
use crate::types::report::LeakRecord;
use crate::types::slots::{Key, Slots};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Promises kept without a lock.
const INLINE: usize = 8;

/// A record without a lock: below the kind of the promise, counted from 1, or 0
/// when the slot is free; above the slot's generation.
const KIND_BITS: u32 = 8;
/// A slot in this generation is worn out and stays free.
const LAST_GENERATION: u32 = u32::MAX >> KIND_BITS;

/// A task's promises; allocated with the first one.
#[derive(Default)]
pub(crate) struct Promises {
    inline: [AtomicU32; INLINE],
    /// Further ones; the slot number is offset by `INLINE`.
    overflow: Mutex<Slots<ObligationKind>>,
}

fn encode(kind: ObligationKind) -> u32 {
    kind as u32 + 1
}

fn decode(record: u32) -> Option<ObligationKind> {
    let kind = record & ((1 << KIND_BITS) - 1);
    ObligationKind::ALL
        .get(kind.checked_sub(1)? as usize)
        .copied()
}

impl Promises {
    fn reserve(&self, kind: ObligationKind) -> ObligationId {
        for (slot, record) in self.inline.iter().enumerate() {
            let free = record.load(Ordering::Relaxed);
            let generation = free >> KIND_BITS;
            if decode(free).is_none()
                && generation != LAST_GENERATION
                && record
                    .compare_exchange(
                        free,
                        free | encode(kind),
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    )
                    .is_ok()
            {
                return ObligationId::new(slot as u32, generation);
            }
        }
        let key = lock(&self.overflow).insert(kind);
        ObligationId::new(INLINE as u32 + key.slot, key.generation)
    }

    /// Frees the slot; `None` when the record of this id was resolved before.
    fn resolve(&self, id: ObligationId) -> Option<ObligationKind> {
        let Some(record) = self.inline.get(id.slot() as usize) else {
            return lock(&self.overflow).remove(Key {
                slot: id.slot() - INLINE as u32,
                generation: id.generation(),
            });
        };
        let held = record.load(Ordering::Relaxed);
        let kind = decode(held).filter(|_| held >> KIND_BITS == id.generation())?;
        let freed = (id.generation() + 1) << KIND_BITS;
        let freed = record.compare_exchange(held, freed, Ordering::AcqRel, Ordering::Relaxed);
        freed.is_ok().then_some(kind)
    }

    fn held(&self) -> Vec<(ObligationId, ObligationKind)> {
        let mut all = Vec::new();
        for (slot, record) in self.inline.iter().enumerate() {
            let record = record.load(Ordering::Acquire);
            let id = ObligationId::new(slot as u32, record >> KIND_BITS);
            all.extend(decode(record).map(|kind| (id, kind)));
        }
        let overflow = lock(&self.overflow);
        all.extend(overflow.entries().map(|(key, kind)| {
            let id = ObligationId::new(INLINE as u32 + key.slot, key.generation);
            (id, *kind)
        }));
        all
    }
}

/// A promise, held by a task until it is committed or aborted.
///
/// Dropping it aborts it.
#[must_use = "an obligation is committed or aborted; dropping it aborts"]
pub(crate) struct Obligation {
    holder: TaskRef,
    /// Its record in the holder's table.
    id: ObligationId,
    kind: ObligationKind,
    /// The region whose body made the promise, if it is not the task's own: a
    /// body can be asked to cancel while its task is not.
    body: Option<Arc<RegionCell>>,
    settled: bool,
}

impl Obligation {
    /// `holder` promises. One that has ended can promise nothing: nobody would
    /// find out, so there is no record, and the value resolves nothing.
    pub(crate) fn reserve(holder: &TaskRef, kind: ObligationKind) -> Self {
        let mut promise = Obligation {
            holder: holder.clone(),
            id: ObligationId::new(u32::MAX, 0),
            kind,
            body: None,
            settled: holder.is_complete(),
        };
        if !promise.settled {
            promise.id = promises(holder).reserve(kind);
            let (task, obligation) = (holder.id(), promise.id);
            holder.emit(|| Event::ObligationReserved {
                task,
                obligation,
                kind,
            });
        }
        promise
    }

    /// Promised by the body of `region`.
    pub(crate) fn by_body(mut self, region: Option<&Arc<RegionCell>>) -> Self {
        self.body = region.cloned();
        self
    }

    /// The task that promised.
    pub(crate) fn holder(&self) -> &TaskRef {
        &self.holder
    }

    /// The promised effect happened.
    pub(crate) fn commit(self) {
        self.resolve(Resolution::Committed);
    }

    /// It did not.
    pub(crate) fn abort(self, cause: AbortCause) {
        self.resolve(Resolution::Aborted(cause));
    }

    /// Another live task holds it from now on; with a task that has ended it
    /// stays where it is.
    ///
    /// There is no moment without a record: the new one is there before the old
    /// one goes, and one event tells of both.
    pub(crate) fn transfer(mut self, to: &TaskRef) -> Self {
        if self.settled || to.is_complete() {
            return self;
        }
        let id = promises(to).reserve(self.kind);
        if promises(&self.holder).resolve(self.id).is_none() {
            // It had leaked before it was moved, and was told as such.
            promises(to).resolve(id);
            self.settled = true;
            return self;
        }
        self.holder.emit(|| Event::ObligationMoved {
            from: (self.holder.id(), self.id),
            to: (to.id(), id),
            kind: self.kind,
        });
        self.holder = to.clone();
        self.id = id;
        self.body = None;
        self
    }

    fn resolve(mut self, how: Resolution) {
        self.settle(how);
    }

    /// Resolves the record, once.
    fn settle(&mut self, how: Resolution) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        // A record that is gone was found leaked when its holder completed.
        if promises(&self.holder).resolve(self.id).is_some() {
            let (task, obligation, kind) = (self.holder.id(), self.id, self.kind);
            self.holder.emit(|| Event::ObligationResolved {
                task,
                obligation,
                kind,
                how,
            });
        }
    }
}

impl std::fmt::Debug for Obligation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Obligation")
            .field("kind", &self.kind)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

impl Drop for Obligation {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let orderly = std::thread::panicking()
            || self.holder.cancel_requested()
            || self
                .body
                .as_ref()
                .is_some_and(|region| region.cancel_requested())
            || self.holder.phase() >= TaskPhase::Finalizing;
        let cause = if orderly {
            AbortCause::Cancel
        } else {
            AbortCause::Dropped
        };
        self.settle(Resolution::Aborted(cause));
    }
}

/// The task's table, made on first use.
fn promises(task: &TaskRef) -> &Promises {
    let slot = &task.head().promises;
    let mut table = slot.load(Ordering::Acquire);
    if table.is_null() {
        let fresh = Box::into_raw(Box::<Promises>::default());
        match slot.compare_exchange(
            std::ptr::null_mut(),
            fresh,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => table = fresh,
            Err(other) => {
                // SAFETY: `fresh` was not published.
                drop(unsafe { Box::from_raw(fresh) });
                table = other;
            }
        }
    }
    // SAFETY: the table lives as long as the head, which `task` keeps alive.
    unsafe { &*table }
}

/// What the task has promised and not resolved.
pub(crate) fn held(task: &TaskRef) -> Vec<ObligationKind> {
    if task.head().promises.load(Ordering::Acquire).is_null() {
        return Vec::new();
    }
    let held = promises(task).held().into_iter();
    held.map(|(_, kind)| kind).collect()
}

/// The holder completes: what it still holds has leaked. What the world wants
/// done about it may be a panic, which is then what the holder ended with.
pub(crate) fn settle_leaks(task: &TaskRef) -> Option<PanicPayload> {
    if task.head().promises.load(Ordering::Acquire).is_null() {
        return None;
    }
    let table = promises(task);
    let mut panicked = None;
    for (obligation, kind) in table.held() {
        if table.resolve(obligation).is_none() {
            continue;
        }
        let how = Resolution::Leaked;
        task.emit(|| Event::ObligationResolved {
            task: task.id(),
            obligation,
            kind,
            how,
        });
        let leak = LeakRecord {
            task: task.id(),
            name: task.name(),
            region: task.region().id,
            kind,
        };
        let world = &task.region().tree.world;
        match world.leak_response() {
            // One panic tells of the first; all are in the report.
            LeakResponse::Panic if panicked.is_none() && !std::thread::panicking() => {
                panicked = contain(|| panic!("{leak}")).err();
            }
            LeakResponse::Panic | LeakResponse::Log => world.warn(&leak),
            LeakResponse::Count => {}
        }
        task.region().add_leak(leak);
    }
    panicked
}

impl Drop for super::task::Head {
    fn drop(&mut self) {
        let table = *self.promises.get_mut();
        if !table.is_null() {
            // SAFETY: the table came from `promises` and its head goes away now.
            drop(unsafe { Box::from_raw(table) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_resolved_once_also_beyond_the_inline_ones() {
        let p = Promises::default();
        let kind = |i: u32| ObligationKind::ALL[i as usize % 6];
        let ids: Vec<ObligationId> = (0..12).map(|i| p.reserve(kind(i))).collect();
        let slots: Vec<u32> = ids.iter().map(|id| id.slot()).collect();
        assert_eq!(slots, (0..12).collect::<Vec<_>>());
        assert_eq!(p.held().len(), 12);
        for id in &ids {
            assert_eq!(p.resolve(*id), Some(kind(id.slot())));
            assert_eq!(p.resolve(*id), None);
        }
        assert!(p.held().is_empty());
        let next = p.reserve(ObligationKind::Ack);
        assert_eq!(next, ObligationId::new(0, 1), "free slots are reused");
        assert_eq!(p.resolve(ids[0]), None, "a stale id is no alias");
        assert_eq!(p.resolve(next), Some(ObligationKind::Ack));
    }

    #[test]
    fn a_worn_out_slot_is_never_used_again() {
        let p = Promises::default();
        p.inline[0].store((LAST_GENERATION - 1) << KIND_BITS, Ordering::Relaxed);
        let last = p.reserve(ObligationKind::Reply);
        assert_eq!(last, ObligationId::new(0, LAST_GENERATION - 1));
        assert_eq!(p.resolve(last), Some(ObligationKind::Reply));
        assert_eq!(p.reserve(ObligationKind::Reply).slot(), 1);
        assert_eq!(p.resolve(last), None);
    }
}
