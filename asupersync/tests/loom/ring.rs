//! The run queue of a worker: whatever its owner and thieves do, each task is
//! taken once, and its contents travel with it.

use crate::model;
use crate::run_queue::{Ring, Slot, Word};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use std::ptr::NonNull;

/// A task: its number, which whoever has the task may change.
struct Task(Box<UnsafeCell<usize>>);

impl Task {
    fn new(number: usize) -> Self {
        Task(Box::new(UnsafeCell::new(number)))
    }

    /// Looks at the contents as only their owner may; loom checks that it is alone.
    fn run(self) -> usize {
        // SAFETY: whoever has the box is the only one.
        self.0.with_mut(|number| unsafe { *number })
    }
}

// SAFETY: a box is its pointer.
unsafe impl Word for Task {
    fn into_word(self) -> NonNull<()> {
        NonNull::from(Box::leak(self.0)).cast()
    }

    unsafe fn from_word(word: NonNull<()>) -> Self {
        // SAFETY: the word came from `into_word`.
        Task(unsafe { Box::from_raw(word.cast().as_ptr()) })
    }
}

type Small = Ring<Task, 2>;

/// Pushes as a worker does: half of a full ring goes elsewhere.
fn push(ring: &Small, number: usize, elsewhere: &mut Vec<usize>) {
    // SAFETY: one thread of each model calls this.
    if let Err(task) = unsafe { ring.push(Task::new(number)) } {
        ring.take_half(|task| elsewhere.push(task.run()));
        elsewhere.push(task.run());
    }
}

fn drain(ring: &Small, to: &mut Vec<usize>) {
    to.extend(std::iter::from_fn(|| ring.pop()).map(Task::run));
}

fn each_once(mut runs: Vec<usize>, tasks: usize) {
    runs.sort_unstable();
    assert_eq!(runs, (0..tasks).collect::<Vec<_>>());
}

#[test]
fn a_thief_and_the_owner_share_a_ring_that_overflows() {
    model(|| {
        let ring = Arc::new(Small::new());
        let mut runs = Vec::new();
        push(&ring, 0, &mut runs);
        let theirs = ring.clone();
        let thief = thread::spawn(move || {
            let own = Small::new();
            let mut runs = Vec::new();
            // SAFETY: the ring is this thread's.
            runs.extend(unsafe { own.steal_from(&theirs) }.map(Task::run));
            drain(&own, &mut runs);
            runs
        });
        for number in 1..4 {
            push(&ring, number, &mut runs);
        }
        runs.extend(ring.pop().map(Task::run));
        runs.extend(thief.join().unwrap());
        drain(&ring, &mut runs);
        each_once(runs, 4);
    });
}

#[test]
fn a_task_is_seen_as_it_was_when_it_was_pushed() {
    model(|| {
        let ring = Arc::new(Small::new());
        let theirs = ring.clone();
        let thief = thread::spawn(move || {
            let mut runs = Vec::new();
            runs.extend(theirs.pop().map(Task::run));
            runs.extend(theirs.pop().map(Task::run));
            runs
        });
        let mut runs = Vec::new();
        for number in 0..3 {
            push(&ring, number, &mut runs);
        }
        runs.extend(thief.join().unwrap());
        drain(&ring, &mut runs);
        each_once(runs, 3);
    });
}

#[test]
fn two_thieves_do_not_take_the_same() {
    model(|| {
        let ring = Arc::new(Small::new());
        let mut runs = Vec::new();
        push(&ring, 0, &mut runs);
        push(&ring, 1, &mut runs);
        let thieves: Vec<_> = (0..2)
            .map(|_| {
                let ring = ring.clone();
                thread::spawn(move || ring.pop().map(Task::run))
            })
            .collect();
        // The slot of a task that was taken is used again at once.
        push(&ring, 2, &mut runs);
        for thief in thieves {
            runs.extend(thief.join().unwrap());
        }
        drain(&ring, &mut runs);
        each_once(runs, 3);
    });
}

#[test]
fn what_is_stolen_can_be_stolen_again() {
    model(|| {
        let (first, second) = (Arc::new(Small::new()), Arc::new(Small::new()));
        let mut runs = Vec::new();
        push(&first, 0, &mut runs);
        push(&first, 1, &mut runs);
        let (from, to) = (first.clone(), second.clone());
        let thief = thread::spawn(move || {
            // SAFETY: only this thread pushes to the second ring.
            unsafe { to.steal_from(&from) }.map(Task::run)
        });
        runs.extend(second.pop().map(Task::run));
        push(&first, 2, &mut runs);
        runs.extend(thief.join().unwrap());
        drain(&first, &mut runs);
        drain(&second, &mut runs);
        each_once(runs, 3);
    });
}

#[test]
fn the_slot_gives_a_task_to_one() {
    model(|| {
        let slot = Arc::new(Slot::new());
        let mut runs = Vec::new();
        let theirs = slot.clone();
        let thief = thread::spawn(move || theirs.take().map(Task::run));
        for number in 0..2 {
            // SAFETY: only this thread puts anything in.
            runs.extend(unsafe { slot.put(Task::new(number)) }.map(Task::run));
        }
        runs.extend(slot.take().map(Task::run));
        runs.extend(thief.join().unwrap());
        assert!(slot.take().is_none());
        each_once(runs, 2);
    });
}
