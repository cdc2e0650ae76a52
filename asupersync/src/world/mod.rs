//! The ports: the questions that a world answers.
//!
//! Everything between the rules and the world is the same compiled code in
//! production and in the lab; these traits are the only place where the two
//! differ. Invariants a world keeps:
//!
//! 1. an enqueued [`Runnable`] is run once, at its home if it has one, or dropped at shutdown;
//! 2. a timer's waker is woken once, at or after its due time, unless the timer
//!    is cancelled first; equal due times fire in the order they were set;
//! 3. no method wakes, drops or calls a waker or a job with a lock held.

pub mod net;
pub mod runnable;
pub mod shutdown;
pub mod signals;
#[cfg(unix)]
pub mod system;
pub mod timers;

pub use net::{Addr, Datagrams, Endpoint, Listener, Net, Stream, UnixAddr};
pub use runnable::{Chain, Lane, Runnable};
pub use shutdown::Shutdown;
pub use signals::{Hearing, Signals};
#[cfg(unix)]
pub use system::{Direction, Interest, Ready, Seen, System, Watch};

use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::obligation::LeakResponse;
use crate::types::slots::Key;
use crate::types::time::Time;
use std::io;
use std::task::Waker;

/// Why a task is being enqueued: where in the queue it belongs follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// Just spawned.
    Spawned,
    /// Something it waited for happened.
    Woken,
    /// It was woken while it ran: it goes behind its peers.
    Yielded,
}

/// Names a pending timer: the shard that holds it and its key there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerKey {
    /// Which of the world's timer queues.
    pub shard: u32,
    /// The entry in that queue.
    pub key: Key,
}

/// A thread of a world that runs tasks: where one is polled that must not change threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Home(pub u32);

/// Work that may block.
pub type Job = Box<dyn FnOnce() + Send>;

/// A runtime world: production or lab.
pub trait World: Send + Sync + 'static {
    /// The current instant of the world's monotonic clock.
    fn now(&self) -> Time;

    /// 64 uniformly distributed bits for a task: from the operating system, or
    /// from the seed, where each task has a stream of its own, so that one task's
    /// draws do not shift another's.
    fn entropy(&self, task: TaskId) -> u64;

    /// Takes over a task that is ready to be polled.
    fn enqueue(&self, task: Runnable, hint: Hint);

    /// Takes over tasks that became ready together, in this order.
    fn enqueue_all(&self, mut tasks: Chain, hint: Hint) {
        while let Some(task) = tasks.pop() {
            self.enqueue(task, hint);
        }
    }

    /// The calling thread, if it runs tasks of this world: it goes on to, for
    /// those whose [`Runnable::home`] it is, until [`World::leave`] was called as
    /// often as this.
    fn stay(&self) -> Option<Home> {
        None
    }

    /// A task that stayed at `home` is no more.
    fn leave(&self, home: Home) {
        let _ = home;
    }

    /// Wakes `waker` at `due`.
    fn timer_set(&self, due: Time, waker: &Waker) -> TimerKey;

    /// Replaces the waker of a pending timer; `false` when it has fired.
    fn timer_update(&self, key: TimerKey, waker: &Waker) -> bool;

    /// Forgets a timer; `false` when it has fired.
    fn timer_cancel(&self, key: TimerKey) -> bool;

    /// Runs work that may block, without occupying a worker.
    fn offload(&self, job: Job);

    /// The network.
    fn net(&self) -> &dyn Net;

    /// Who wants to hear that the process should stop.
    fn shutdown(&self) -> &Shutdown;

    /// Who listens to signals of the process.
    fn signals(&self) -> &Signals;

    /// Lets a signal of the process come to [`World::signals`], if this world
    /// hears those.
    ///
    /// # Errors
    /// The system's; `InvalidInput` for a signal that no program may take.
    fn hear(&self, signal: i32) -> io::Result<Hearing> {
        let _ = signal;
        Ok(Box::new(()))
    }

    /// Descriptors of the system, if there is one below.
    ///
    /// # Errors
    /// `Unsupported` where there is none.
    #[cfg(unix)]
    fn system(&self) -> io::Result<&dyn System> {
        Err(system::refused())
    }

    /// Whether [`World::emit`] does anything; asked once per region and task.
    fn records(&self) -> bool;

    /// Records an event.
    fn emit(&self, event: Event);

    /// Tells whoever operates the program about code that keeps a region from
    /// closing: on the error stream, unless the world records events.
    fn warn(&self, what: &dyn std::fmt::Display) {
        if !self.records() {
            eprintln!("asupersync: {what}");
        }
    }

    /// What to do about an obligation that its holder forgot.
    fn leak_response(&self) -> LeakResponse;
}
