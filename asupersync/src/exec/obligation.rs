//! The promises a task holds, in a table of its own.
//!
//! Reserving and resolving touch the holder's table only: no lock for the first
//! eight, no global table ever. A record is the kind of the promise, or 0 when
//! its slot is free; whoever swaps a record to 0 has resolved it.

use super::lock;
use super::region::RegionCell;
use super::task::TaskRef;
use crate::kernel::task::TaskPhase;
use crate::types::event::Event;
use crate::types::obligation::{AbortCause, ObligationKind, Resolution};
use crate::types::report::LeakRecord;
use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// Promises kept without a lock.
const INLINE: usize = 8;

/// A task's promises; allocated with the first one.
#[derive(Default)]
pub(crate) struct Promises {
    inline: [AtomicU8; INLINE],
    /// Further ones; the slot number is offset by `INLINE`.
    overflow: Mutex<Vec<u8>>,
}

const KINDS: [ObligationKind; 6] = [
    ObligationKind::SendPermit,
    ObligationKind::Ack,
    ObligationKind::Reply,
    ObligationKind::Effect,
    ObligationKind::Lease,
    ObligationKind::IoOp,
];

fn encode(kind: ObligationKind) -> u8 {
    kind as u8 + 1
}

fn decode(record: u8) -> Option<ObligationKind> {
    KINDS.get(usize::from(record.checked_sub(1)?)).copied()
}

impl Promises {
    fn reserve(&self, kind: ObligationKind) -> u32 {
        for (slot, record) in self.inline.iter().enumerate() {
            let free = record.load(Ordering::Relaxed) == 0;
            if free
                && record
                    .compare_exchange(0, encode(kind), Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                return slot as u32;
            }
        }
        let mut overflow = lock(&self.overflow);
        let slot = overflow.iter().position(|r| *r == 0).unwrap_or_else(|| {
            overflow.push(0);
            overflow.len() - 1
        });
        overflow[slot] = encode(kind);
        (INLINE + slot) as u32
    }

    /// Frees the slot; `None` when it was free already.
    fn resolve(&self, slot: u32) -> Option<ObligationKind> {
        let slot = slot as usize;
        let record = match self.inline.get(slot) {
            Some(record) => record.swap(0, Ordering::AcqRel),
            None => mem::take(lock(&self.overflow).get_mut(slot - INLINE)?),
        };
        decode(record)
    }

    fn held(&self) -> Vec<(u32, ObligationKind)> {
        let mut all: Vec<u8> = self
            .inline
            .iter()
            .map(|r| r.load(Ordering::Acquire))
            .collect();
        all.extend_from_slice(&lock(&self.overflow));
        (all.into_iter().enumerate())
            .filter_map(|(slot, r)| Some((slot as u32, decode(r)?)))
            .collect()
    }
}

/// A promise, held by a task until it is committed or aborted.
///
/// Dropping it aborts it.
#[must_use = "an obligation is committed or aborted; dropping it aborts"]
pub(crate) struct Obligation {
    holder: TaskRef,
    slot: u32,
    kind: ObligationKind,
    /// The region whose body made the promise, if it is not the task's own: a
    /// body can be asked to cancel while its task is not.
    body: Option<Arc<RegionCell>>,
    settled: bool,
}

impl Obligation {
    /// `holder` promises.
    pub(crate) fn reserve(holder: &TaskRef, kind: ObligationKind) -> Self {
        let slot = promises(holder).reserve(kind);
        holder.emit(|| Event::ObligationReserved {
            task: holder.id(),
            slot,
            kind,
        });
        Obligation {
            holder: holder.clone(),
            slot,
            kind,
            body: None,
            settled: false,
        }
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

    /// Another live task holds it from now on.
    pub(crate) fn transfer(self, to: &TaskRef) -> Self {
        let kind = self.kind;
        self.resolve(Resolution::Aborted(AbortCause::Explicit));
        Obligation::reserve(to, kind)
    }

    fn resolve(mut self, how: Resolution) {
        self.settle(how);
    }

    /// Resolves the record, once.
    fn settle(&mut self, how: Resolution) {
        self.settled = true;
        // A record that is gone was found leaked when its holder completed.
        if promises(&self.holder).resolve(self.slot).is_some() {
            let (task, slot, kind) = (self.holder.id(), self.slot, self.kind);
            self.holder.emit(|| Event::ObligationResolved {
                task,
                slot,
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

/// The holder completes: what it still holds has leaked.
pub(crate) fn settle_leaks(task: &TaskRef) {
    if task.head().promises.load(Ordering::Acquire).is_null() {
        return;
    }
    let table = promises(task);
    for (slot, kind) in table.held() {
        if table.resolve(slot).is_none() {
            continue;
        }
        let how = Resolution::Leaked;
        task.emit(|| Event::ObligationResolved {
            task: task.id(),
            slot,
            kind,
            how,
        });
        task.region().add_leak(LeakRecord {
            task: task.id(),
            name: task.name(),
            kind,
        });
    }
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
        let slots: Vec<u32> = (0..12).map(|i| p.reserve(KINDS[i % 6])).collect();
        assert_eq!(slots, (0..12).collect::<Vec<_>>());
        assert_eq!(p.held().len(), 12);
        for s in &slots {
            assert_eq!(p.resolve(*s), Some(KINDS[*s as usize % 6]));
            assert_eq!(p.resolve(*s), None);
        }
        assert!(p.held().is_empty());
        assert_eq!(p.reserve(ObligationKind::Ack), 0, "free slots are reused");
    }
}
