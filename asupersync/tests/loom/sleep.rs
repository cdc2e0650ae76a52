//! Sleeping and waking: work that was published is run, whoever was about to
//! sleep. A lost wake-up is a deadlock, which loom finds.

use crate::idle::Idle;
use crate::model;
use crate::park::{Parker, Place};
use crate::reactor::Reactor;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::thread;

/// Workers that run what is published, counted, in one queue.
struct Pool {
    idle: Idle,
    parkers: Vec<Parker>,
    reactor: Reactor,
    published: AtomicUsize,
    run: AtomicUsize,
    goal: usize,
}

impl Pool {
    fn new(workers: usize, goal: usize) -> Arc<Self> {
        Arc::new(Pool {
            idle: Idle::new(workers),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
            reactor: Reactor::default(),
            published: AtomicUsize::new(0),
            run: AtomicUsize::new(0),
            goal,
        })
    }

    /// As in `Shared::push_outside`.
    fn publish(&self) {
        self.published.fetch_add(1, Ordering::Release);
        self.notify();
    }

    /// As in `Shared::notify`.
    fn notify(&self) {
        fence(Ordering::SeqCst);
        if let Some(worker) = self.idle.pick() {
            self.parkers[worker].unpark(&self.reactor);
        }
    }

    fn take(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.published
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }

    fn is_done(&self) -> bool {
        self.run.load(Ordering::SeqCst) == self.goal
    }

    /// As in `Worker::has_work`.
    fn has_work(&self) -> bool {
        fence(Ordering::SeqCst);
        self.published.load(Ordering::Relaxed) > 0
    }

    /// As in `Worker::run_until`; one worker drives the reactor.
    fn work(&self, index: usize, place: Place) {
        self.parkers[index].adopt();
        let mut searching = false;
        while !self.is_done() {
            searching = searching || self.idle.begin_search();
            if searching && self.take() {
                searching = false;
                if self.idle.end_search() && self.has_work() {
                    self.notify();
                }
                if self.run.fetch_add(1, Ordering::SeqCst) + 1 == self.goal {
                    // As at the end of a runtime.
                    self.parkers.iter().for_each(|p| p.unpark(&self.reactor));
                }
                continue;
            }
            let drives = place == Place::Reactor;
            let searched = std::mem::take(&mut searching);
            // Nobody watches in these models: a period does not end in one.
            let _ = self
                .idle
                .announce(index, searched, drives, self.idle.rises());
            if self.parkers[index].prepare(place) {
                if !self.is_done() && !self.has_work() {
                    match place {
                        Place::Reactor => self.reactor.wait(),
                        Place::Lot => self.parkers[index].sleep(None),
                    }
                } else {
                    // It comes back until another worker has taken the work;
                    // loom has to let that worker do so.
                    thread::yield_now();
                }
                self.parkers[index].finish();
            }
            searching = self.idle.retract(index);
        }
    }
}

#[test]
fn work_from_outside_reaches_a_worker_that_falls_asleep() {
    for place in [Place::Lot, Place::Reactor] {
        model(move || {
            let pool = Pool::new(1, 2);
            let worker = pool.clone();
            let worker = thread::spawn(move || worker.work(0, place));
            pool.publish();
            pool.publish();
            worker.join().unwrap();
        });
    }
}

#[test]
fn two_workers_run_what_two_producers_publish() {
    model(|| {
        let pool = Pool::new(2, 2);
        let workers: Vec<_> = [Place::Lot, Place::Reactor]
            .into_iter()
            .enumerate()
            .map(|(index, place)| {
                let pool = pool.clone();
                thread::spawn(move || pool.work(index, place))
            })
            .collect();
        pool.publish();
        pool.publish();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn a_permit_given_at_any_time_ends_the_sleep() {
    for place in [Place::Lot, Place::Reactor] {
        model(move || {
            let shared = Arc::new((Parker::new(), Reactor::default(), AtomicUsize::new(0)));
            shared.0.adopt();
            let theirs = shared.clone();
            let waker = thread::spawn(move || {
                let (parker, reactor, ready) = &*theirs;
                ready.store(1, Ordering::Release);
                parker.unpark(reactor);
            });
            let (parker, reactor, ready) = &*shared;
            while ready.load(Ordering::Acquire) == 0 {
                if parker.prepare(place) {
                    if ready.load(Ordering::Acquire) == 0 {
                        match place {
                            Place::Reactor => reactor.wait(),
                            Place::Lot => parker.sleep(None),
                        }
                    }
                    parker.finish();
                }
            }
            waker.join().unwrap();
        });
    }
}
