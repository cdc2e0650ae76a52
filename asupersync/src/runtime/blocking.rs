//! Threads for work that may block, made on demand and ended when idle.
//!
//! Invariants: at most `max` threads live; a job queued while the pool is open
//! is run; a panicking job does not end its thread's service; closing waits for
//! nobody, joining waits for the jobs that were accepted.
//!
//! The queue is as long as regions let it be: each job is a live task of one,
//! which admits no more than its `RegionLimits::max_blocking`. A bound here as
//! well would have to refuse a task that its region has admitted, or to hold up
//! the worker that polls it.

use super::context::Context;
use super::lock;
use crate::world::Job;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread waits for another job.
const IDLE: Duration = Duration::from_secs(10);

pub(super) struct Blocking {
    max: usize,
    name: String,
    /// The runtime's identity, which its threads carry.
    pub(super) owner: AtomicUsize,
    state: Mutex<State>,
    /// A job was queued, or the pool was closed.
    work: Condvar,
    /// A thread ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    idle: usize,
    threads: usize,
    spawned: u64,
    closed: bool,
    /// Handles of threads that may still run; those that ended are joined when the next is made.
    handles: Vec<JoinHandle<()>>,
}

impl Blocking {
    pub(super) fn new(max: usize, name: &str) -> Arc<Self> {
        Arc::new(Blocking {
            max,
            name: format!("{name}-b"),
            owner: AtomicUsize::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
        })
    }

    /// Runs a job on a thread of the pool.
    ///
    /// If the system refuses the very first thread, the job is run here: late
    /// is better than never. A job that comes after the pool was closed is
    /// dropped, which its owner sees as a cancellation.
    pub(super) fn run(self: &Arc<Self>, job: Job) {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            drop(job);
            return;
        }
        state.queue.push_back(job);
        if state.idle >= state.queue.len() {
            drop(state);
            self.work.notify_one();
            return;
        }
        if state.threads >= self.max {
            return;
        }
        let (over, kept) = state.handles.drain(..).partition(JoinHandle::is_finished);
        state.handles = kept;
        state.threads += 1;
        state.spawned += 1;
        let name = format!("{}{}", self.name, state.spawned);
        let pool = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || pool.serve());
        let mut refused = None;
        match thread {
            Ok(handle) => state.handles.push(handle),
            Err(_) => {
                state.threads -= 1;
                if state.threads == 0 {
                    refused = state.queue.pop_back();
                }
            }
        }
        drop(state);
        let over: Vec<JoinHandle<()>> = over;
        over.into_iter().for_each(|handle| drop(handle.join()));
        if let Some(job) = refused {
            job();
        }
    }

    fn serve(&self) {
        Context::own_thread(self.owner.load(Ordering::Relaxed));
        let mut state = lock(&self.state);
        'serving: loop {
            while let Some(job) = state.queue.pop_front() {
                drop(state);
                // The job's owner has its own way to learn of a panic; here it
                // must only not take the thread and the count with it.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = lock(&self.state);
            }
            let deadline = Instant::now() + IDLE;
            state.idle += 1;
            while state.queue.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                if state.closed || left.is_zero() {
                    state.idle -= 1;
                    break 'serving;
                }
                let woken = self.work.wait_timeout(state, left);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            state.idle -= 1;
        }
        state.threads -= 1;
        drop(state);
        self.ended.notify_all();
    }

    /// Accepts no more jobs; threads end when the queue is empty.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.work.notify_all();
    }

    /// Waits until every thread has ended or `deadline` has passed; says how many are left, and their names.
    ///
    /// Threads that ended are joined; the others keep running on their own.
    pub(super) fn join(&self, deadline: Option<Instant>) -> (usize, Vec<String>) {
        let mut state = lock(&self.state);
        while state.threads > 0 {
            state = match deadline {
                None => self
                    .ended
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let woken = self.ended.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let left = state.threads;
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        let mut names = Vec::new();
        for handle in handles {
            // When all have ended, the rest of each thread is a few instructions.
            if left == 0 || handle.is_finished() {
                let _ = handle.join();
            } else {
                names.extend(handle.thread().name().map(str::to_owned));
            }
        }
        (left, names)
    }

    /// Threads alive now.
    #[cfg(test)]
    fn threads(&self) -> usize {
        lock(&self.state).threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn threads_are_bounded_and_reused() {
        let pool = Blocking::new(2, "t");
        let (tx, rx) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        for i in 0..10 {
            let (tx, gate) = (tx.clone(), Arc::clone(&gate));
            pool.run(Box::new(move || {
                drop(gate.lock().unwrap());
                tx.send(i).unwrap();
            }));
        }
        assert_eq!(pool.threads(), 2);
        drop(held);
        let mut done: Vec<i32> = rx.iter().take(10).collect();
        done.sort_unstable();
        assert_eq!(done, (0..10).collect::<Vec<_>>());
        pool.close();
        assert_eq!(pool.join(None).0, 0);
        assert_eq!(pool.threads(), 0);
    }

    #[test]
    fn a_panicking_job_takes_nothing_with_it() {
        let pool = Blocking::new(1, "t");
        pool.run(Box::new(|| {
            std::panic::resume_unwind(Box::new("contained"))
        }));
        let (tx, rx) = mpsc::channel();
        pool.run(Box::new(move || tx.send(7).unwrap()));
        assert_eq!(rx.recv(), Ok(7));
        pool.close();
        assert_eq!(pool.join(None).0, 0);
    }

    #[test]
    fn a_stuck_job_is_counted_and_accepted_ones_still_run() {
        let pool = Blocking::new(1, "t");
        let (release, wait) = mpsc::channel::<()>();
        let (tx, rx) = mpsc::channel();
        let last = tx.clone();
        pool.run(Box::new(move || tx.send(wait.recv().is_ok()).unwrap()));
        pool.run(Box::new(move || last.send(true).unwrap()));
        pool.close();
        assert_eq!(
            pool.join(Some(Instant::now() + Duration::from_millis(5))),
            (1, vec!["t-b1".to_owned()])
        );
        release.send(()).unwrap();
        assert_eq!(rx.iter().collect::<Vec<_>>(), [true, true]);
        assert_eq!(pool.join(None).0, 0);
    }
}
