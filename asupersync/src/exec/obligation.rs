//! The promises a task holds.
//!
//! A promise is a slot in its holder's head ([`super::promises`]): a store makes
//! it and a store resolves it, for as long as its value stays with the thread that polls the
//! holder; there is no lock, no table and no reference counted. What does not
//! fit into the slots, or is promised in the name of a task that this thread
//! does not poll, is kept on the cold side of the task.

use super::contain;
use super::poll;
use super::promises::{Promises, Taken};
use super::region::{RegionCell, signal};
use super::task::{Control, TaskRef};
use crate::kernel::obligation::{SLOTS, Slot, Tenant};
use crate::kernel::task::TaskPhase;
use crate::types::event::Event;
use crate::types::id::{ObligationId, RegionId};
use crate::types::obligation::{AbortCause, LeakResponse, ObligationKind, Resolution};
use crate::types::outcome::PanicPayload;
use crate::types::report::LeakRecord;
use crate::types::slots::Key;
use std::mem::{self, ManuallyDrop};
use std::sync::atomic::Ordering;

/// A promise, held by a task until it is committed or aborted.
///
/// Dropping it aborts it.
///
/// Words and nothing smaller, so that it travels in registers: half a word that is
/// written apart and read with its neighbours waits for the write. What kind it
/// is, its record knows.
#[must_use = "an obligation is committed or aborted; dropping it aborts"]
pub(crate) struct Obligation {
    record: Record,
    body: Body,
}

/// The region whose body made a promise, if one did, in a word: a body can be
/// asked to cancel while its task is not.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Body(u64);

impl Body {
    /// A slot that no region has: they are fewer than can be counted.
    const NONE: Body = Body(u64::MAX);

    #[inline(always)]
    fn of(region: Option<&RegionCell>) -> Self {
        region.map_or(Body::NONE, |region| {
            let (slot, generation) = (region.id.slot(), region.id.generation());
            Body(pack(Key { slot, generation }))
        })
    }

    fn region(self) -> Option<RegionId> {
        let Key { slot, generation } = unpack(self.0);
        (self != Body::NONE).then(|| RegionId::new(slot, generation))
    }
}

/// Keeps a task's cell in place and promises nothing: for as long as it lives,
/// the address of the task leads to the task.
pub(crate) struct Hold {
    /// Released by hand, as `slot` says.
    holder: ManuallyDrop<TaskRef>,
    /// What keeps it in place; without one, a reference does.
    slot: Option<Taken>,
}

impl Hold {
    #[inline(always)]
    pub(crate) fn new(holder: &TaskRef) -> Self {
        let slot = slot(holder, Tenant::Hold);
        if slot.is_none() {
            refer(holder);
        }
        Hold {
            holder: alias(holder),
            slot,
        }
    }

    #[inline]
    pub(crate) fn holder(&self) -> &TaskRef {
        &self.holder
    }

    #[cold]
    fn give_up(&mut self) {
        // SAFETY: there is no slot, or its holder completed and left a reference
        // to it; it is given up here, once, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.holder) };
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        if self.slot.is_none_or(|taken| free(&self.holder, taken)) {
            self.give_up();
        }
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hold").field(self.holder()).finish()
    }
}

/// What a value has of its holder. Dropping it lets go, and tells nobody.
struct Record {
    /// Released by hand, as `place` says.
    holder: ManuallyDrop<TaskRef>,
    place: Place,
}

/// Where it is recorded, and what keeps the holder in place.
///
/// A pair of words, so that it travels in registers.
#[derive(Clone, Copy)]
enum Place {
    /// In this slot, which keeps it.
    Slot(u64),
    /// On the cold side, under this key; the value has a reference.
    More(u64),
    /// Nowhere, as the holder had completed; the value has a reference.
    Nowhere,
    /// Nowhere any more, and there is no reference either.
    Settled,
}

impl Place {
    /// Records a promise of the holder's. The caller makes its value: see `Record::at`.
    #[inline(always)]
    fn take(holder: &TaskRef, kind: ObligationKind) -> Self {
        match slot(holder, Tenant::Promise(kind)) {
            Some(Taken(slot)) => Place::Slot(u64::from(slot)),
            None => more(holder, kind),
        }
    }
}

impl Record {
    /// The one value of what was recorded there.
    #[inline(always)]
    fn at(holder: &TaskRef, place: Place) -> Self {
        Record {
            holder: alias(holder),
            place,
        }
    }

    #[inline]
    fn is_settled(&self) -> bool {
        matches!(self.place, Place::Settled)
    }

    /// What events call the promise, and its kind, for as long as it is recorded
    /// and its holder has not completed.
    fn promised(&self) -> Option<(ObligationId, ObligationKind)> {
        match self.place {
            Place::Slot(slot) => {
                let taken = Taken(slot as u8);
                let slot = promises(&self.holder).slot(taken);
                slot.promise().map(|kind| (id_of_slot(taken, slot), kind))
            }
            Place::More(key) => {
                let key = unpack(key);
                let kind = |c: &mut Control| c.more_promises.get(key).copied();
                let kind = self.holder.peek_control(kind).flatten();
                kind.map(|kind| (id_of(key), kind))
            }
            Place::Nowhere | Place::Settled => None,
        }
    }

    /// Takes it away. The holder is not to be touched any more.
    #[inline]
    fn end(&mut self) {
        match self.place {
            Place::Slot(slot) if !free(&self.holder, Taken(slot as u8)) => {}
            Place::Settled => {}
            _ => self.give_up(),
        }
        self.place = Place::Settled;
    }

    #[cold]
    fn give_up(&mut self) {
        if let Place::More(key) = self.place {
            let key = unpack(key);
            self.holder.peek_control(|c| c.more_promises.remove(key));
        }
        // SAFETY: the value has a reference, of its own or left to it by a holder
        // that completed; it is given up here, once, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.holder) };
    }
}

impl Drop for Record {
    #[inline]
    fn drop(&mut self) {
        if !self.is_settled() {
            self.end();
        }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("promised", &self.promised())
            .finish_non_exhaustive()
    }
}

impl Obligation {
    /// `holder` promises, as the body of `region` if it is one.
    #[inline(always)]
    pub(crate) fn reserve(
        holder: &TaskRef,
        kind: ObligationKind,
        region: Option<&RegionCell>,
    ) -> Self {
        let place = Place::take(holder, kind);
        if promises(holder).is_recorded() {
            tell_reserved(holder, place, region);
        }
        Obligation::at(holder, place, region)
    }

    /// The one value of the promise that was recorded there, and no event of it.
    #[inline(always)]
    fn at(holder: &TaskRef, place: Place, region: Option<&RegionCell>) -> Self {
        Obligation {
            record: Record::at(holder, place),
            body: Body::of(region),
        }
    }

    /// The task that promised.
    #[inline]
    pub(crate) fn holder(&self) -> &TaskRef {
        &self.record.holder
    }

    /// The promised effect happened.
    #[inline]
    pub(crate) fn commit(mut self) {
        self.settle(Resolution::Committed);
    }

    /// It did not.
    pub(crate) fn abort(mut self, cause: AbortCause) {
        self.settle(Resolution::Aborted(cause));
    }

    /// As [`Obligation::commit`], where it is. What is settled already stays as it is.
    #[inline]
    pub(crate) fn commit_in_place(&mut self) {
        if !self.is_settled() {
            self.settle(Resolution::Committed);
        }
    }

    /// Whether it was committed in place.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.record.is_settled()
    }

    /// Another task holds it from now on, as the body of `region` if it is one.
    ///
    /// At every instant one of the two has a record of it. A task that has
    /// completed cannot take it over, and one that leaked is not found again:
    /// then everything stays as it is.
    pub(crate) fn transfer(&mut self, to: &TaskRef, region: Option<&RegionCell>) {
        let Some((old, kind)) = self.record.promised() else {
            return;
        };
        let mut new = Obligation::at(to, Place::take(to, kind), region);
        let Some((taken, _)) = new.record.promised() else {
            new.record.end();
            return;
        };
        let holder = self.holder();
        holder.emit(|| Event::ObligationMoved {
            from: (holder.id(), old),
            to: (to.id(), taken),
            kind,
        });
        tell_body(to, taken, region);
        self.record.end();
        *self = new;
    }

    #[inline]
    fn settle(&mut self, how: Resolution) {
        if promises(&self.record.holder).is_recorded() {
            self.tell_resolved(how);
        }
        self.record.end();
    }

    /// Told while the record is there: it keeps the holder in place.
    #[cold]
    fn tell_resolved(&self, how: Resolution) {
        let holder = self.holder();
        if let Some((obligation, kind)) = self.record.promised() {
            holder.emit(|| Event::ObligationResolved {
                task: holder.id(),
                obligation,
                kind,
                how,
            });
        }
    }

    /// Why it is dropped.
    #[cold]
    fn cause(&self) -> AbortCause {
        let holder = self.holder();
        if promises(holder).is_escalated() {
            return AbortCause::Escalated;
        }
        let body = self.body.region();
        let signals = body.map_or(0, |body| signals(holder, body));
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
            .field("promised", &self.record.promised())
            .field("holder", self.holder())
            .finish_non_exhaustive()
    }
}

impl Drop for Obligation {
    #[inline]
    fn drop(&mut self) {
        if !self.is_settled() {
            self.settle(Resolution::Aborted(self.cause()));
        }
    }
}

/// Tells of a promise just made, whose value the caller makes afterwards: one that
/// would have to be dropped if this panicked would be kept in memory for that, and
/// not travel in registers.
#[cold]
fn tell_reserved(holder: &TaskRef, place: Place, body: Option<&RegionCell>) {
    let made = Obligation::at(holder, place, body);
    if let Some((obligation, kind)) = made.record.promised() {
        holder.emit(|| Event::ObligationReserved {
            task: holder.id(),
            obligation,
            kind,
        });
        tell_body(holder, obligation, body);
    }
    // The caller's from here on.
    mem::forget(made);
}

fn tell_body(holder: &TaskRef, obligation: ObligationId, body: Option<&RegionCell>) {
    if let Some(region) = body {
        holder.emit(|| Event::ObligationOfRegion {
            task: holder.id(),
            obligation,
            region: region.id,
        });
    }
}

/// A slot of the holder's, if the calling thread polls it and one is free.
#[inline(always)]
fn slot(holder: &TaskRef, tenant: Tenant) -> Option<Taken> {
    if poll::polls(holder) {
        promises(holder).take(tenant)
    } else {
        None
    }
}

/// A value's way to a holder that something keeps in place, a slot in use or a
/// reference that is counted: neither outlasts the value.
#[inline(always)]
fn alias(holder: &TaskRef) -> ManuallyDrop<TaskRef> {
    // SAFETY: it is never dropped as a whole. A reference that it stands for is
    // given up by hand, and after a slot is freed it is not looked through.
    ManuallyDrop::new(unsafe { TaskRef::from_raw(holder.as_raw()) })
}

/// Frees a slot; `true` when it was outlived, and its value has a reference to give up.
#[inline]
fn free(holder: &TaskRef, taken: Taken) -> bool {
    let here = poll::polls(holder) && promises(holder).free_here(taken);
    !here && free_elsewhere(holder, taken)
}

#[cold]
fn free_elsewhere(holder: &TaskRef, taken: Taken) -> bool {
    promises(holder).free(taken)
}

/// A reference and no record.
#[cold]
fn refer(holder: &TaskRef) {
    mem::forget(holder.clone());
}

/// A reference, and a record on the cold side if the holder has not completed.
#[cold]
fn more(holder: &TaskRef, kind: ObligationKind) -> Place {
    refer(holder);
    let key = holder.with_control(|c| {
        // Whoever closes the slots looks here afterwards, under the same lock.
        let closed = promises(holder).is_closed();
        (!closed).then(|| c.more_promises.insert(kind))
    });
    key.map_or(Place::Nowhere, |key| Place::More(pack(key)))
}

#[inline]
fn promises(task: &TaskRef) -> &Promises {
    &task.head().promises
}

/// The id of a promise in a slot.
fn id_of_slot(taken: Taken, slot: Slot) -> ObligationId {
    ObligationId::new(u32::from(taken.0), slot.generation())
}

fn pack(key: Key) -> u64 {
    u64::from(key.slot) | u64::from(key.generation) << 32
}

fn unpack(key: u64) -> Key {
    Key {
        slot: key as u32,
        generation: (key >> 32) as u32,
    }
}

/// The id of a promise on the cold side.
fn id_of(key: Key) -> ObligationId {
    ObligationId::new(SLOTS as u32 + key.slot, key.generation)
}

/// What the task has promised and not resolved.
pub(crate) fn held(task: &TaskRef) -> Vec<ObligationKind> {
    let in_slots = promises(task)
        .in_use()
        .filter_map(|(_, slot)| slot.promise());
    let mut held: Vec<_> = in_slots.collect();
    task.peek_control(|c| held.extend(c.more_promises.iter()));
    held
}

/// The task's future is being dropped because its cleanup budget is spent, or is so no longer.
pub(crate) fn escalated(task: &TaskRef, on: bool) {
    promises(task).escalated(on);
}

/// The holder completes: what it still holds has leaked. Says with which panic
/// it ends, if it has to.
#[inline]
pub(crate) fn settle_leaks(task: &TaskRef) -> Option<PanicPayload> {
    close(task).then(|| settle_held(task)).flatten()
}

#[inline(never)]
fn settle_held(task: &TaskRef) -> Option<PanicPayload> {
    let mut panic = None;
    for (obligation, kind) in let_go(task) {
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

/// The task will not be polled again, though it has not completed: what it holds
/// may outlive it.
pub(crate) fn give_up(task: &TaskRef) {
    if close(task) {
        let_go(task);
    }
}

/// The holder has completed: what other threads promised in its name while it
/// did is not promised any more.
pub(crate) fn settle_late(control: &mut Control) {
    control.more_promises.drain();
}

/// Closes the slots; `true` when there is something to let go of, which the many
/// tasks that never promise anything find out by two loads.
///
/// For the thread that polls the task, or when nobody does any more.
#[inline]
fn close(task: &TaskRef) -> bool {
    let promises = promises(task);
    promises.close();
    !promises.is_unused() || task.has_control()
}

/// Lets go of what the task holds, which takes nothing any more; returns its
/// promises. Finds nothing a second time.
#[cold]
fn let_go(task: &TaskRef) -> Vec<(ObligationId, ObligationKind)> {
    let promises = promises(task);
    let mut leaked = Vec::new();
    for (taken, slot) in promises.in_use().filter(|(_, slot)| !slot.is_outlived()) {
        // Counted before the value can find out that it has a reference.
        let reference = task.clone();
        if promises.outlive(taken, slot) {
            mem::forget(reference);
            leaked.extend(slot.promise().map(|kind| (id_of_slot(taken, slot), kind)));
        }
    }
    let more = task.peek_control(|c| {
        let entries = c.more_promises.entries();
        let all: Vec<_> = entries.map(|(key, kind)| (id_of(key), *kind)).collect();
        c.more_promises.drain();
        all
    });
    leaked.extend(more.unwrap_or_default());
    leaked
}
