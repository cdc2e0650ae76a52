//! References to tasks, and what can be asked of a task of any type.

use super::cell::Tag;
use super::join::JoinSlot;
use super::lending::Borrowed;
use super::link::{Entry, Exit};
use super::lock;
use super::promises::Promises;
use super::region::RegionCell;
use super::seats::Seat;
use super::state::{self, AfterPoll, Wake};
use crate::kernel::region::Role;
use crate::kernel::task::{Checkpoint, CleanupLimits, TaskPhase, TaskRecord};
use crate::types::budget::Budget;
use crate::types::cancel::CancelReason;
use crate::types::event::Event;
use crate::types::id::TaskId;
use crate::types::obligation::ObligationKind;
use crate::types::policy::Name;
use crate::types::slots::Slots;
use crate::types::time::Time;
use crate::world::runnable::{Header, LANED, Vtable};
use crate::world::{Chain, Hint, Home, Lane, Runnable, TimerKey};
use std::cell::UnsafeCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// A boxed future without a value.
pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Deferred work of a task or a region, given the task that runs it. What does
/// not wait is done when it returns, and leaves no future.
pub(crate) type Finalizer = Box<dyn FnOnce(&TaskRef) -> Option<BoxFuture> + Send>;

/// The untyped front of every task cell.
#[repr(C)]
pub(crate) struct Head {
    pub(crate) header: Header,
    /// The owner; for the root task, the root region.
    pub(crate) region: Arc<RegionCell>,
    /// Who waits for the outcome.
    pub(crate) join: JoinSlot,
    /// What few tasks ever need: allocated when first needed.
    pub(crate) control: Mutex<Option<Box<Control>>>,
    /// The task's place among the region's children; written once, before the task is shared.
    pub(crate) seat: Seat,
    /// Where it is polled, if it must not change threads.
    pub(crate) home: Home,
    /// Urgency borrowed from who waits for this task.
    pub(crate) borrowed: Borrowed,
    /// What it has promised.
    pub(crate) promises: Promises,
    /// What the rest of the cell holds; belongs to whoever the stage belongs to.
    pub(crate) stage: UnsafeCell<Tag>,
    /// Rank of the strongest request to this task alone, for the cancel lane.
    pub(crate) rank: AtomicU8,
    /// Polls since the request, while there is no control to count them.
    pub(crate) cleanup_polls: AtomicU8,
}

const _: () = assert!(state::LANED == LANED, "worlds and tasks mean the same bits");

impl Head {
    /// The head of a newborn, whose id and seat are still to come.
    #[inline(always)]
    pub(crate) fn new(
        state: usize,
        vtable: &'static Vtable,
        region: Arc<RegionCell>,
        home: Home,
        control: Option<Box<Control>>,
    ) -> Self {
        let promises = Promises::new(region.tree.records);
        Head {
            header: Header {
                state: AtomicUsize::new(state),
                vtable,
                next: UnsafeCell::new(None),
                id: TaskId::new(0, 0),
            },
            region,
            promises,
            join: JoinSlot::default(),
            control: Mutex::new(control),
            seat: Seat::default(),
            home,
            borrowed: Borrowed::default(),
            stage: UnsafeCell::new(Tag::Body),
            rank: AtomicU8::new(0),
            cleanup_polls: AtomicU8::new(0),
        }
    }
}

/// The cold side of a task.
#[derive(Default)]
pub(crate) struct Control {
    pub(crate) record: TaskRecord,
    pub(crate) name: Name,
    /// The task's own limits, when it has any beyond its region's.
    pub(crate) deadline: Option<Time>,
    /// Deferred work, run last in first out.
    pub(crate) defers: Vec<Finalizer>,
    /// The finalizer that is being polled.
    pub(crate) finalizer: Option<BoxFuture>,
    /// Regions the task has opened and awaits.
    pub(crate) opened: Slots<Arc<RegionCell>>,
    /// Wakers, other than the task's own, to wake when a request comes.
    pub(crate) cancel_wakers: Slots<Waker>,
    pub(crate) alarm: Option<TimerKey>,
    /// Promises beyond those that fit into the head.
    pub(crate) more_promises: Slots<ObligationKind>,
    /// The tasks it is linked to.
    pub(crate) links: Slots<Entry>,
    /// Bad ends of linked tasks that it wants to be told of, and has not been.
    pub(crate) exits: Vec<Exit>,
}

/// A counted reference to a task.
pub(crate) struct TaskRef(NonNull<Head>);

// SAFETY: everything reachable through a TaskRef is atomic, locked, immutable, or
// passed from owner to owner by bits of the state word (the stage, the join slot).
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Takes over one reference.
    ///
    /// # Safety
    /// `header` points to a live task cell and the caller gives up one reference to it.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        TaskRef(header.cast())
    }

    /// Gives the reference up without releasing it.
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0.cast()
    }

    /// Gives this reference and another one up together: that of its former seat.
    pub(crate) fn leave(self, seat: TaskRef) {
        debug_assert_eq!(self.0, seat.0, "both are to the same task");
        std::mem::forget(seat);
        let this = ManuallyDrop::new(self);
        // SAFETY: we own both references and give them up here.
        unsafe { (this.head().header.vtable.release)(this.0.cast(), 2) }
    }

    pub(crate) fn as_raw(&self) -> NonNull<Header> {
        self.0.cast()
    }

    pub(crate) fn head(&self) -> &Head {
        // SAFETY: we hold a reference, so the cell is alive, and its head is shared state.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.head().header.id
    }

    /// How it counts in its region.
    pub(crate) fn role(&self) -> Role {
        if self.state() & state::DAEMON == 0 {
            Role::Foreground
        } else {
            Role::Daemon
        }
    }

    pub(crate) fn region(&self) -> &Arc<RegionCell> {
        &self.head().region
    }

    pub(crate) fn is_root(&self) -> bool {
        self.head().header.vtable.root
    }

    pub(crate) fn state(&self) -> usize {
        self.head().header.state.load(Ordering::Acquire)
    }

    /// Whether the task was asked to cancel: one load.
    #[inline]
    pub(crate) fn cancel_requested(&self) -> bool {
        self.head().header.state.load(Ordering::Relaxed) & state::CANCEL != 0
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state() & state::COMPLETE != 0
    }

    /// Whether a deadline binds the task. One load.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.head().header.state.load(Ordering::Relaxed) & state::TIMED != 0
    }

    /// Whether the task's future guards code that cannot be dropped.
    pub(crate) fn is_pinned(&self) -> bool {
        self.state() & state::PINNED != 0
    }

    /// Whether the task is the runtime's own and drains a region.
    pub(crate) fn is_driver(&self) -> bool {
        self.state() & state::DRIVER != 0
    }

    /// Whether a checkpoint has anything to say: the task was asked to cancel,
    /// or has ended. One load.
    #[inline]
    pub(crate) fn stops(&self) -> bool {
        self.head().header.state.load(Ordering::Relaxed) & (state::CANCEL | state::COMPLETE) != 0
    }

    /// Makes the task runnable.
    pub(crate) fn wake(&self) {
        if state::wake(&self.head().header.state) == Wake::Enqueue {
            self.clone().enqueue(Hint::Woken);
        }
    }

    /// Makes the task runnable, giving up this reference.
    fn wake_owned(self) {
        if state::wake(&self.head().header.state) == Wake::Enqueue {
            self.enqueue(Hint::Woken);
        }
    }

    /// Makes the task runnable, and leaves it to the caller to enqueue it.
    pub(crate) fn wake_into(self, ready: &mut Chain) {
        if state::wake(&self.head().header.state) == Wake::Enqueue {
            ready.push(self.scheduled());
        }
    }

    /// The `Runnable` of a task that was just made runnable.
    pub(super) fn scheduled(self) -> Runnable {
        self.emit(|| Event::TaskScheduled { task: self.id() });
        // SAFETY: this reference becomes the Runnable, the one that SCHEDULED promises.
        unsafe { Runnable::from_raw(self.into_raw()) }
    }

    /// Hands the task to its world. The caller has set SCHEDULED.
    pub(crate) fn enqueue(self, hint: Hint) {
        let world: *const dyn crate::world::World = &*self.region().tree.world;
        let runnable = self.scheduled();
        // SAFETY: the world outlives the call: the Runnable keeps its cell, hence
        // the region and the world, alive until the world has taken it over; and
        // a world does not drop itself inside `enqueue`.
        unsafe { (*world).enqueue(runnable, hint) };
    }

    /// Ends a pending poll: requeues or gives up the reference.
    pub(crate) fn suspend(self) {
        match state::suspend(&self.head().header.state) {
            AfterPoll::Released => std::mem::forget(self),
            AfterPoll::Drop => drop(self),
            AfterPoll::Requeue => self.enqueue(Hint::Yielded),
        }
    }

    /// Edits the control, allocating it if need be.
    pub(crate) fn with_control<T>(&self, f: impl FnOnce(&mut Control) -> T) -> T {
        let mut control = lock(&self.head().control);
        control.get_or_insert_with(|| {
            let mut c = Box::<Control>::default();
            let bits = state::set(&self.head().header.state, state::CONTROL);
            c.record.seen = bits & state::SEEN != 0;
            c.record.phase = if c.record.seen {
                TaskPhase::Cancelling
            } else if bits & state::STARTED != 0 {
                TaskPhase::Running
            } else {
                TaskPhase::Created
            };
            c
        });
        let mut control = self.inform(control);
        f(control.as_mut().expect("made above, and kept for life"))
    }

    /// Tells a control that was made after its task had been asked with its
    /// siblings what their region knows.
    #[inline]
    fn inform<'a>(
        &'a self,
        control: MutexGuard<'a, Option<Box<Control>>>,
    ) -> MutexGuard<'a, Option<Box<Control>>> {
        let informed = |c: &Control| c.record.asked.reason.is_some();
        if !self.cancel_requested() || control.as_deref().is_none_or(informed) {
            return control;
        }
        // One lock at a time. Whoever asks meanwhile finds the control, and what
        // is told twice is told once.
        drop(control);
        self.informed()
    }

    #[cold]
    fn informed(&self) -> MutexGuard<'_, Option<Box<Control>>> {
        let asked = self.region().asked();
        let mut control = lock(&self.head().control);
        if let (Some(c), Some(reason)) = (control.as_mut(), asked.reason) {
            let polled = u32::from(self.head().cleanup_polls.load(Ordering::Relaxed));
            let mut limits = asked.limits;
            if limits.polls != u32::MAX {
                limits.polls = limits.polls.saturating_sub(polled);
            }
            // The shell did what follows from the request when it was made.
            let _ = c
                .record
                .request(reason, asked.since.unwrap_or_default(), limits);
        }
        control
    }

    /// Defers work to the end of the task. What is deferred to a task that has
    /// ended is dropped unrun.
    pub(crate) fn defer(&self, finalizer: Finalizer) {
        let index = self.with_control(|c| {
            c.defers.push(finalizer);
            c.defers.len() - 1
        });
        // Work that refers to its own task would keep it, and itself, for ever.
        if self.is_complete() {
            let late = self.with_control(|c| std::mem::take(&mut c.defers));
            drop(late);
            return;
        }
        self.emit(|| Event::Deferred {
            region: self.region().id,
            task: Some(self.id()),
            index: index as u32,
        });
    }

    /// Whether it has a control. One load.
    #[inline]
    pub(crate) fn has_control(&self) -> bool {
        self.state() & state::CONTROL != 0
    }

    /// Reads the control, if there is one: one load for the many tasks that have none.
    pub(crate) fn peek_control<T>(&self, f: impl FnOnce(&mut Control) -> T) -> Option<T> {
        if self.state() & state::CONTROL == 0 {
            return None;
        }
        let mut control = self.inform(lock(&self.head().control));
        control.as_deref_mut().map(f)
    }

    /// Whether the task was asked with its siblings and has no record of it.
    pub(crate) fn is_asked_in_passing(&self) -> bool {
        self.state() & (state::CANCEL | state::CONTROL) == state::CANCEL
    }

    pub(crate) fn name(&self) -> Name {
        self.peek_control(|c| c.name.clone()).unwrap_or_default()
    }

    pub(crate) fn reason(&self) -> Option<Arc<CancelReason>> {
        if !self.cancel_requested() {
            return None;
        }
        match self.peek_control(|c| c.record.asked.reason.clone()) {
            Some(recorded) => recorded,
            None => self.region().asked().reason,
        }
    }

    /// Why the task was asked to cancel, if a checkpoint has told it.
    pub(crate) fn reason_seen(&self) -> Option<Arc<CancelReason>> {
        let recorded = self.peek_control(|c| (c.record.asked.reason.clone(), c.record.seen));
        match recorded {
            Some((reason, seen)) => reason.filter(|_| seen),
            None => (self.state() & state::SEEN != 0).then(|| self.reason())?,
        }
    }

    /// Whether a mask holds, and what is left of the task's cleanup.
    pub(crate) fn cleanup_left(&self) -> (bool, CleanupLimits) {
        if self.is_asked_in_passing() {
            return (false, self.region().asked().limits);
        }
        self.peek_control(|c| (c.record.is_masked(), c.record.asked.limits))
            .unwrap_or((false, CleanupLimits::NONE))
    }

    pub(crate) fn phase(&self) -> TaskPhase {
        let bits = self.state();
        if bits & state::COMPLETE != 0 {
            return TaskPhase::Completed;
        }
        let recorded = self.peek_control(|c| c.record.phase).unwrap_or_default();
        let known = if bits & state::SEEN != 0 {
            TaskPhase::Cancelling
        } else if bits & state::CANCEL != 0 {
            TaskPhase::CancelRequested
        } else if bits & state::STARTED != 0 {
            TaskPhase::Running
        } else {
            TaskPhase::Created
        };
        recorded.max(known)
    }

    /// The task reaches a checkpoint after somebody asked. `None`: go on.
    #[cold]
    pub(crate) fn checkpoint(&self) -> Option<Arc<CancelReason>> {
        if self.is_asked_in_passing() {
            let before = state::set(&self.head().header.state, state::SEEN);
            if before & state::CONTROL == 0 {
                if before & state::SEEN == 0 {
                    self.emit(|| Event::CancelObserved { task: self.id() });
                }
                return self.region().asked().reason;
            }
        }
        let outcome = self
            .peek_control(|c| c.record.checkpoint())
            .unwrap_or(Checkpoint::Go);
        match outcome {
            Checkpoint::Go => None,
            Checkpoint::Masked => {
                self.emit(|| Event::CancelMasked { task: self.id() });
                None
            }
            Checkpoint::Stop { reason, first } => {
                if first {
                    self.emit(|| Event::CancelObserved { task: self.id() });
                }
                Some(reason)
            }
        }
    }

    /// The task's own limits, as far as they are not used up.
    pub(crate) fn own_budget(&self) -> Budget {
        let own = self.peek_control(|c| Budget {
            deadline: c.deadline,
            poll_quota: c.record.poll_quota,
            cost_quota: c.record.cost_quota,
            ..Budget::INFINITE
        });
        own.unwrap_or_default()
    }

    /// What is left of the limits that bind the task: its own and its region's.
    pub(crate) fn budget(&self) -> Budget {
        self.region().budget_left().meet(self.own_budget())
    }

    /// Wakes the task and everything in it that waits with a waker of its own.
    pub(crate) fn wake_for_cancel(&self) {
        self.wake();
        // Taken out, not cloned: cloning is a callback. Who still waits registers again.
        let wakers = self.peek_control(|c| c.cancel_wakers.drain());
        wakers.unwrap_or_default().into_iter().for_each(super::wake);
    }

    /// Whether `waker` wakes this very task.
    #[inline]
    pub(crate) fn is_own_waker(&self, waker: &Waker) -> bool {
        waker.data() == self.0.as_ptr().cast_const().cast() && is_tasks(waker)
    }

    /// Reports, in a world that records, that another task waits with `waker`
    /// through a context of this one.
    ///
    /// The runtime's draining task does so rightfully: it finishes finalizers
    /// that were begun by the task which opened the region.
    pub(crate) fn report_foreign_use(&self, waker: &Waker) {
        if !self.region().tree.records || !is_tasks(waker) {
            return;
        }
        // SAFETY: the vtable says that a task made the waker, which is borrowed here.
        let user = unsafe { borrow(waker.data()) };
        if user.0 != self.0 && user.state() & state::DRIVER == 0 {
            self.emit(|| Event::ForeignCx {
                owner: self.id(),
                user: user.id(),
            });
        }
    }

    /// A waker of this task that borrows this reference.
    pub(crate) fn borrow_waker(&self) -> BorrowedWaker<'_> {
        // SAFETY: the vtable upholds RawWaker's contract; the waker is never
        // dropped, so it consumes no reference, and it cannot outlive `self`.
        let waker =
            unsafe { Waker::from_raw(RawWaker::new(self.0.as_ptr().cast_const().cast(), &WAKER)) };
        BorrowedWaker {
            waker: ManuallyDrop::new(waker),
            _task: std::marker::PhantomData,
        }
    }

    /// A waker that rings the task's alarm: its deadline or its cleanup budget.
    pub(crate) fn alarm_waker(&self) -> Waker {
        let data = self.clone().into_raw();
        // SAFETY: the vtable upholds RawWaker's contract and owns one reference.
        unsafe { Waker::from_raw(RawWaker::new(data.as_ptr().cast_const().cast(), &ALARM)) }
    }

    #[inline]
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        if self.head().header.state.load(Ordering::Relaxed) & state::RECORDS != 0 {
            self.region().tree.world.emit(event());
        }
    }

    /// Which lane the task belongs to now.
    #[inline]
    pub(crate) fn lane(&self) -> Lane {
        self.head().borrowed.raise(self.own_lane())
    }

    /// Which lane it would belong to if it had borrowed no urgency.
    fn own_lane(&self) -> Lane {
        if self.cancel_requested() {
            let own = self.head().rank.load(Ordering::Relaxed);
            let rank = own.max(self.region().asked_rank.load(Ordering::Relaxed));
            return Lane::Cancel {
                priority: 200 + 10 * rank,
            };
        }
        let mut budget = self.region().budget;
        if self.state() & state::CONTROL != 0 {
            budget = budget.meet(self.own_budget());
        }
        let priority = budget.priority;
        match budget.deadline {
            Some(deadline) => Lane::Timed { deadline, priority },
            None => Lane::Ready,
        }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        state::retain(&self.head().header.state);
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: we own one reference and give it up here.
        unsafe { (self.head().header.vtable.release)(self.0.cast(), 1) }
    }
}

impl std::fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("phase", &self.phase())
            .finish()
    }
}

/// A waker that costs no reference count.
pub(crate) struct BorrowedWaker<'a> {
    waker: ManuallyDrop<Waker>,
    _task: std::marker::PhantomData<&'a TaskRef>,
}

impl std::ops::Deref for BorrowedWaker<'_> {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// # Safety
/// `data` came from a waker made above and its reference is still owned by it.
pub(super) unsafe fn borrow(data: *const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: such data is a non-null pointer to a live head.
    ManuallyDrop::new(TaskRef(unsafe {
        NonNull::new_unchecked(data.cast_mut().cast())
    }))
}

/// # Safety
/// As for [`borrow`], and the waker's reference is given up.
unsafe fn own(data: *const ()) -> TaskRef {
    // SAFETY: as the caller promises.
    ManuallyDrop::into_inner(unsafe { borrow(data) })
}

/// Whether a task made the waker. By address: comparing what the tables hold
/// takes four times as long.
#[inline]
pub(super) fn is_tasks(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &WAKER)
}

static WAKER: RawWakerVTable = RawWakerVTable::new(
    // SAFETY (all four): the executor calls these with the data they were made with.
    |data| {
        // SAFETY: the waker being cloned owns or borrows a live reference.
        let task = unsafe { borrow(data) };
        let _ = ManuallyDrop::new(TaskRef::clone(&task));
        RawWaker::new(data, &WAKER)
    },
    // SAFETY: waking by value gives up the waker's reference.
    |data| unsafe { own(data) }.wake_owned(),
    // SAFETY: the waker keeps its reference.
    |data| unsafe { borrow(data) }.wake(),
    // SAFETY: dropping gives up the waker's reference.
    |data| drop(unsafe { own(data) }),
);

static ALARM: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker being cloned owns a live reference.
        let task = unsafe { borrow(data) };
        let _ = ManuallyDrop::new(TaskRef::clone(&task));
        RawWaker::new(data, &ALARM)
    },
    // SAFETY: waking by value gives up the waker's reference.
    |data| super::cancel::task_alarm(&unsafe { own(data) }),
    // SAFETY: the waker keeps its reference.
    |data| super::cancel::task_alarm(&*unsafe { borrow(data) }),
    // SAFETY: dropping gives up the waker's reference.
    |data| drop(unsafe { own(data) }),
);
