//! A task that is ready to be polled, as a world sees it: an identity, a lane, and a way to run it.
//!
//! The header is the first field of every task cell, so a pointer to the
//! header is a pointer to the cell; the vtable knows the rest.

use super::Home;
use crate::types::id::{RegionId, TaskId};
use crate::types::time::Time;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which queue a runnable task belongs to. The order is the order of service,
/// bounded so that no lane starves (see `sched`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// Asked to cancel: a larger priority is served first.
    Cancel {
        /// 200 + 10 × rank of the reason.
        priority: u8,
    },
    /// Has a deadline: the earliest is served first, and of equal ones the
    /// larger priority.
    Timed {
        /// The task's effective deadline.
        deadline: Time,
        /// The priority of its effective budget.
        priority: u8,
    },
    /// Everything else, first in first out.
    Ready,
}

/// The part of a task cell that does not depend on its future's type.
#[repr(C)]
pub struct Header {
    /// Lifecycle bits and reference count; see `exec::state`.
    pub(crate) state: AtomicUsize,
    pub(crate) vtable: &'static Vtable,
    /// Link of an intrusive queue; owned by whoever holds the task's `Runnable`.
    pub(crate) next: UnsafeCell<Option<NonNull<Header>>>,
    pub(crate) id: TaskId,
}

/// Bits of the state word without which a task belongs to the ready lane.
pub(crate) const LANED: usize = (1 << 4) | (1 << 13) | (1 << 16);

/// What a world can do to a task of unknown type.
pub(crate) struct Vtable {
    /// Polls the task once; consumes one reference.
    pub(crate) run: unsafe fn(NonNull<Header>),
    /// Drops so many references.
    pub(crate) release: unsafe fn(NonNull<Header>, usize),
    /// Which lane the task belongs to now.
    pub(crate) lane: unsafe fn(NonNull<Header>) -> Lane,
    /// Its owner.
    pub(crate) region: unsafe fn(NonNull<Header>) -> RegionId,
    /// Moves the outcome of a completed task to the given place.
    pub(crate) take: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the outcome of a completed task.
    pub(crate) discard: unsafe fn(NonNull<Header>),
    /// Whether only the thread that called `block_on` may run it.
    pub(crate) root: bool,
    /// For a task that stays on one thread: tells which.
    pub(crate) home: Option<unsafe fn(NonNull<Header>) -> Home>,
}

/// A ready task; owns one reference to its cell.
pub struct Runnable {
    header: NonNull<Header>,
}

// SAFETY: a cell is only reachable through atomics and locks, except for its
// future and its queue link, which belong to whoever holds the one Runnable.
unsafe impl Send for Runnable {}
// SAFETY: every `&self` method reads immutable fields or atomics.
unsafe impl Sync for Runnable {}

impl Runnable {
    /// Takes over one reference.
    ///
    /// # Safety
    /// `header` points to a live task cell, the caller gives up one reference to
    /// it, and the cell's state says that it is scheduled and by this call alone.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Runnable { header }
    }

    /// Gives the reference away without releasing it; [`Runnable::from_raw`] takes it back.
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).header
    }

    /// Polls the task's future once, on this thread.
    pub fn run(self) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the reference we own is handed to `run`.
        unsafe { (this.vtable().run)(this.header) }
    }

    /// Which task.
    pub fn id(&self) -> TaskId {
        self.header().id
    }

    /// Its owner.
    pub fn region(&self) -> RegionId {
        // SAFETY: the cell is alive while we hold a reference.
        unsafe { (self.vtable().region)(self.header) }
    }

    /// Which lane it belongs to now.
    #[inline]
    pub fn lane(&self) -> Lane {
        if self.header().state.load(Ordering::Relaxed) & LANED == 0 {
            return Lane::Ready;
        }
        // SAFETY: the cell is alive while we hold a reference.
        unsafe { (self.vtable().lane)(self.header) }
    }

    /// Whether it is the body given to `block_on`: it may borrow from that
    /// call's stack and be `!Send`, so only the thread that made the call may
    /// run it.
    pub fn is_root(&self) -> bool {
        self.vtable().root
    }

    /// Where alone it may be run, if it must not change threads.
    pub fn home(&self) -> Option<Home> {
        let home = self.vtable().home?;
        // SAFETY: the cell is alive while we hold a reference.
        Some(unsafe { home(self.header) })
    }

    /// Tells this task from every other one that is alive, of any root.
    pub(crate) fn address(&self) -> usize {
        self.header.as_ptr().addr()
    }

    fn header(&self) -> &Header {
        // SAFETY: the cell is alive while we hold a reference.
        unsafe { self.header.as_ref() }
    }

    fn vtable(&self) -> &'static Vtable {
        self.header().vtable
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // SAFETY: we own one reference and give it up here.
        unsafe { (self.vtable().release)(self.header, 1) }
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runnable")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// A first-in-first-out chain of ready tasks through their own headers: no allocation.
pub struct Chain {
    head: Option<NonNull<Header>>,
    tail: Option<NonNull<Header>>,
    len: usize,
}

// SAFETY: a chain owns the Runnables linked into it, which are Send.
unsafe impl Send for Chain {}

impl Chain {
    /// An empty chain.
    pub const fn new() -> Self {
        Chain {
            head: None,
            tail: None,
            len: 0,
        }
    }

    /// Number of tasks linked.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is linked.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a task.
    pub fn push(&mut self, task: Runnable) {
        let header = task.into_raw();
        // SAFETY: we own the Runnable, hence its link.
        unsafe { *header.as_ref().next.get() = None };
        match self.tail {
            // SAFETY: the tail's Runnable is owned by this chain, hence its link.
            Some(tail) => unsafe { *tail.as_ref().next.get() = Some(header) },
            None => self.head = Some(header),
        }
        self.tail = Some(header);
        self.len += 1;
    }

    /// Takes the first task.
    pub fn pop(&mut self) -> Option<Runnable> {
        let header = self.head?;
        // SAFETY: the head's Runnable is owned by this chain, hence its link.
        self.head = unsafe { (*header.as_ref().next.get()).take() };
        if self.head.is_none() {
            self.tail = None;
        }
        self.len -= 1;
        // SAFETY: `push` forgot exactly one Runnable for this header.
        Some(unsafe { Runnable::from_raw(header) })
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
