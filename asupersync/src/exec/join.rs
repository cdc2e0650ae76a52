//! Where a handle leaves the waker of whoever awaits the task's outcome.
//!
//! The slot has one owner at a time, by rule 4 of [`super::state`], so it needs
//! no lock. Invariant: only the one handle of a task calls [`JoinSlot::leave`],
//! only whoever completed it calls [`JoinSlot::collect`], and both go by the
//! state word of the same task.

use super::state;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

/// Room for one waker.
#[derive(Default)]
pub(crate) struct JoinSlot(UnsafeCell<Option<Waker>>);

impl JoinSlot {
    /// Leaves a waker for the completer; `false` when the task is complete, and
    /// nobody will wake it.
    ///
    /// # Safety
    /// `state` is the state word of this slot's task, and the caller has the
    /// task's handle to itself.
    pub(crate) unsafe fn leave(&self, state: &AtomicUsize, waker: &Waker) -> bool {
        // Cloning and dropping are callbacks; both are done while the slot is
        // ours, or touch no slot at all.
        let fresh = waker.clone();
        // Nobody but this handle changes the bit.
        if state.load(Ordering::Relaxed) & state::JOIN_WAKER != 0
            && state::clear(state, state::JOIN_WAKER) & state::COMPLETE != 0
        {
            return false;
        }
        // SAFETY: JOIN_WAKER is clear and was not seen by a completer: the slot is ours.
        let old = unsafe { (*self.0.get()).replace(fresh) };
        if state::set(state, state::JOIN_WAKER) & state::COMPLETE == 0 {
            drop(old);
            return true;
        }
        // SAFETY: it completed while the bit was clear, so the slot stays ours.
        let unused = unsafe { (*self.0.get()).take() };
        drop((old, unused));
        false
    }

    /// Takes the waker out.
    ///
    /// # Safety
    /// The caller has completed this slot's task, and found JOIN_WAKER set as it did.
    pub(crate) unsafe fn collect(&self) -> Option<Waker> {
        // SAFETY: the bit was set at completion, so the slot is the completer's.
        unsafe { (*self.0.get()).take() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    #[derive(Default)]
    struct Rung(AtomicBool);

    impl Wake for Rung {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    struct Task {
        state: AtomicUsize,
        slot: JoinSlot,
    }

    // SAFETY: the test's two threads keep to the slot's invariant.
    unsafe impl Sync for Task {}

    fn complete(task: &Task) {
        let before = state::complete(&task.state, 0);
        if before & state::JOIN_WAKER != 0 {
            // SAFETY: just completed, with the bit set.
            let waker = unsafe { task.slot.collect() };
            waker.expect("the bit says that there is one").wake();
        }
    }

    #[test]
    fn the_waker_left_last_is_woken_or_the_handle_told() {
        let rounds = if cfg!(miri) { 50 } else { 5_000 };
        for round in 0..rounds {
            let task = Task {
                state: AtomicUsize::new(state::RUNNING | state::HANDLE | state::REF),
                slot: JoinSlot::default(),
            };
            let rung: Vec<Arc<Rung>> = (0..3).map(|_| Arc::default()).collect();
            let waits = std::thread::scope(|threads| {
                let completer = threads.spawn(|| complete(&task));
                let mut waits = None;
                for (i, rung) in rung.iter().take(1 + round % 3).enumerate() {
                    let waker = rung.clone().into();
                    // SAFETY: only this thread plays the handle.
                    if !unsafe { task.slot.leave(&task.state, &waker) } {
                        waits = None;
                        break;
                    }
                    waits = Some(i);
                }
                completer.join().expect("it only completes");
                waits
            });
            if let Some(last) = waits {
                assert!(rung[last].0.load(Ordering::SeqCst), "a lost wake-up");
            }
        }
    }
}
