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
///
/// Words, for the reason that [`Obligation`] is.
pub(crate) struct Hold {
    /// Released by hand, as `spot` says.
    holder: ManuallyDrop<TaskRef>,
    /// A slot that keeps it in place, or nowhere: then a reference does.
    spot: Spot,
}

impl Hold {
    #[inline(always)]
    pub(crate) fn new(holder: &TaskRef) -> Self {
        let spot = first_slot(holder, Tenant::Hold).unwrap_or_else(|| Hold::seen(holder));
        Hold {
            holder: alias(holder),
            spot,
        }
    }

    #[cold]
    fn seen(holder: &TaskRef) -> Spot {
        match slot(holder, Tenant::Hold) {
            Some(taken) => Spot::of(Place::Slot(taken)),
            None => {
                refer(holder);
                Spot::of(Place::Nowhere)
            }
        }
    }

    #[inline]
    pub(crate) fn holder(&self) -> &TaskRef {
        &self.holder
    }

    /// Lets `release` do what comes before the end of a hold that is
    /// [unseen](is_unseen), and ends it then: the value is not to be used or
    /// dropped any more. `false` if there is more to do than that.
    ///
    /// Nothing here calls anything, so a guard that goes this way saves no
    /// registers for the other.
    #[inline(always)]
    pub(crate) fn end_at_once(
        this: &ManuallyDrop<Self>,
        release: impl FnOnce(&TaskRef) -> bool,
    ) -> bool {
        end_at_once(&this.holder, this.spot, release)
    }

    #[cold]
    fn end(&mut self) {
        let outlived = match self.spot.place() {
            Place::Slot(taken) => free(&self.holder, taken),
            _ => true,
        };
        if outlived {
            // SAFETY: there is no slot, or its holder completed and left a reference
            // to it; it is given up here, once, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.holder) };
        }
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        if !free_unseen(&self.holder, self.spot) {
            self.end();
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
    /// Released by hand, as `spot` says.
    holder: ManuallyDrop<TaskRef>,
    spot: Spot,
}

/// Where something is recorded, and what keeps the holder in place.
enum Place {
    /// In this slot, which keeps it.
    Slot(Taken),
    /// On the cold side, under this key; the value has a reference.
    More(Key),
    /// Nowhere, as the holder had completed; the value has a reference.
    Nowhere,
    /// Nowhere any more, and there is no reference either.
    Settled,
}

/// A [`Place`] in a word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Spot(u64);

impl Spot {
    const FIRST: Spot = Spot(0);
    // No keys: a cold side would hold more than fits into memory.
    const NOWHERE: Spot = Spot(u64::MAX - 1);
    const SETTLED: Spot = Spot(u64::MAX);

    fn of(place: Place) -> Self {
        match place {
            Place::Slot(Taken(slot)) => Spot(u64::from(slot)),
            Place::More(key) => Spot(pack(key) + SLOTS as u64),
            Place::Nowhere => Spot::NOWHERE,
            Place::Settled => Spot::SETTLED,
        }
    }

    fn place(self) -> Place {
        match self {
            Spot::NOWHERE => Place::Nowhere,
            Spot::SETTLED => Place::Settled,
            _ => match self.slot() {
                Some(taken) => Place::Slot(taken),
                None => Place::More(unpack(self.0 - SLOTS as u64)),
            },
        }
    }

    #[inline(always)]
    fn slot(self) -> Option<Taken> {
        (self.0 < SLOTS as u64).then_some(Taken(self.0 as u8))
    }
}

impl Record {
    /// `holder` promises, as the body of `region` if it is one.
    #[inline(always)]
    fn reserve(holder: &TaskRef, kind: ObligationKind, region: Option<&RegionCell>) -> Self {
        let spot = first_slot(holder, Tenant::Promise(kind))
            .unwrap_or_else(|| reserve_seen(holder, kind, Body::of(region)));
        Record::at(holder, spot)
    }

    /// The one value of what was recorded there.
    #[inline(always)]
    fn at(holder: &TaskRef, spot: Spot) -> Self {
        Record {
            holder: alias(holder),
            spot,
        }
    }

    #[inline]
    fn is_settled(&self) -> bool {
        self.spot == Spot::SETTLED
    }

    /// What events call the promise, and its kind, for as long as it is recorded
    /// and its holder has not completed.
    fn promised(&self) -> Option<(ObligationId, ObligationKind)> {
        match self.spot.place() {
            Place::Slot(taken) => {
                let slot = promises(&self.holder).slot(taken);
                slot.promise().map(|kind| (id_of_slot(taken, slot), kind))
            }
            Place::More(key) => {
                let kind = |c: &mut Control| c.more_promises.get(key).copied();
                let kind = self.holder.peek_control(kind).flatten();
                kind.map(|kind| (id_of(key), kind))
            }
            Place::Nowhere | Place::Settled => None,
        }
    }

    /// Another task has it from now on, as the body of `region` if it is one:
    /// see [`Obligation::transfer`]. Tells whether it has.
    fn transfer(&mut self, to: &TaskRef, region: Option<&RegionCell>) -> bool {
        let Some((old, kind)) = self.promised() else {
            return false;
        };
        let mut new = Record::at(to, take(to, kind));
        let Some((taken, _)) = new.promised() else {
            new.end();
            return false;
        };
        self.holder.emit(|| Event::ObligationMoved {
            from: (self.holder.id(), old),
            to: (to.id(), taken),
            kind,
        });
        tell_body(to, taken, Body::of(region));
        self.end();
        *self = new;
        true
    }

    /// Tells how it ended, and takes it away.
    #[inline(always)]
    fn resolve(&mut self, how: Resolution) {
        if free_unseen(&self.holder, self.spot) {
            self.spot = Spot::SETTLED;
        } else {
            self.resolve_seen(how);
        }
    }

    #[cold]
    fn resolve_seen(&mut self, how: Resolution) {
        // Told while the record is there: it keeps the holder in place.
        if let Some((obligation, kind)) = self.promised() {
            let holder = &self.holder;
            holder.emit(|| Event::ObligationResolved {
                task: holder.id(),
                obligation,
                kind,
                how,
            });
        }
        self.end();
    }

    /// Takes it away. The holder is not to be touched any more.
    fn end(&mut self) {
        match self.spot.place() {
            Place::Slot(taken) if !free(&self.holder, taken) => {}
            Place::Settled => {}
            _ => self.give_up(),
        }
        self.spot = Spot::SETTLED;
    }

    #[cold]
    fn give_up(&mut self) {
        if let Place::More(key) = self.spot.place() {
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
        Obligation {
            record: Record::reserve(holder, kind, region),
            body: Body::of(region),
        }
    }

    /// The task that promised.
    #[inline]
    pub(crate) fn holder(&self) -> &TaskRef {
        &self.record.holder
    }

    /// Another promise of this kind by whoever made this one.
    pub(crate) fn another(&self, kind: ObligationKind) -> Self {
        let (holder, body) = (self.holder(), self.body);
        Obligation {
            record: Record::at(holder, reserve_seen(holder, kind, body)),
            body,
        }
    }

    /// The promised effect happened.
    #[inline]
    pub(crate) fn commit(mut self) {
        self.record.resolve(Resolution::Committed);
    }

    /// It did not.
    pub(crate) fn abort(mut self, cause: AbortCause) {
        self.record.resolve(Resolution::Aborted(cause));
    }

    /// It did not, and nobody counted on it: as when it is dropped, but never as
    /// one that was forgotten.
    pub(crate) fn let_go(self) {
        let cause = match self.cause() {
            AbortCause::Dropped => AbortCause::Explicit,
            cause => cause,
        };
        self.abort(cause);
    }

    /// Another task holds it from now on, as the body of `region` if it is one.
    ///
    /// At every instant one of the two has a record of it. A task that has
    /// completed cannot take it over, and one that leaked is not found again:
    /// then everything stays as it is.
    pub(crate) fn transfer(&mut self, to: &TaskRef, region: Option<&RegionCell>) {
        if self.record.transfer(to, region) {
            self.body = Body::of(region);
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
        if !self.record.is_settled() {
            self.record.resolve(Resolution::Aborted(self.cause()));
        }
    }
}

/// A promise that is kept by dropping it: to give something back.
#[must_use = "what it stands for is given back when it is dropped"]
pub(crate) struct Pledge(Record);

impl Pledge {
    /// `holder` promises, as the body of `region` if it is one.
    #[inline(always)]
    pub(crate) fn reserve(
        holder: &TaskRef,
        kind: ObligationKind,
        region: Option<&RegionCell>,
    ) -> Self {
        Pledge(Record::reserve(holder, kind, region))
    }

    /// The task that promised.
    #[inline(always)]
    pub(crate) fn holder(&self) -> &TaskRef {
        &self.0.holder
    }

    /// As [`Obligation::transfer`].
    pub(crate) fn transfer(&mut self, to: &TaskRef, region: Option<&RegionCell>) {
        self.0.transfer(to, region);
    }

    /// As [`Hold::end_at_once`].
    #[inline(always)]
    pub(crate) fn end_at_once(
        this: &ManuallyDrop<Self>,
        release: impl FnOnce(&TaskRef) -> bool,
    ) -> bool {
        end_at_once(&this.0.holder, this.0.spot, release)
    }
}

impl std::fmt::Debug for Pledge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pledge").field(&self.0).finish()
    }
}

impl Drop for Pledge {
    #[inline]
    fn drop(&mut self) {
        self.0.resolve(Resolution::Committed);
    }
}

/// Records a promise that the first slot has no room for, or that has to be told.
///
/// The caller makes its value afterwards: one that would have to be dropped if
/// this panicked would be kept in memory for that, and not travel in registers.
#[cold]
fn reserve_seen(holder: &TaskRef, kind: ObligationKind, body: Body) -> Spot {
    let spot = take(holder, kind);
    if promises(holder).is_recorded() {
        let made = Record::at(holder, spot);
        if let Some((obligation, kind)) = made.promised() {
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
    spot
}

/// Records a promise of the holder's, wherever there is room.
fn take(holder: &TaskRef, kind: ObligationKind) -> Spot {
    Spot::of(match slot(holder, Tenant::Promise(kind)) {
        Some(taken) => Place::Slot(taken),
        None => more(holder, kind),
    })
}

fn tell_body(holder: &TaskRef, obligation: ObligationId, body: Body) {
    if let Some(region) = body.region() {
        holder.emit(|| Event::ObligationOfRegion {
            task: holder.id(),
            obligation,
            region,
        });
    }
}

/// The first slot of the holder's, if the calling thread polls it, the slot is
/// free, and nobody has to be told.
#[inline(always)]
fn first_slot(holder: &TaskRef, tenant: Tenant) -> Option<Spot> {
    let taken = poll::polls(holder) && promises(holder).take_unseen(tenant);
    taken.then_some(Spot::FIRST)
}

/// Whether it is recorded in a slot, the calling thread polls the holder, and
/// nobody has to be told of its end.
#[inline(always)]
fn is_unseen(holder: &TaskRef, spot: Spot) -> bool {
    spot.slot().is_some() && poll::polls(holder) && promises(holder).is_unseen()
}

#[inline(always)]
fn end_at_once(holder: &TaskRef, spot: Spot, release: impl FnOnce(&TaskRef) -> bool) -> bool {
    match spot.slot() {
        Some(taken) if is_unseen(holder, spot) && release(holder) => {
            promises(holder).free_slot(taken);
            true
        }
        _ => false,
    }
}

/// Frees a slot, if that is [unseen](is_unseen). Tells whether it did.
#[inline(always)]
fn free_unseen(holder: &TaskRef, spot: Spot) -> bool {
    let slot = spot.slot().filter(|_| is_unseen(holder, spot));
    slot.inspect(|taken| promises(holder).free_slot(*taken))
        .is_some()
}

/// A slot of the holder's, if the calling thread polls it and one is free.
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
fn free(holder: &TaskRef, taken: Taken) -> bool {
    let here = poll::polls(holder) && promises(holder).free_here(taken);
    !here && promises(holder).free(taken)
}

/// A reference and no record.
#[cold]
fn refer(holder: &TaskRef) {
    mem::forget(holder.clone());
}

/// A reference, and a record on the cold side if the holder has not completed.
fn more(holder: &TaskRef, kind: ObligationKind) -> Place {
    refer(holder);
    let key = holder.with_control(|c| {
        // Whoever closes the slots looks here afterwards, under the same lock.
        let closed = promises(holder).is_closed();
        (!closed).then(|| c.more_promises.insert(kind))
    });
    key.map_or(Place::Nowhere, Place::More)
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
