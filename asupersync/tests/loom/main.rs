//! Every interleaving of small programs over the low-level structures, up to a
//! number of preemptions; `.ci/loom` raises it.
//!
//! The modules under test are compiled from the source of the library, with
//! the atomics, locks and threads of loom. What the shell does around them is
//! repeated here in a few lines each, in the order in which the shell does it.
//!
//! | file | what is raced |
//! |---|---|
//! | [`task`] | the state word of a task: wakes, polls, its outcome, its references |
//! | [`promises`] | the slots of a task's promises: values that go astray, a holder that completes |
//! | [`region`] | a region's record behind its lock: spawns, requests, ends |
//! | [`ring`] | the run queue of a worker: pushes, pops, steals, overflow |
//! | [`sleep`] | who sleeps, who is woken, how a thread parks |

/// What the modules below find under this name instead of the atomics of the
/// standard library.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering, fence};
}

/// What `slots` finds under the name that it has in the library.
mod kernel {
    pub(crate) use asupersync::kernel::obligation;
}

/// As [`atomic`], for the modules of `runtime`.
mod primitives {
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::thread::{Thread, current, park};

    /// Time does not pass in a model, so a thread that sleeps is woken.
    pub(crate) fn park_timeout(_: std::time::Duration) {
        park();
    }
}

/// The reactor as far as a sleeper needs it: a wait that a wake ends.
mod reactor {
    use loom::sync::{Condvar, Mutex};

    #[derive(Default)]
    pub(crate) struct Reactor {
        woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Reactor {
        pub(crate) fn wake(&self) {
            *super::lock(&self.woken) = true;
            self.changed.notify_one();
        }

        pub(crate) fn wait(&self) {
            let mut woken = super::lock(&self.woken);
            while !*woken {
                woken = self.changed.wait(woken).unwrap();
            }
            *woken = false;
        }
    }
}

fn lock<T>(mutex: &loom::sync::Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

#[path = "../../src/exec/state.rs"]
#[allow(dead_code)]
mod state;

#[path = "../../src/exec/promises.rs"]
#[allow(dead_code)]
mod slots;

#[path = "../../src/runtime/ring.rs"]
#[allow(dead_code)]
mod run_queue;

#[path = "../../src/runtime/idle.rs"]
#[allow(dead_code)]
mod idle;

#[path = "../../src/runtime/park.rs"]
#[allow(dead_code)]
mod park;

mod promises;
mod region;
mod ring;
mod sleep;
mod task;

/// Preemptions per execution unless `LOOM_MAX_PREEMPTIONS` says otherwise: two
/// find nearly all races, and a minute is enough for them.
const PREEMPTIONS: usize = 2;

/// Runs `program` in every interleaving within the bound.
fn model(program: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.check(program);
}
