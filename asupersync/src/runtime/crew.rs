//! The worker threads: started by the builder, counted, and joined at the end.

use super::Runtime;
use super::context::{Context, Local, identity};
use super::hooks::Hooks;
use super::lock;
use super::shared::Shared;
use super::worker::Worker;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What was still running when a shutdown gave up waiting.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShutdownReport {
    /// Worker threads that had not ended: a task did not return from its poll.
    pub stuck_workers: usize,
    /// Threads that had not ended because their blocking work had not.
    pub stuck_blocking: usize,
    /// The names of all these threads.
    pub stuck_threads: Vec<String>,
    /// Queued tasks that were dropped without being run.
    pub discarded_tasks: usize,
    /// How long it took.
    pub took: Duration,
}

impl ShutdownReport {
    /// Whether nothing was left running.
    pub fn is_clean(&self) -> bool {
        self.stuck_workers == 0 && self.stuck_blocking == 0
    }
}

/// The worker threads of one runtime.
#[derive(Default)]
pub(super) struct Crew {
    handles: Vec<JoinHandle<()>>,
    roll: Arc<Roll>,
}

/// How many workers have not ended.
#[derive(Default)]
struct Roll {
    present: Mutex<usize>,
    left: Condvar,
}

/// Signs a worker off, also when it unwinds.
struct SignedOn(Arc<Roll>);

impl Drop for SignedOn {
    fn drop(&mut self) {
        *lock(&self.0.present) -= 1;
        self.0.left.notify_all();
    }
}

/// Starts one worker.
pub(super) fn hire(runtime: &mut Runtime, index: usize, name: &str) -> io::Result<()> {
    let roll = Arc::clone(&runtime.crew.roll);
    *lock(&roll.present) += 1;
    let signed_on = SignedOn(roll);
    let (shared, hooks) = (Arc::clone(&runtime.shared), runtime.hooks.clone());
    let body = move || {
        let _signed_on = signed_on;
        work(&shared, index, &hooks);
    };
    runtime.crew.handles.push(
        std::thread::Builder::new()
            .name(format!("{name}-w{index}"))
            .spawn(body)?,
    );
    Ok(())
}

fn work(shared: &Arc<Shared>, index: usize, hooks: &Hooks) {
    Context::own_thread(identity(shared));
    let context = Context::new(shared, Some(Local::new(index)), None);
    let _entered = context.enter();
    let _hooks = hooks.enter();
    Worker::new(shared, context).run_until(|| shared.closing.load(Ordering::SeqCst));
}

impl Crew {
    /// Ends the threads of a runtime and waits for them until `deadline`.
    ///
    /// On a thread of the runtime itself it does not wait: joining oneself
    /// would take forever, so a thread made for it joins the others.
    pub(super) fn dismiss(self, shared: &Arc<Shared>, deadline: Option<Instant>) -> ShutdownReport {
        let start = Instant::now();
        shared.closing.store(true, Ordering::SeqCst);
        for worker in &shared.workers {
            worker.parker.unpark(&shared.reactor);
        }
        shared.blocking.close();
        if Context::owns_thread(shared) {
            let shared = Arc::clone(shared);
            let reap = move || {
                self.join(&shared, None);
            };
            // Without a thread to join them, the others end all the same.
            let _ = std::thread::Builder::new()
                .name("reaper".into())
                .spawn(reap);
            return ShutdownReport {
                took: start.elapsed(),
                ..ShutdownReport::default()
            };
        }
        let report = self.join(shared, deadline);
        ShutdownReport {
            took: start.elapsed(),
            ..report
        }
    }

    fn join(self, shared: &Shared, deadline: Option<Instant>) -> ShutdownReport {
        let stuck_workers = self.roll.wait(deadline);
        let mut stuck_threads = Vec::new();
        for handle in self.handles {
            if stuck_workers == 0 || handle.is_finished() {
                // A worker that panicked has printed its message.
                let _ = handle.join();
            } else {
                stuck_threads.extend(handle.thread().name().map(str::to_owned));
            }
        }
        let (stuck_blocking, names) = shared.blocking.join(deadline);
        stuck_threads.extend(names);
        let discarded_tasks = shared.discard_tasks();
        ShutdownReport {
            stuck_workers,
            stuck_blocking,
            stuck_threads,
            discarded_tasks,
            took: Duration::ZERO,
        }
    }
}

impl Roll {
    /// Waits until every worker has left, or the deadline; says how many are left.
    fn wait(&self, deadline: Option<Instant>) -> usize {
        let mut present = lock(&self.present);
        while *present > 0 {
            present = match deadline {
                None => self
                    .left
                    .wait(present)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let woken = self.left.wait_timeout(present, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *present
    }
}
