//! The promises a task holds.
//!
//! A promise is a slot of the word in its holder's head
//! ([`kernel::obligation`](crate::kernel::obligation)): one step makes it and
//! one resolves it, with no lock, no table and no reference counted in between.
//! What does not fit into the word is kept on the cold side of the task.
//!
//! The value points to its holder through a reference that all values of one
//! word have in common. The holder's first promise takes it; it is given up
//! when the holder has completed and the last value is gone.

use super::contain;
use super::region::{RegionCell, signal};
use super::state;
use super::task::TaskRef;
use crate::kernel::obligation::{Left, Promises, Reserve, SLOTS};
use crate::kernel::task::TaskPhase;
use crate::types::event::Event;
use crate::types::id::{ObligationId, RegionId};
use crate::types::obligation::{AbortCause, LeakResponse, ObligationKind, Resolution};
use crate::types::outcome::PanicPayload;
use crate::types::report::LeakRecord;
use crate::types::slots::Key;
use std::mem::{self, ManuallyDrop};
use std::sync::atomic::{AtomicU64, Ordering};

/// A promise, held by a task until it is committed or aborted.
///
/// Dropping it aborts it.
#[must_use = "an obligation is committed or aborted; dropping it aborts"]
pub(crate) struct Obligation {
    /// Released by hand, as `place` says.
    holder: ManuallyDrop<TaskRef>,
    place: Place,
    kind: ObligationKind,
    /// The region whose body made the promise, if one did: a body can be asked
    /// to cancel while its task is not.
    body: Option<RegionId>,
}

/// Where the record of a promise is, and whose reference the value has.
#[derive(Clone, Copy)]
enum Place {
    /// In the word; the reference is the word's.
    Slot(ObligationId),
    /// On the cold side; the reference is the value's own.
    More(Key),
    /// Nowhere, since the holder had completed; the reference is the value's own.
    Unrecorded,
    /// Nowhere any more, and there is no reference either.
    Settled,
}

impl Place {
    /// What events call it.
    fn id(self) -> Option<ObligationId> {
        match self {
            Place::Slot(id) => Some(id),
            Place::More(key) => Some(id_of(key)),
            Place::Unrecorded | Place::Settled => None,
        }
    }
}

impl Obligation {
    /// `holder` promises.
    pub(crate) fn reserve(holder: &TaskRef, kind: ObligationKind) -> Self {
        let made = Obligation::make(holder, kind);
        if let Some(obligation) = made.place.id()
            && holder.region().tree.records
            && made.is_reserved()
        {
            holder.emit(|| Event::ObligationReserved {
                task: holder.id(),
                obligation,
                kind,
            });
        }
        made
    }

    /// Makes the record, and no event of it.
    fn make(holder: &TaskRef, kind: ObligationKind) -> Self {
        let word = &holder.head().promises;
        let mut before = word.load(Ordering::Relaxed);
        let place = loop {
            let (after, id, first) = match Promises(before).reserve(kind) {
                Reserve::Slot { after, id, first } => (after, id, first),
                Reserve::Full => break make_more(holder, kind),
                Reserve::Closed => break Place::Unrecorded,
            };
            match word.compare_exchange_weak(before, after.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if first => break begin(holder, id),
                Ok(_) => break Place::Slot(id),
                Err(now) => before = now,
            }
        };
        let holder = match place {
            // SAFETY: the word's reference keeps the holder alive for as long as the
            // slot is in use, and `settle` does not touch it after the slot is freed.
            Place::Slot(_) => unsafe { TaskRef::from_raw(holder.as_raw()) },
            Place::More(_) | Place::Unrecorded | Place::Settled => holder.clone(),
        };
        Obligation {
            holder: ManuallyDrop::new(holder),
            place,
            kind,
            body: None,
        }
    }

    /// Promised by the body of `region`.
    #[inline]
    pub(crate) fn by_body(mut self, region: Option<&RegionCell>) -> Self {
        self.body = region.map(|r| r.id);
        if let Some(region) = region
            && region.tree.records
        {
            self.tell_body();
        }
        self
    }

    #[cold]
    fn tell_body(&self) {
        if let Some((obligation, region)) = self.place.id().zip(self.body)
            && self.is_reserved()
        {
            let task = self.holder.id();
            self.holder.emit(|| Event::ObligationOfRegion {
                task,
                obligation,
                region,
            });
        }
    }

    /// The task that promised.
    pub(crate) fn holder(&self) -> &TaskRef {
        &self.holder
    }

    /// The promised effect happened.
    pub(crate) fn commit(mut self) {
        self.settle(Resolution::Committed);
    }

    /// It did not.
    pub(crate) fn abort(mut self, cause: AbortCause) {
        self.settle(Resolution::Aborted(cause));
    }

    /// Another task holds it from now on, as the body of `region` if it is one.
    ///
    /// At every instant one of the two has a record of it. A task that has
    /// completed cannot take it over, and one that leaked is not found again:
    /// then everything stays as it is.
    pub(crate) fn transfer(mut self, to: &TaskRef, region: Option<&RegionCell>) -> Self {
        let mut new = Obligation::make(to, self.kind);
        let ids = new.place.id().zip(self.place.id());
        let (Some((taken, old)), true) = (ids, new.is_reserved() && self.is_reserved()) else {
            new.release(|_| ());
            return self;
        };
        let (from, to, kind) = (self.holder.id(), to.id(), self.kind);
        self.release(|holder| {
            holder.emit(|| Event::ObligationMoved {
                from: (from, old),
                to: (to, taken),
                kind,
            });
        });
        new.by_body(region)
    }

    fn is_reserved(&self) -> bool {
        match self.place {
            Place::Slot(id) => word(&self.holder).is_reserved(id.slot()),
            Place::More(key) => {
                let kept = self
                    .holder
                    .peek_control(|c| c.more_promises.get(key).is_some());
                kept == Some(true)
            }
            Place::Unrecorded | Place::Settled => false,
        }
    }

    fn settle(&mut self, how: Resolution) {
        let (id, kind) = (self.place.id(), self.kind);
        self.release(|holder| {
            if let Some(obligation) = id {
                holder.emit(|| Event::ObligationResolved {
                    task: holder.id(),
                    obligation,
                    kind,
                    how,
                });
            }
        });
    }

    /// Takes the record away and gives up the reference. What was still
    /// reserved is then `told` in a world that records.
    fn release(&mut self, told: impl FnOnce(&TaskRef)) {
        match mem::replace(&mut self.place, Place::Settled) {
            Place::Slot(id) => {
                let slot = id.slot();
                // With the slot freed, another value may be the last to let go of the holder.
                let witness = self
                    .holder
                    .region()
                    .tree
                    .records
                    .then(|| self.holder.clone());
                let (before, left) = update(&self.holder, |w| w.free(slot));
                if left.last {
                    // SAFETY: the reference is given up once, here, and not used again.
                    unsafe { ManuallyDrop::drop(&mut self.holder) };
                }
                if let Some(witness) = witness.filter(|_| before.is_reserved(slot)) {
                    told(&witness);
                }
            }
            Place::More(key) => {
                let kept = self.holder.peek_control(|c| c.more_promises.remove(key));
                if kept.flatten().is_some() {
                    told(&self.holder);
                }
                // SAFETY: as above.
                unsafe { ManuallyDrop::drop(&mut self.holder) };
            }
            // SAFETY: as above.
            Place::Unrecorded => unsafe { ManuallyDrop::drop(&mut self.holder) },
            Place::Settled => {}
        }
    }

    /// Why it is dropped.
    #[cold]
    fn cause(&self) -> AbortCause {
        let holder = &*self.holder;
        if word(holder).is_escalated() {
            return AbortCause::Escalated;
        }
        let signals = self.body.map_or(0, |body| signals(holder, body));
        if signals & signal::ESCALATE != 0 {
            return AbortCause::Escalated;
        }
        let orderly = std::thread::panicking()
            || holder.cancel_requested()
            || signals & signal::CANCEL != 0
            || holder.phase() >= TaskPhase::Finalizing;
        if orderly {
            AbortCause::Cancel
        } else {
            AbortCause::Dropped
        }
    }
}

/// What was signalled to a region whose body `holder` polls.
fn signals(holder: &TaskRef, body: RegionId) -> u32 {
    let own = holder.region();
    if own.id == body {
        return own.signals.load(Ordering::Acquire);
    }
    let opened = holder.peek_control(|c| {
        let mut opened = c.opened.iter();
        let region = opened.find(|region| region.id == body)?;
        Some(region.signals.load(Ordering::Acquire))
    });
    // The runtime's task drains a region that it has not opened, because that was cancelled.
    let drains = if holder.is_driver() {
        signal::CANCEL
    } else {
        0
    };
    opened.flatten().unwrap_or(drains)
}

impl std::fmt::Debug for Obligation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Obligation")
            .field("kind", &self.kind)
            .field("holder", &*self.holder)
            .finish_non_exhaustive()
    }
}

impl Drop for Obligation {
    fn drop(&mut self) {
        if !matches!(self.place, Place::Settled) {
            self.settle(Resolution::Aborted(self.cause()));
        }
    }
}

fn word(task: &TaskRef) -> Promises {
    Promises(task.head().promises.load(Ordering::Acquire))
}

/// Applies a rule to the word of a task; the word as it was, and what is left.
fn update(task: &TaskRef, rule: impl Fn(Promises) -> Left) -> (Promises, Left) {
    let word: &AtomicU64 = &task.head().promises;
    let mut before = word.load(Ordering::Relaxed);
    loop {
        let left = rule(Promises(before));
        match word.compare_exchange_weak(before, left.after.0, Ordering::AcqRel, Ordering::Relaxed)
        {
            Ok(_) => return (Promises(before), left),
            Err(now) => before = now,
        }
    }
}

/// The holder's first promise: the word gets its reference.
#[cold]
fn begin(holder: &TaskRef, id: ObligationId) -> Place {
    // The slot is in use until this returns, so nobody gives the reference up before.
    mem::forget(holder.clone());
    // A context can outlive its task. This look is a step on the state word like
    // the one that completes the task: the later of the two sees the earlier.
    if state::set(&holder.head().header.state, 0) & state::COMPLETE != 0 {
        close(holder);
    }
    Place::Slot(id)
}

/// The id of a promise on the cold side.
fn id_of(key: Key) -> ObligationId {
    ObligationId::new(SLOTS + key.slot, key.generation)
}

/// A promise that does not fit into the word.
#[cold]
fn make_more(holder: &TaskRef, kind: ObligationKind) -> Place {
    let key = holder.with_control(|c| {
        // Whoever closes the word looks here afterwards, under the same lock.
        let (before, _) = update(holder, |w| Left {
            after: w.with_more(),
            last: false,
        });
        (!before.is_closed()).then(|| c.more_promises.insert(kind))
    });
    key.map_or(Place::Unrecorded, Place::More)
}

/// What the task has promised and not resolved.
pub(crate) fn held(task: &TaskRef) -> Vec<ObligationKind> {
    let word = word(task);
    let mut held: Vec<_> = word.reserved().map(|(_, kind)| kind).collect();
    if word.has_more() {
        task.peek_control(|c| held.extend(c.more_promises.iter()));
    }
    held
}

/// The task's future is being dropped because its cleanup budget is spent, or is so no longer.
pub(crate) fn escalated(task: &TaskRef, on: bool) {
    if !word(task).is_unused() {
        let (_, _) = update(task, |w| Left {
            after: w.escalated(on),
            last: false,
        });
    }
}

/// The holder completes: what it still holds has leaked. Says with which panic
/// it ends, if it has to.
pub(crate) fn settle_leaks(task: &TaskRef) -> Option<PanicPayload> {
    // One load for the many tasks that never promise anything.
    if word(task).is_unused() {
        return None;
    }
    let mut panic = None;
    for (obligation, kind) in close(task) {
        task.emit(|| Event::ObligationResolved {
            task: task.id(),
            obligation,
            kind,
            how: Resolution::Leaked,
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
            LeakResponse::Panic if panic.is_none() && !std::thread::panicking() => {
                panic = contain(|| panic!("{leak}")).err();
            }
            LeakResponse::Panic | LeakResponse::Log => world.warn(&leak),
            LeakResponse::Count => {}
        }
        task.region().add_leak(leak);
    }
    panic
}

/// The holder has completed: nothing is promised in its name any more, by
/// contexts that outlive it either.
pub(crate) fn settle_late(task: &TaskRef) {
    if !word(task).is_unused() {
        close(task);
    }
}

/// Closes the word; what was still reserved has leaked. Does nothing a second time.
fn close(task: &TaskRef) -> Vec<(ObligationId, ObligationKind)> {
    if word(task).is_closed() {
        return Vec::new();
    }
    let (before, left) = update(task, Promises::close);
    if before.is_closed() {
        return Vec::new();
    }
    let mut leaked: Vec<_> = before.reserved().collect();
    if left.last {
        // SAFETY: the word's reference, which nobody uses any more.
        drop(unsafe { TaskRef::from_raw(task.as_raw()) });
    }
    if before.has_more() {
        let more = task.peek_control(|c| {
            let all: Vec<_> = c
                .more_promises
                .entries()
                .map(|(k, kind)| (k, *kind))
                .collect();
            c.more_promises.drain();
            all
        });
        let more = more.unwrap_or_default().into_iter();
        leaked.extend(more.map(|(key, kind)| (id_of(key), kind)));
    }
    leaked
}
