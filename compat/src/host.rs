//! The tokio runtime behind a boundary, with every thread of it accounted for.
//!
//! Invariants:
//! 1. each thread that runs the runtime's code has told the journal before its
//!    first task and tells it after its last;
//! 2. [`Host::shutdown`] returns within its time, whatever the runtime's tasks do;
//! 3. dropping a host that was never shut down waits for nothing.

use crate::config::{BoundaryConfig, Flavor};
use crate::journal::{Journal, lock};
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// A running tokio runtime.
pub(crate) struct Host {
    handle: Handle,
    engine: Option<Engine>,
}

enum Engine {
    /// Drives itself.
    Multi(Runtime),
    /// Driven by a thread of ours.
    Current(Driver),
}

/// The thread that drives a current-thread runtime.
struct Driver {
    stop: CancellationToken,
    /// How long the runtime may take to shut down, and whether it has.
    end: Arc<(Mutex<End>, Condvar)>,
}

struct End {
    within: Duration,
    reached: bool,
}

impl Host {
    /// Starts the runtime.
    ///
    /// # Errors
    /// The operating system refused a thread or a descriptor.
    pub(crate) fn start(config: &BoundaryConfig, journal: &Arc<Journal>) -> io::Result<Host> {
        let mut builder = match config.flavor {
            Flavor::MultiThread { workers } => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(workers);
                builder
            }
            Flavor::CurrentThread => Builder::new_current_thread(),
        };
        builder
            .enable_all()
            .thread_name(&*config.name)
            .max_blocking_threads(config.blocking_threads);
        let (starts, stops) = (journal.clone(), journal.clone());
        builder.on_thread_start(move || starts.thread_started());
        builder.on_thread_stop(move || stops.thread_stopped());
        watch_spawns(&mut builder, journal);
        let runtime = builder.build()?;
        let handle = runtime.handle().clone();
        let engine = match config.flavor {
            Flavor::MultiThread { .. } => Engine::Multi(runtime),
            Flavor::CurrentThread => Engine::Current(drive(runtime, config, journal.clone())?),
        };
        Ok(Host {
            handle,
            engine: Some(engine),
        })
    }

    /// A way to use the runtime from elsewhere.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Drops every task, ends every thread that lets itself be ended, and returns after `within` at
    /// the latest. It blocks, so it belongs on a thread of its own.
    pub(crate) fn shutdown(mut self, within: Duration) {
        match self.engine.take() {
            Some(Engine::Multi(runtime)) => runtime.shutdown_timeout(within),
            Some(Engine::Current(driver)) => driver.shutdown(within),
            None => {}
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        match self.engine.take() {
            // Dropping a runtime in place would block, and panic on a thread that runs tasks.
            Some(Engine::Multi(runtime)) => runtime.shutdown_background(),
            Some(Engine::Current(driver)) => driver.stop.cancel(),
            None => {}
        }
    }
}

/// Drives a current-thread runtime until it is told to stop.
fn drive(runtime: Runtime, config: &BoundaryConfig, journal: Arc<Journal>) -> io::Result<Driver> {
    let stop = CancellationToken::new();
    let end = Arc::new((
        Mutex::new(End {
            within: Duration::ZERO,
            reached: false,
        }),
        Condvar::new(),
    ));
    let driver = Driver {
        stop: stop.clone(),
        end: end.clone(),
    };
    // Announced by the thread that spawns it: a count that begins later could miss a stuck thread.
    let announced = journal.clone();
    let spawned = thread::Builder::new()
        .name(config.name.to_string())
        .spawn(move || {
            let (state, changed) = &*end;
            {
                let _frame = journal.enter();
                runtime.block_on(stop.cancelled());
            }
            let within = lock(state).within;
            // Destructors of the tasks run in here, so this thread is inside until it is over.
            let frame = journal.enter();
            runtime.shutdown_timeout(within);
            drop(frame);
            journal.thread_stopped();
            lock(state).reached = true;
            changed.notify_all();
        });
    spawned?;
    announced.thread_announced();
    Ok(driver)
}

impl Driver {
    fn shutdown(self, within: Duration) {
        let (state, changed) = &*self.end;
        lock(state).within = within;
        self.stop.cancel();
        let until = Instant::now() + within;
        let mut end = lock(state);
        while !end.reached {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            end = changed
                .wait_timeout(end, left)
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0;
        }
    }
}

/// Writes down where tokio tasks are spawned, if this tokio tells.
#[cfg(tokio_unstable)]
fn watch_spawns(builder: &mut Builder, journal: &Arc<Journal>) {
    let (spawned, ended) = (journal.clone(), journal.clone());
    builder
        .on_task_spawn(move |task| spawned.task_spawned(task.id().to_string(), task.spawned_at()));
    builder.on_task_terminate(move |task| ended.task_ended(&task.id().to_string()));
}

#[cfg(not(tokio_unstable))]
fn watch_spawns(_: &mut Builder, _: &Arc<Journal>) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn both(check: impl Fn(BoundaryConfig)) {
        check(BoundaryConfig::new("host-multi").workers(2));
        check(BoundaryConfig::new("host-current").current_thread());
    }

    #[test]
    fn runs_tasks_and_ends_all_threads() {
        both(|config| {
            let journal = Journal::open();
            let host = Host::start(&config, &journal).unwrap();
            let (tx, rx) = mpsc::channel();
            let inside = journal.clone();
            host.handle().spawn(async move {
                tokio::time::sleep(MS(1)).await;
                tx.send(inside.is_inside()).unwrap();
            });
            assert_eq!(rx.recv(), Ok(true), "a task runs inside its boundary");
            host.handle().spawn(std::future::pending::<()>());
            let handle = host.handle().clone();
            host.shutdown(MS(2000));
            assert_eq!(handle.metrics().num_alive_tasks(), 0);
            assert_eq!(journal.threads_alive(), 0);
        });
    }

    #[test]
    fn a_stuck_thread_is_still_counted_when_the_time_is_over() {
        both(|config| {
            let journal = Journal::open();
            let host = Host::start(&config, &journal).unwrap();
            let (release, hold) = mpsc::channel::<()>();
            let (tx, rx) = mpsc::channel();
            host.handle().spawn(async move {
                tx.send(()).unwrap();
                let _ = hold.recv();
            });
            rx.recv().unwrap();
            let begun = Instant::now();
            host.shutdown(MS(30));
            assert!(begun.elapsed() < MS(1500));
            assert_eq!(journal.threads_alive(), 1);
            drop(release);
            let until = Instant::now() + MS(5000);
            while journal.threads_alive() > 0 {
                assert!(Instant::now() < until, "the released thread ends");
                thread::yield_now();
            }
        });
    }

    #[test]
    fn a_panic_of_a_detached_task_is_written_down() {
        both(|config| {
            let journal = Journal::open();
            let host = Host::start(&config, &journal).unwrap();
            let task = host.handle().spawn(async { panic!("detached {}", 1) });
            assert!(futures::executor::block_on(task).unwrap_err().is_panic());
            host.shutdown(MS(2000));
            let (panics, total) = journal.panics();
            assert_eq!((total, panics[0].message.as_str()), (1, "detached 1"));
        });
    }
}
