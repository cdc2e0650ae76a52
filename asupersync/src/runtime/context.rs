//! What a thread is to a runtime: a worker, the caller of `block_on`, or both.

use super::park::{Parker, Place};
use super::patience::{Patience, SPIN};
use super::pinned::Pinned;
use super::shared::Shared;
use super::{lock, reactor::Reactor};
use crate::sched::StreakLimits;
use crate::world::{Home, Runnable};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
    /// The runtime whose thread this is, for its whole life; 0 for none.
    static OWNER: Cell<usize> = const { Cell::new(0) };
}

/// The calling thread's place in the runtime it serves now.
pub(super) struct Context {
    runtime: usize,
    /// Present while the thread is a worker.
    pub(super) local: Option<Local>,
    /// Present while the thread is inside `block_on`.
    pub(super) seat: Option<Arc<Seat>>,
    /// What the thread was when it entered this context: a task may use another runtime.
    outer: OnceCell<Rc<Context>>,
}

/// What no other thread sees of a worker.
pub(super) struct Local {
    pub(super) index: usize,
    /// The ready lane of a current-thread runtime, where nobody steals.
    pub(super) ready: RefCell<VecDeque<Runnable>>,
    /// Those of them that yielded: whoever is ready goes first.
    pub(super) yielded: RefCell<VecDeque<Runnable>>,
    /// Whether wake-ups come in a batch: then they queue up in order and peers
    /// are woken once, at the end.
    pub(super) batching: Cell<bool>,
}

impl Local {
    pub(super) fn new(index: usize) -> Self {
        Local {
            index,
            ready: RefCell::new(VecDeque::new()),
            yielded: RefCell::new(VecDeque::new()),
            batching: Cell::new(false),
        }
    }
}

impl Context {
    pub(super) fn new(shared: &Shared, local: Option<Local>, seat: Option<Arc<Seat>>) -> Rc<Self> {
        Rc::new(Context {
            runtime: identity(shared),
            local,
            seat,
            outer: OnceCell::new(),
        })
    }

    /// Runs `f` with the context of this thread, if it serves `shared` now.
    pub(super) fn with<R>(shared: &Shared, f: impl FnOnce(Option<&Context>) -> R) -> R {
        let mut f = Some(f);
        let result = CURRENT.try_with(|current| {
            let current = current.borrow();
            let ours = current.as_deref().filter(|c| c.runtime == identity(shared));
            f.take().expect("called once")(ours)
        });
        match result {
            Ok(result) => result,
            // The thread is ending and its locals are gone: it serves nobody.
            Err(_) => f.take().expect("not called")(None),
        }
    }

    /// Where tasks stay that are started on this thread.
    pub(super) fn home(&self) -> Option<Home> {
        let worker = || Some(Home(self.local.as_ref()?.index as u32));
        self.seat.as_ref().map(|seat| seat.home).or_else(worker)
    }

    /// Whether this thread serves `shared` now, or will again once what it serves now has ended.
    pub(super) fn is_inside(shared: &Shared) -> bool {
        CURRENT.with_borrow(|current| {
            std::iter::successors(current.as_ref(), |c| c.outer.get())
                .any(|c| c.runtime == identity(shared))
        })
    }

    /// Makes this the thread's context until the guard is dropped; once for each context.
    pub(super) fn enter(self: &Rc<Self>) -> Entered {
        let previous = CURRENT.with(|current| current.replace(Some(Rc::clone(self))));
        if let Some(outer) = &previous {
            self.outer.get_or_init(|| Rc::clone(outer));
        }
        Entered { previous }
    }

    /// Marks the calling thread as one that the runtime made.
    pub(super) fn own_thread(shared: usize) {
        OWNER.set(shared);
    }

    /// Whether the runtime made the calling thread.
    pub(super) fn owns_thread(shared: &Shared) -> bool {
        OWNER.try_with(Cell::get) == Ok(identity(shared))
    }
}

/// Names a runtime while it lives.
pub(super) fn identity(shared: &Shared) -> usize {
    std::ptr::from_ref(shared).addr()
}

/// Puts the thread's previous context back.
pub(super) struct Entered {
    previous: Option<Rc<Context>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ended = CURRENT.with(|current| current.replace(self.previous.take()));
        drop(ended);
    }
}

/// Where the root task of one `block_on` call waits for its thread.
pub(super) struct Seat {
    /// The root task's address; 0 until it is first enqueued.
    address: AtomicUsize,
    task: Mutex<Option<Runnable>>,
    ready: AtomicBool,
    /// Where tasks stay that were started on this thread.
    pub(super) home: Home,
    pub(super) pinned: Pinned,
    /// How many those are.
    pub(super) guests: AtomicUsize,
    pub(super) parker: Parker,
}

impl Seat {
    pub(super) fn new(home: Home, streaks: StreakLimits) -> Arc<Self> {
        let parker = Parker::new();
        parker.adopt();
        let ready = AtomicBool::new(false);
        Arc::new(Seat {
            address: AtomicUsize::new(0),
            task: Mutex::new(None),
            ready,
            home,
            pinned: Pinned::new(streaks),
            guests: AtomicUsize::new(0),
            parker,
        })
    }

    pub(super) fn address(&self) -> usize {
        self.address.load(Ordering::Relaxed)
    }

    pub(super) fn set_address(&self, address: usize) {
        self.address.store(address, Ordering::Relaxed);
    }

    /// Puts the root task here; it is enqueued once at a time, so there is room.
    pub(super) fn put(&self, task: Runnable) {
        let previous = lock(&self.task).replace(task);
        self.ready.store(true, Ordering::SeqCst);
        debug_assert!(previous.is_none(), "a task is enqueued once");
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Whether there is anything to run here.
    fn has_task(&self) -> bool {
        self.is_ready() || !self.pinned.is_empty()
    }

    pub(super) fn take(&self) -> Option<Runnable> {
        if !self.ready.load(Ordering::Relaxed) {
            return None;
        }
        self.ready.store(false, Ordering::SeqCst);
        lock(&self.task).take()
    }

    /// Sleeps until the root task or a permit is here.
    pub(super) fn sleep(&self, patience: &mut Patience) {
        // A permit may be left of a time when nobody slept: no wait to learn from.
        if self.parker.take_permit() || patience.spin(|| self.has_task()) {
            return;
        }
        let start = Instant::now();
        if self.parker.prepare(Place::Lot) {
            if !self.has_task() {
                self.parker.sleep(None);
            }
            self.parker.finish();
        }
        patience.slept(start.elapsed() < SPIN);
    }

    pub(super) fn unpark(&self, reactor: &Reactor) {
        self.parker.unpark(reactor);
    }
}
