//! The state word of a task, raced by wakers, pollers and handles.

use crate::model;
use crate::state::{self, AfterPoll, Asked as Asks, Wake};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A task whose future sees how often it was signalled.
struct Task {
    state: AtomicUsize,
    /// Runnables in existence.
    runnables: AtomicUsize,
    signals: AtomicUsize,
    /// What the future has seen: its own data, hence checked by loom.
    seen: UnsafeCell<usize>,
}

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Task {
            state: AtomicUsize::new(state::BIRTH),
            runnables: AtomicUsize::new(1),
            signals: AtomicUsize::new(0),
            seen: UnsafeCell::new(0),
        })
    }

    fn signal(&self) {
        // Relaxed: the wake is what makes it visible.
        self.signals.fetch_add(1, Ordering::Relaxed);
        if state::wake(&self.state) == Wake::Enqueue {
            // The Runnable's reference.
            state::retain(&self.state);
            self.enqueue();
        }
    }

    fn enqueue(&self) {
        let before = self.runnables.fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, 0, "two Runnables of one task");
    }

    /// Runs the Runnable if there is one.
    fn run(&self) -> bool {
        let taken = self
            .runnables
            .compare_exchange(1, 0, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_err() {
            return false;
        }
        if state::start(&self.state) & state::STARTED == 0 {
            // The body's context is gone at once.
            assert!(
                !state::release(&self.state, 1),
                "the seat holds a reference"
            );
        }
        let signals = self.signals.load(Ordering::Relaxed);
        self.seen.with_mut(|seen| {
            // SAFETY: the poll owns the future; loom checks that it does.
            unsafe { *seen = signals }
        });
        match state::suspend(&self.state) {
            AfterPoll::Requeue => self.enqueue(),
            AfterPoll::Released => {}
            AfterPoll::Drop => unreachable!("the seat holds a reference"),
        }
        true
    }
}

#[test]
fn no_wake_is_lost_and_none_makes_a_second_runnable() {
    model(|| {
        let task = Task::new();
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let task = task.clone();
                thread::spawn(move || task.signal())
            })
            .collect();
        task.run();
        for waker in wakers {
            waker.join().unwrap();
        }
        while task.run() {}
        // SAFETY: all others have ended.
        let seen = task.seen.with(|seen| unsafe { *seen });
        assert_eq!(seen, 2, "a signal was never seen");
    });
}

#[test]
fn pollers_take_turns_on_the_future() {
    model(|| {
        let task = Task::new();
        let other = task.clone();
        let poller = thread::spawn(move || {
            other.signal();
            other.run();
        });
        task.run();
        poller.join().unwrap();
        while task.run() {}
        // SAFETY: the other has ended.
        assert_eq!(task.seen.with(|seen| unsafe { *seen }), 1);
    });
}

/// A task that completes with an outcome somebody has a right to.
struct Ending {
    state: AtomicUsize,
    outcome: UnsafeCell<Option<u32>>,
    /// The waker in the join slot: a number for each.
    join: UnsafeCell<Option<usize>>,
    /// Which waker was woken; 0 for none.
    woken: AtomicUsize,
    dropped: AtomicUsize,
}

impl Ending {
    fn new() -> Arc<Self> {
        let state = AtomicUsize::new(state::BIRTH);
        let _ = state::start(&state);
        Arc::new(Ending {
            state,
            outcome: UnsafeCell::new(None),
            join: UnsafeCell::new(None),
            woken: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    /// As in `poll::complete`.
    fn complete(&self) {
        // SAFETY: the outcome is the poller's until COMPLETE; loom checks it.
        self.outcome
            .with_mut(|outcome| unsafe { *outcome = Some(7) });
        let before = state::complete(&self.state, 0);
        if before & state::HANDLE == 0 {
            self.discard();
        }
        if before & state::JOIN_WAKER != 0 {
            // SAFETY: the bit was set at completion; loom checks the claim.
            let waker = self.join.with_mut(|slot| unsafe { (*slot).take() });
            let waker = waker.expect("the bit says that there is one");
            self.woken.store(waker, Ordering::Release);
        }
    }

    /// As in `JoinSlot::leave`.
    fn leave(&self, waker: usize) -> bool {
        let set = self.state.load(Ordering::Relaxed) & state::JOIN_WAKER != 0;
        if set && state::clear(&self.state, state::JOIN_WAKER) & state::COMPLETE != 0 {
            return false;
        }
        // SAFETY: the bit is clear, so the slot is the handle's; loom checks that.
        self.join.with_mut(|slot| unsafe { *slot = Some(waker) });
        if state::set(&self.state, state::JOIN_WAKER) & state::COMPLETE == 0 {
            return true;
        }
        // SAFETY: it completed while the bit was clear.
        self.join.with_mut(|slot| unsafe { *slot = None });
        false
    }

    fn take(&self) -> Option<u32> {
        // SAFETY: the caller has the right to the outcome; loom checks it.
        self.outcome
            .with_mut(|outcome| unsafe { (*outcome).take() })
    }

    fn discard(&self) {
        assert_eq!(self.take(), Some(7));
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// As in the handle's `poll`.
    fn poll_handle(&self, waker: usize) -> Option<u32> {
        if state_of(&self.state) & state::COMPLETE == 0 && self.leave(waker) {
            return None;
        }
        self.take()
    }

    /// As in `release_handle`.
    fn drop_handle(&self) {
        if !state::abandon_handle(&self.state) {
            self.discard();
        }
    }
}

fn state_of(state: &AtomicUsize) -> usize {
    state.load(Ordering::Acquire)
}

#[test]
fn an_outcome_is_dropped_once_by_its_poller_or_its_handle() {
    model(|| {
        let task = Ending::new();
        let poller = task.clone();
        let poller = thread::spawn(move || poller.complete());
        task.drop_handle();
        poller.join().unwrap();
        assert_eq!(task.dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_handle_that_waits_is_woken_or_has_the_outcome() {
    model(|| {
        let task = Ending::new();
        let poller = task.clone();
        let poller = thread::spawn(move || poller.complete());
        // Twice, with another waker: the one left last is the one that counts.
        let at_once = task.poll_handle(1).or_else(|| task.poll_handle(2));
        poller.join().unwrap();
        let outcome = at_once.or_else(|| {
            assert_eq!(task.woken.load(Ordering::Acquire), 2, "a lost wake");
            task.poll_handle(3)
        });
        assert_eq!(outcome, Some(7));
        assert_eq!(task.dropped.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_handle_that_waited_may_be_dropped() {
    model(|| {
        let task = Ending::new();
        let poller = task.clone();
        let poller = thread::spawn(move || poller.complete());
        match task.poll_handle(1) {
            Some(outcome) => assert_eq!(outcome, 7),
            None => {
                task.drop_handle();
                poller.join().unwrap();
                assert_eq!(task.dropped.load(Ordering::Relaxed), 1);
            }
        }
    });
}

#[test]
fn the_last_of_the_references_frees_after_all_uses() {
    model(|| {
        let cell = Arc::new((AtomicUsize::new(state::BIRTH), UnsafeCell::new(0)));
        let freed = Arc::new(AtomicUsize::new(0));
        let release = |cell: &(AtomicUsize, UnsafeCell<u32>), freed: &AtomicUsize| {
            if state::release(&cell.0, 1) {
                // SAFETY: nobody else is left; loom checks that.
                cell.1.with_mut(|value| unsafe { *value += 1 });
                freed.fetch_add(1, Ordering::Relaxed);
            }
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (cell, freed) = (cell.clone(), freed.clone());
                thread::spawn(move || {
                    // SAFETY: a use through the reference that is then given up.
                    cell.1.with(|value| unsafe { assert_eq!(*value, 0) });
                    release(&cell, &freed);
                })
            })
            .collect();
        release(&cell, &freed);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn who_has_all_that_is_left_frees_without_a_step() {
    model(|| {
        let cell = Arc::new((AtomicUsize::new(state::BIRTH), UnsafeCell::new(0)));
        let freed = Arc::new(AtomicUsize::new(0));
        let theirs = (cell.clone(), freed.clone());
        let other = thread::spawn(move || {
            let (cell, freed) = theirs;
            // SAFETY: a use through the reference that is then given up.
            cell.1.with(|value| unsafe { assert_eq!(*value, 0) });
            if state::release(&cell.0, 1) {
                // SAFETY: nobody else is left; loom checks that.
                cell.1.with_mut(|value| unsafe { *value += 1 });
                freed.fetch_add(1, Ordering::Relaxed);
            }
        });
        // As at the end of a task: the seat's and the Runnable's reference together.
        if state::release(&cell.0, 2) {
            // SAFETY: as above.
            cell.1.with_mut(|value| unsafe { *value += 1 });
            freed.fetch_add(1, Ordering::Relaxed);
        }
        other.join().unwrap();
        assert_eq!(freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_alarm_set_while_the_task_ends_is_taken_back() {
    model(|| {
        let state = AtomicUsize::new(state::BIRTH);
        let _ = state::start(&state);
        let task = Arc::new((state, Mutex::new(None::<u32>)));
        let poller = task.clone();
        let poller = thread::spawn(move || {
            // As in `poll::complete`.
            let _ = state::complete(&poller.0, 0);
            *poller.1.lock().unwrap() = None;
        });
        // As in `cancel::arm_task`, and `TaskRef::defer`.
        task.1.lock().unwrap().replace(1);
        if state_of(&task.0) & state::COMPLETE != 0 {
            *task.1.lock().unwrap() = None;
        }
        poller.join().unwrap();
        assert_eq!(*task.1.lock().unwrap(), None, "an alarm was left behind");
    });
}

#[test]
fn a_request_in_passing_and_a_new_control_find_each_other() {
    struct Asked {
        state: AtomicUsize,
        /// What the control knows, once there is one.
        control: Mutex<Option<Option<u32>>>,
        /// What the region has asked of all its children.
        region: Mutex<Option<u32>>,
    }

    impl Asked {
        /// As `TaskRef::with_control`.
        fn with_control(&self, f: impl FnOnce(&mut Option<u32>)) {
            let mut control = self.control.lock().unwrap();
            if control.is_none() {
                *control = Some(None);
                state::set(&self.state, state::CONTROL);
            }
            if *control == Some(None) && state_of(&self.state) & state::CANCEL != 0 {
                drop(control);
                let asked = *self.region.lock().unwrap();
                control = self.control.lock().unwrap();
                *control = Some(control.flatten().max(asked));
            }
            f(control.as_mut().unwrap());
        }

        /// As `cancel::sweep`, and what follows it for each child.
        fn sweep(&self, reason: u32) {
            *self.region.lock().unwrap() = Some(reason);
            match state::ask(&self.state, true) {
                Asks::Noted(_) => {}
                Asks::Nothing => unreachable!("it does not end, and each request is new"),
                Asks::Recorded => self.with_control(|known| {
                    *known = (*known).max(Some(reason));
                    state::set(&self.state, state::CANCEL);
                }),
            }
        }
    }

    model(|| {
        let task = Arc::new(Asked {
            state: AtomicUsize::new(state::BIRTH),
            control: Mutex::new(None),
            region: Mutex::new(None),
        });
        let sweeper = task.clone();
        let sweeper = thread::spawn(move || {
            sweeper.sweep(1);
            sweeper.sweep(2);
        });
        task.with_control(|_| {});
        sweeper.join().unwrap();
        task.with_control(|known| assert_eq!(*known, Some(2), "a request was lost"));
    });
}
