//! The slots of a task's promises, raced by values that other threads have and
//! by the end of the task.

use crate::model;
use crate::slots::{Promises, Taken};
use crate::state;
use asupersync::kernel::obligation::{SLOTS, Tenant};
use asupersync::types::obligation::ObligationKind;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

const PROMISE: Tenant = Tenant::Promise(ObligationKind::Lease);

/// A task's cell. The last reference frees it: loom checks that nobody looks
/// at it afterwards, or while it is freed.
struct Cell {
    references: AtomicUsize,
    promises: Promises,
    memory: UnsafeCell<bool>,
    leaked: AtomicUsize,
}

impl Cell {
    /// With the reference of its seat.
    fn new() -> Arc<Self> {
        Arc::new(Cell {
            references: AtomicUsize::new(state::REF),
            promises: Promises::new(false),
            memory: UnsafeCell::new(true),
            leaked: AtomicUsize::new(0),
        })
    }

    fn promises(&self) -> &Promises {
        // SAFETY: only read; loom complains if it is being freed.
        assert!(self.memory.with(|there| unsafe { *there }), "freed");
        &self.promises
    }

    fn release(&self) {
        if state::release(&self.references, 1) {
            // SAFETY: the last reference is ours; loom complains if not.
            self.memory.with_mut(|there| unsafe { *there = false });
        }
    }

    /// As `obligation::free` on another thread.
    fn end_elsewhere(&self, taken: Taken) {
        if self.promises().free(taken) {
            self.release();
        }
    }

    /// As `obligation::close`, and the end of the seat.
    fn complete(&self) {
        let promises = self.promises();
        promises.close();
        assert!(promises.take(PROMISE).is_none(), "it promises no more");
        for (taken, slot) in promises.in_use().filter(|(_, slot)| !slot.is_outlived()) {
            state::retain(&self.references);
            if promises.outlive(taken, slot) {
                self.leaked.fetch_add(1, Ordering::Relaxed);
            } else {
                self.release();
            }
        }
        assert!(promises.in_use().all(|(_, slot)| slot.is_outlived()));
        self.release();
    }

    fn is_freed(&self) -> bool {
        // SAFETY: all other threads have ended.
        !self.memory.with(|there| unsafe { *there })
    }
}

#[test]
fn a_value_that_went_astray_is_the_last_to_need_its_holder() {
    model(|| {
        let cell = Cell::new();
        let taken = cell.promises().take(PROMISE).unwrap();
        let other = cell.clone();
        let astray = thread::spawn(move || other.end_elsewhere(taken));
        cell.complete();
        astray.join().unwrap();
        assert!(cell.is_freed(), "it leaks");
    });
}

#[test]
fn two_values_that_went_astray_do_not_meet() {
    model(|| {
        let cell = Cell::new();
        let astray: Vec<_> = (0..2)
            .map(|_| {
                let taken = cell.promises().take(PROMISE).unwrap();
                let other = cell.clone();
                thread::spawn(move || other.end_elsewhere(taken))
            })
            .collect();
        cell.complete();
        for thread in astray {
            thread.join().unwrap();
        }
        assert!(cell.is_freed(), "it leaks");
    });
}

#[test]
fn a_slot_that_another_thread_freed_is_lent_again_and_to_one_only() {
    model(|| {
        let cell = Cell::new();
        let first = cell.promises().take(PROMISE).unwrap();
        let rest: Vec<_> = (1..SLOTS)
            .map(|_| cell.promises().take(Tenant::Hold).unwrap())
            .collect();
        let other = cell.clone();
        let astray = thread::spawn(move || other.end_elsewhere(first));
        // The holder goes on, and sees the slot free sooner or later.
        let again = cell.promises().take(PROMISE);
        if let Some(again) = again {
            assert_eq!(again, first, "the only one that can be free");
            assert!(cell.promises().slot(again).promise().is_some());
            assert!(cell.promises().take(PROMISE).is_none(), "lent twice");
        }
        for taken in rest.into_iter().chain(again) {
            assert!(cell.promises().free_here(taken));
        }
        astray.join().unwrap();
        assert!(cell.promises().in_use().next().is_none());
        cell.complete();
        assert_eq!(cell.leaked.load(Ordering::Relaxed), 0);
        assert!(cell.is_freed(), "it leaks");
    });
}

/// The holder is polled on one thread, then on another, where it completes; a
/// value of it is with a third.
#[test]
fn what_two_polls_did_is_found_by_the_end() {
    model(|| {
        let cell = Cell::new();
        // The Runnable: whoever has it polls.
        let runnable = Arc::new(Mutex::new(None));
        let taken = cell.promises().take(PROMISE).unwrap();
        let (other, given) = (cell.clone(), runnable.clone());
        let first = thread::spawn(move || {
            let own = other.promises().take(PROMISE).unwrap();
            *given.lock().unwrap() = Some(own);
        });
        let other = cell.clone();
        let astray = thread::spawn(move || other.end_elsewhere(taken));
        first.join().unwrap();
        let own = runnable.lock().unwrap().take().unwrap();
        assert!(cell.promises().free_here(own));
        cell.complete();
        astray.join().unwrap();
        assert!(cell.is_freed(), "it leaks");
    });
}
