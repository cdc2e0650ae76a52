//! Every interleaving of small programs over permits and their line.
//!
//! `wait::permits` is compiled from the source of the library with the atomics
//! and the lock of loom; the line itself is the library's, and plain data. A
//! wake that is lost shows as a thread that is parked for ever.

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

#[path = "../src/wait/permits.rs"]
#[allow(dead_code, reason = "the library uses all of it")]
mod permits;

use asupersync::wait::{After, Left, Look, Statistics, Ticket, WaitQueue};
use atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, Thread};
use permits::{Permits, Refusal};
use std::task::{Poll, Wake, Waker};

fn permits(free: usize) -> Permits {
    let word = AtomicUsize::new(Permits::word(free));
    let line = atomic::Mutex::new(WaitQueue::new());
    Permits::of(word, AtomicU64::new(0), line)
}

/// Unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    std::sync::Arc::new(Unpark(thread::current())).into()
}

/// Acquires as a task would, on a thread of its own.
fn acquire(permits: &Permits, n: usize) -> Result<(), Refusal> {
    match permits.try_acquire(n) {
        Err(Refusal::Taken) => {}
        other => return other,
    }
    let waker = waker();
    let mut ticket = None;
    loop {
        match permits.poll_acquire(n, &mut ticket, &waker) {
            Poll::Ready(acquired) => return acquired,
            Poll::Pending => thread::park(),
        }
    }
}

/// A number that only who has the permit may touch; loom checks that.
struct Locked {
    permits: Permits,
    count: UnsafeCell<usize>,
}

impl Locked {
    fn new() -> Arc<Self> {
        Arc::new(Locked {
            permits: permits(1),
            count: UnsafeCell::new(0),
        })
    }

    fn add(&self) {
        acquire(&self.permits, 1).unwrap();
        // SAFETY: there is one permit; loom checks that it orders the accesses.
        self.count.with_mut(|count| unsafe { *count += 1 });
        self.permits.release(1, Waker::wake);
    }
}

#[test]
fn a_permit_has_one_holder_and_its_next_is_woken() {
    loom::model(|| {
        let locked = Locked::new();
        let other = locked.clone();
        let thread = thread::spawn(move || other.add());
        locked.add();
        thread.join().unwrap();
        locked.permits.try_acquire(1).unwrap();
        // SAFETY: the permit is ours.
        assert_eq!(locked.count.with(|count| unsafe { *count }), 2);
    });
}

#[test]
fn three_on_one_permit() {
    let mut model = loom::model::Builder::new();
    // All interleavings of three are too many; these find each race of two
    // among three, and more.
    model.preemption_bound = Some(2);
    model.check(|| {
        let locked = Locked::new();
        let others = [locked.clone(), locked.clone()];
        let threads = others.map(|other| thread::spawn(move || other.add()));
        locked.add();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(locked.permits.free(), 1);
        assert_eq!(locked.permits.statistics().waiting, 0);
    });
}

#[test]
fn a_waiter_that_leaves_while_it_is_granted_hands_on() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let permits = Arc::new(permits(0));
        let mut first = None;
        let waker = waker();
        assert!(permits.poll_acquire(1, &mut first, &waker).is_pending());
        let releases = permits.clone();
        let waits = permits.clone();
        let releaser = thread::spawn(move || releases.release(1, Waker::wake));
        let waiter = thread::spawn(move || {
            acquire(&waits, 1).unwrap();
            waits.release(1, Waker::wake);
        });
        // Queued or granted by now: the one behind gets the permit in any case.
        permits.withdraw(1, first.take().unwrap(), Waker::wake);
        releaser.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(permits.free(), 1);
    });
}

#[test]
fn closing_reaches_whoever_joins_the_line() {
    loom::model(|| {
        let permits = Arc::new(permits(0));
        let waits = permits.clone();
        let waiter = thread::spawn(move || acquire(&waits, 1));
        permits.close(Waker::wake);
        assert_eq!(waiter.join().unwrap(), Err(Refusal::Closed));
        assert_eq!(permits.statistics().waiting, 0);
    });
}

/// The rule of `sync::gate`: an address found under the lock of the line, with
/// somebody in it, belongs to a holder that is alive.
#[test]
fn a_holder_found_by_a_waiter_is_alive() {
    loom::model(|| {
        struct Gate {
            permits: Permits,
            /// 1: the task below; 0: nobody.
            holder: AtomicUsize,
            /// The task: gone when it is written to.
            alive: UnsafeCell<bool>,
        }
        let gate = Arc::new(Gate {
            permits: permits(1),
            holder: AtomicUsize::new(0),
            alive: UnsafeCell::new(true),
        });
        let held = gate.clone();
        let holder = thread::spawn(move || {
            if held.permits.try_acquire(1).is_ok() {
                held.holder.store(1, Ordering::Release);
                held.holder.store(0, Ordering::Relaxed);
                held.permits.release(1, Waker::wake);
            }
            // SAFETY: nobody can find the task any more; loom checks it.
            held.alive.with_mut(|alive| unsafe { *alive = false });
        });
        let mut ticket = None;
        if gate
            .permits
            .poll_acquire(1, &mut ticket, &waker())
            .is_pending()
        {
            gate.permits.while_held(|| {
                if gate.holder.load(Ordering::Acquire) == 1 {
                    // SAFETY: found under the lock of the line; loom checks it.
                    assert!(gate.alive.with(|alive| unsafe { *alive }));
                }
            });
            gate.permits
                .withdraw(1, ticket.take().unwrap(), Waker::wake);
        }
        holder.join().unwrap();
    });
}

#[test]
fn a_release_that_comes_to_the_line_too_late_counts() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        // Both are held by others.
        let permits = Arc::new(permits(0));
        let mut ticket = None;
        let waker = waker();
        assert!(permits.poll_acquire(1, &mut ticket, &waker).is_pending());
        let holders = [permits.clone(), permits.clone()];
        let threads = holders.map(|p| thread::spawn(move || p.release(1, Waker::wake)));
        while permits.poll_acquire(1, &mut ticket, &waker).is_pending() {
            thread::park();
        }
        // The line is empty: this one takes no lock, and the later of the others may.
        permits.release(1, Waker::wake);
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(permits.free(), 2);
    });
}

#[test]
fn who_learns_of_a_grant_before_it_is_woken_sees_what_the_holder_did() {
    loom::model(|| {
        let locked = Locked::new();
        locked.permits.try_acquire(1).unwrap();
        let mut ticket = None;
        let waker = waker();
        let queued = locked.permits.poll_acquire(1, &mut ticket, &waker);
        assert!(queued.is_pending());
        let holder = locked.clone();
        let thread = thread::spawn(move || {
            // SAFETY: the permit was taken for this thread.
            holder.count.with_mut(|count| unsafe { *count = 1 });
            // Nobody is woken, so that nothing but the grant orders the two.
            holder.permits.release(1, drop);
        });
        if locked.permits.poll_acquire(1, &mut ticket, &waker) == Poll::Ready(Ok(())) {
            // SAFETY: the permit is ours.
            assert_eq!(locked.count.with(|count| unsafe { *count }), 1);
        }
        thread.join().unwrap();
    });
}
