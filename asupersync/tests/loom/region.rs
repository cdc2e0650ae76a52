//! A region's record behind its lock, raced by spawns, requests and ends.

use crate::model;
use asupersync::kernel::region::{End, Next, RegionRecord, RegionState, Role, Sweep};
use asupersync::{CancelKind, CancelReason, Time};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A region as the shell keeps it: the record and its children behind one lock.
#[derive(Default)]
struct Ledger {
    record: RegionRecord,
    children: Vec<Arc<AtomicBool>>,
    /// Whether the driver waits.
    driver: bool,
}

#[derive(Default)]
struct Region {
    ledger: Mutex<Ledger>,
    /// Whether the driver is to be polled again.
    woken: AtomicBool,
    notified: AtomicUsize,
}

impl Region {
    /// As in `spawn::admit`; the child's cancel bit.
    fn spawn(&self) -> Option<Arc<AtomicBool>> {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.record.admit_task(Role::Foreground).ok()?;
        let child = Arc::new(AtomicBool::new(false));
        ledger.children.push(child.clone());
        Some(child)
    }

    /// As in `cancel::ask_region`.
    fn cancel(&self, kind: CancelKind) {
        let reason = std::sync::Arc::new(CancelReason::new(kind));
        let (next, asked) = {
            let mut ledger = self.ledger.lock().unwrap();
            let next = ledger.record.cancel(reason, Time::ZERO);
            let sweeps = next.sweep == Sweep::Cancel;
            (
                next,
                if sweeps {
                    ledger.children.clone()
                } else {
                    Vec::new()
                },
            )
        };
        for child in asked {
            child.store(true, Ordering::Release);
        }
        self.notify(next);
    }

    fn task_ended(&self) {
        let next = {
            let mut ledger = self.ledger.lock().unwrap();
            ledger.record.task_ended(Role::Foreground, End::Ok)
        };
        self.notify(next);
    }

    fn body_ended(&self) {
        let next = self.ledger.lock().unwrap().record.body_ended();
        self.notify(next);
    }

    fn notify(&self, next: Next) {
        if next.notify_driver && std::mem::take(&mut self.ledger.lock().unwrap().driver) {
            self.woken.store(true, Ordering::Release);
            self.notified.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As in `drive::Rest::poll`: whether the drain is over.
    fn poll_driver(&self) -> bool {
        let mut ledger = self.ledger.lock().unwrap();
        let over = ledger.record.state >= RegionState::Finalizing;
        ledger.driver = !over;
        over
    }
}

#[test]
fn a_spawn_that_races_with_a_cancel_is_refused_or_swept() {
    model(|| {
        let region = Arc::new(Region::default());
        let spawner = region.clone();
        let spawner = thread::spawn(move || spawner.spawn());
        let other = region.clone();
        let other = thread::spawn(move || other.cancel(CancelKind::Shutdown));
        region.cancel(CancelKind::User);
        let spawned = spawner.join().unwrap();
        other.join().unwrap();
        if let Some(asked) = spawned {
            assert!(asked.load(Ordering::Acquire), "a missed child");
            assert_eq!(region.ledger.lock().unwrap().record.tasks(), 1);
        }
        assert!(region.spawn().is_none());
    });
}

#[test]
fn the_driver_learns_of_the_end_whoever_comes_last() {
    model(|| {
        let region = Arc::new(Region::default());
        region.spawn().unwrap();
        let task = region.clone();
        let task = thread::spawn(move || task.task_ended());
        let canceller = region.clone();
        let canceller = thread::spawn(move || canceller.cancel(CancelKind::User));
        region.body_ended();
        let mut over = region.poll_driver();
        task.join().unwrap();
        canceller.join().unwrap();
        if !over {
            assert!(region.woken.load(Ordering::Acquire), "a lost wake");
            over = region.poll_driver();
        }
        assert!(over, "woken too early and never again");
        assert!(region.ledger.lock().unwrap().record.finalized());
    });
}

#[test]
fn a_region_does_not_close_while_a_late_task_lives() {
    model(|| {
        let region = Arc::new(Region::default());
        region.spawn().unwrap();
        let spawner = region.clone();
        let spawner = thread::spawn(move || {
            // The first child spawns a second one and ends.
            let second = spawner.spawn();
            spawner.task_ended();
            second.is_some()
        });
        region.body_ended();
        let early = region.poll_driver();
        let spawned = spawner.join().unwrap();
        assert!(spawned, "open while a foreground child lives");
        assert!(!early && !region.poll_driver(), "closed over a live task");
        region.task_ended();
        assert!(region.poll_driver());
    });
}
