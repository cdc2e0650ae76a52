//! What happens on a boundary's threads and inside its futures: thread starts and stops, panics, spawn sites.
//!
//! Invariants:
//! 1. a journal holds no handle on the runtime it writes about: the runtime's
//!    callbacks own the journal, and a way back would be a cycle that keeps the
//!    driver's file descriptors open for ever;
//! 2. each thread knows the boundaries whose code it is running, innermost last;
//!    a frame is left in the order it was entered, also by a panic;
//! 3. the panic hook only adds: the hook that was installed before still runs.

use crate::report::{FutureKind, FutureName, MAX_NAMED, PanicRecord, Place};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{Location, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

thread_local! {
    /// The boundaries whose code this thread is running, innermost last.
    static INSIDE: RefCell<Vec<Arc<Journal>>> = const { RefCell::new(Vec::new()) };
}

/// What one boundary's threads and futures did.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    started: AtomicUsize,
    stopped: AtomicUsize,
    log: Mutex<Log>,
    /// Where the live tokio tasks were spawned, by task; stays empty unless tokio tells.
    sites: Mutex<BTreeMap<String, &'static Location<'static>>>,
}

#[derive(Debug, Default)]
struct Log {
    kept: Vec<PanicRecord>,
    total: usize,
}

impl Journal {
    /// An empty journal; the first one of the process installs the panic hook.
    pub(crate) fn open() -> Arc<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                record(info);
                previous(info);
            }));
        });
        Arc::default()
    }

    /// A thread of the runtime begins; its frame is never left, since it runs nothing else.
    pub(crate) fn thread_started(self: &Arc<Self>) {
        self.started.fetch_add(1, Ordering::SeqCst);
        INSIDE.with_borrow_mut(|frames| frames.push(self.clone()));
    }

    /// A thread of ours that runs the runtime's code is about to; it enters by itself.
    pub(crate) fn thread_announced(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    /// A thread of the runtime ends.
    pub(crate) fn thread_stopped(&self) {
        self.stopped.fetch_add(1, Ordering::SeqCst);
    }

    /// How many of the runtime's threads are alive.
    pub(crate) fn threads_alive(&self) -> usize {
        // Read in this order, a thread that ends in between is counted as alive: never too few.
        let stopped = self.stopped.load(Ordering::SeqCst);
        self.started.load(Ordering::SeqCst).saturating_sub(stopped)
    }

    /// Marks this thread as running the boundary's code until the frame is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Frame {
        INSIDE.with_borrow_mut(|frames| {
            frames.push(self.clone());
            Frame {
                depth: frames.len(),
            }
        })
    }

    /// Whether this thread is running the boundary's code, at any depth.
    pub(crate) fn is_inside(self: &Arc<Self>) -> bool {
        INSIDE.with_borrow(|frames| frames.iter().any(|j| Arc::ptr_eq(j, self)))
    }

    /// The panics so far, and how many there were.
    pub(crate) fn panics(&self) -> (Vec<PanicRecord>, usize) {
        let log = lock(&self.log);
        (log.kept.clone(), log.total)
    }

    /// A tokio task begins to exist.
    #[cfg_attr(
        not(tokio_unstable),
        expect(dead_code, reason = "only an unstable tokio tells")
    )]
    pub(crate) fn task_spawned(&self, id: String, site: &'static Location<'static>) {
        lock(&self.sites).insert(id, site);
    }

    /// A tokio task is gone.
    #[cfg_attr(
        not(tokio_unstable),
        expect(dead_code, reason = "only an unstable tokio tells")
    )]
    pub(crate) fn task_ended(&self, id: &str) {
        lock(&self.sites).remove(id);
    }

    /// The spawn sites of the live tokio tasks, as far as tokio tells.
    pub(crate) fn spawn_sites(&self) -> Vec<FutureName> {
        lock(&self.sites)
            .values()
            .map(|site| FutureName {
                kind: FutureKind::Spawned,
                name: None,
                site,
            })
            .collect()
    }
}

/// Whether this thread is running the code of any boundary.
pub(crate) fn inside_any() -> bool {
    INSIDE.with_borrow(|frames| !frames.is_empty())
}

/// A stretch of a boundary's code on this thread.
#[must_use = "the frame ends when it is dropped"]
pub(crate) struct Frame {
    depth: usize,
}

impl Drop for Frame {
    fn drop(&mut self) {
        let left = INSIDE.with_borrow_mut(|frames| {
            debug_assert_eq!(
                frames.len(),
                self.depth,
                "frames are left in the order they were entered"
            );
            frames.pop()
        });
        drop(left);
    }
}

/// Writes a panic into the journal of the boundary whose code panicked, if any. It must not panic
/// itself, hence the `try_` forms: the thread's locals may be gone or in use.
fn record(info: &PanicHookInfo<'_>) {
    let journal = INSIDE.try_with(|frames| frames.try_borrow().ok()?.last().cloned());
    let Ok(Some(journal)) = journal else { return };
    let record = PanicRecord {
        message: said(info).to_owned(),
        place: info
            .location()
            .map_or_else(String::new, |at| Place(at).to_string()),
        thread: std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .to_owned(),
    };
    let mut log = lock(&journal.log);
    log.total += 1;
    if log.kept.len() < MAX_NAMED {
        log.kept.push(record);
    }
}

fn said<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    let literal = payload.downcast_ref::<&'static str>().copied();
    literal
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a payload that is not a string")
}

/// Nothing that may panic runs under these locks, so poison means nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn a_panic_goes_to_the_innermost_boundary() {
        let (outer, inner) = (Journal::open(), Journal::open());
        let caught = catch_unwind(|| {
            let _outer = outer.enter();
            let _ = catch_unwind(|| {
                let _inner = inner.enter();
                assert!(outer.is_inside() && inner.is_inside());
                panic!("inner {}", 1);
            });
            assert!(outer.is_inside() && !inner.is_inside());
            panic!("outer");
        });
        assert!(caught.is_err() && !inside_any());
        let messages = |j: &Journal| {
            j.panics()
                .0
                .into_iter()
                .map(|p| p.message)
                .collect::<Vec<_>>()
        };
        assert_eq!(messages(&inner), ["inner 1"]);
        assert_eq!(messages(&outer), ["outer"]);
        let place = &inner.panics().0[0].place;
        assert!(place.contains("journal.rs:"), "{place}");
    }

    #[test]
    fn keeps_a_bounded_number_of_panics_and_counts_the_rest() {
        let journal = Journal::open();
        for _ in 0..MAX_NAMED + 3 {
            let _ = catch_unwind(|| {
                let _frame = journal.enter();
                std::panic::panic_any(7);
            });
        }
        let (kept, total) = journal.panics();
        assert_eq!((kept.len(), total), (MAX_NAMED, MAX_NAMED + 3));
        assert_eq!(kept[0].message, "a payload that is not a string");
    }
}
