//! The root of a run: a region whose body is polled where `block_on` was called.
//!
//! The body may borrow from the caller's stack. Its task cell holds a pointer
//! to it, which is taken back before the call returns; polling the cell after
//! that does nothing.

use super::cell::Typed;
use super::drive::{Drive, Reported};
use super::probe::Plain;
use super::region::{RegionCell, RegionOptions, Tree};
use super::state;
use super::task::{Head, TaskRef};
use super::{cancel, contain, lock, obligation};
use crate::kernel::task::TaskPhase;
use crate::types::cancel::{CancelKind, CancelReason};
use crate::types::event::Event;
use crate::types::id::{RegionId, TaskId};
use crate::types::policy::Name;
use crate::types::slots::Key;
use crate::world::{Hint, Home, World};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// What a driver of a run may ask of its root.
#[derive(Debug)]
pub struct RootRef {
    task: TaskRef,
}

impl RootRef {
    /// Whether the root region is Closed.
    pub fn is_complete(&self) -> bool {
        self.task.is_complete()
    }

    /// The root task.
    pub fn task(&self) -> TaskId {
        self.task.id()
    }

    /// Cancels the root region.
    pub fn cancel(&self, reason: impl Into<CancelReason>) {
        cancel::cancel_region(self.task.region(), reason.into());
    }

    /// Asks a live task of the run to cancel; `false` when there is none of this id.
    pub fn cancel_task(&self, task: TaskId, reason: impl Into<CancelReason>) -> bool {
        let found = self.find(task);
        if let Some(task) = &found {
            cancel::cancel_task(task, reason.into());
        }
        found.is_some()
    }

    /// Asks a live task of the run to cancel and drops its future at its next
    /// poll, which is now due; `false` when there is none of this id. The root
    /// itself cannot be dropped: its future is the caller's.
    pub fn drop_task(&self, task: TaskId) -> bool {
        let found = self.find(task).filter(|t| !t.is_root());
        if let Some(task) = &found {
            let reason = CancelReason::new(CancelKind::User).with_message("dropped on purpose");
            cancel::cancel_task(task, reason);
            cancel::escalate_task(task);
        }
        found.is_some()
    }

    /// Asks everything to cancel and drops every future at its next poll. The
    /// driver goes on running until the root is complete.
    pub fn abandon(&self) {
        cancel::abandon_tree(self.task.region());
    }

    /// Everything alive, by walking the tree.
    pub fn live_tasks(&self) -> Vec<LiveTask> {
        let mut live = Vec::new();
        self.walk(&mut |task| {
            live.push(LiveTask {
                id: task.id(),
                name: task.name(),
                phase: task.phase(),
                last_checkpoint: task.peek_control(|c| c.record.note).flatten(),
            });
        });
        live
    }

    /// Live tasks, by walking the tree; the root itself is not counted.
    pub fn count_live(&self) -> usize {
        self.task.region().count_live()
    }

    /// Whether each region's counters say what counting its children says.
    ///
    /// The rules read the counters alone: a region whose counters are wrong
    /// closes too early, or never.
    pub fn counters_agree(&self) -> bool {
        let mut regions = vec![self.task.region().clone()];
        while let Some(region) = regions.pop() {
            let ledger = lock(&region.ledger);
            let mut tasks = 0;
            for child in ledger.children.iter() {
                match child {
                    super::region::Child::Task(_) => tasks += 1,
                    super::region::Child::Region(sub) => regions.push(sub.clone()),
                }
            }
            if ledger.record.tasks() != tasks {
                return false;
            }
        }
        true
    }

    fn find(&self, id: TaskId) -> Option<TaskRef> {
        if self.task.id() == id {
            return Some(self.task.clone());
        }
        let mut found = None;
        self.walk(&mut |task| {
            if task.id() == id {
                found = Some(task.clone());
            }
        });
        found
    }

    fn walk(&self, each: &mut dyn FnMut(&TaskRef)) {
        let mut regions = vec![self.task.region().clone()];
        while let Some(region) = regions.pop() {
            let mut tasks = Vec::new();
            for child in lock(&region.ledger).children.iter() {
                match child {
                    super::region::Child::Task(task) => tasks.push(task.clone()),
                    super::region::Child::Region(sub) => regions.push(sub.clone()),
                }
            }
            tasks
                .iter()
                .filter(|t| !t.is_complete())
                .for_each(&mut *each);
        }
    }
}

/// A task that has no outcome yet.
#[derive(Clone, Debug)]
pub struct LiveTask {
    /// Which.
    pub id: TaskId,
    /// Its name.
    pub name: Name,
    /// Where it is in its life.
    pub phase: TaskPhase,
    /// The note of its last checkpoint.
    pub last_checkpoint: Option<&'static str>,
}

/// Runs `body` in the root region of `world`.
///
/// The root's `Runnable` goes to the world like any other and says
/// `is_root()`; `drive` runs it, on this thread only, until
/// [`RootRef::is_complete`]. If `drive` returns early, the body is dropped and
/// the value is lost.
pub(crate) fn run<T, B>(
    world: &Arc<dyn World>,
    options: RegionOptions,
    body: impl FnOnce(TaskRef) -> B,
    drive: impl FnOnce(&RootRef),
) -> Reported<T>
where
    B: Future<Output = T>,
{
    let tree = Tree::new(world.clone());
    let none = "a run that begins has freed nothing";
    let task = tree.ids.fresh_task().expect(none);
    let ids = (task, tree.ids.fresh_region().expect(none));
    let stack = Arc::new(Mutex::new(None));
    let task = root_task(tree, ids, options, StackFuture(stack.clone()));
    let region = task.region().clone();
    let mut reported = None;
    {
        let guarded = Guarded {
            inner: Drive::new(region.clone(), task.clone(), body(task.clone()), |_| None),
            task: task.clone(),
            heard: false,
        };
        let mut future = pin!(async { reported = Some(guarded.await) });
        let erased: Pin<&mut dyn Future<Output = ()>> = future.as_mut();
        // SAFETY: only the lifetime is erased. The pointer is used under the lock
        // of `stack`, and it is removed under that lock before `future` goes away,
        // also when `drive` unwinds.
        let erased: Pin<&'static mut dyn Future<Output = ()>> =
            unsafe { std::mem::transmute(erased) };
        *lock(&stack) = Some(Pinned(erased));
        let _removal = Removal(&stack);
        region.emit(|| Event::RegionOpened {
            region: region.id,
            parent: None,
            opener: task.id(),
            shielded: false,
        });
        cancel::arm_region(&region);
        region.raise_spent();
        let _listening = Listening::begin(world, &task);
        task.clone().enqueue(Hint::Spawned);
        drive(&RootRef { task: task.clone() });
    }
    reported.unwrap_or_else(|| {
        // What its body promised may have gone elsewhere, and outlive this call.
        obligation::give_up(&task);
        let report = region.report();
        // They will not run, and may refer to the region that holds them.
        let finalizers = std::mem::take(&mut lock(&region.ledger).finalizers);
        for finalizer in finalizers {
            let _ = contain(|| drop(finalizer));
        }
        region.unlink();
        Reported {
            value: None,
            report,
            panic: None,
        }
    })
}

/// The root hears of the wish to shut down, until the value is dropped.
struct Listening<'a> {
    world: &'a Arc<dyn World>,
    key: Key,
}

impl<'a> Listening<'a> {
    fn begin(world: &'a Arc<dyn World>, root: &TaskRef) -> Self {
        let key = world.shutdown().add_root(root.borrow_waker().clone());
        Listening { world, key }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.world.shutdown().remove_root(self.key);
    }
}

/// The future on the caller's stack, while it is there.
type Stack = Arc<Mutex<Option<Pinned>>>;

struct Pinned(Pin<&'static mut dyn Future<Output = ()>>);

// SAFETY: a root Runnable is run only by the thread that called `run`, so the
// future never leaves that thread; only the pointer to it does.
unsafe impl Send for Pinned {}

/// Takes the pointer back on every way out.
struct Removal<'a>(&'a Stack);

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        let _ = lock(self.0).take();
    }
}

/// Polls whatever is on the caller's stack.
struct StackFuture(Stack);

impl Future for StackFuture {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Taken out for the poll, so that no lock is held while user code runs.
        let Some(mut future) = lock(&self.0).take() else {
            return Poll::Pending;
        };
        let polled = future.0.as_mut().poll(cx);
        *lock(&self.0) = Some(future);
        polled
    }
}

/// The root region's future; it turns a wish to shut down into a cancellation.
#[pin_project::pin_project]
struct Guarded<F> {
    #[pin]
    inner: F,
    task: TaskRef,
    /// Whether the wish was passed on. What the region was asked before does
    /// not say so: the wish may be the stronger reason.
    heard: bool,
}

impl<F: Future> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let region = this.task.region();
        if !*this.heard && region.tree.world.shutdown().must_cancel_root() {
            *this.heard = true;
            cancel::cancel_region(region, CancelReason::new(CancelKind::Shutdown));
        }
        this.inner.poll(cx)
    }
}

/// The root task: the opener of the root region and, alone among tasks, not its child.
fn root_task(
    tree: Arc<Tree>,
    (id, region_id): (TaskId, RegionId),
    options: RegionOptions,
    future: StackFuture,
) -> TaskRef {
    type Body = Box<dyn FnOnce(TaskRef) -> StackFuture + Send>;
    type Root = Typed<Body, StackFuture, Plain, true>;
    // The region names its opener and the task names its region, so the region
    // is made around the task's address before the task is written there.
    let header = Root::allocate();
    // One reference for the region, one for the caller; the one that the first
    // `enqueue` turns into the Runnable is cloned by the caller.
    let mut bits = state::SCHEDULED | state::PINNED | (2 * state::REF);
    if tree.records {
        bits |= state::RECORDS;
    }
    if options.budget.deadline.is_some() {
        bits |= state::TIMED;
    }
    // SAFETY: a TaskRef is a pointer and a claim on one of the references of
    // birth; it is not looked through before the cell is written below.
    let opener = unsafe { TaskRef::from_raw(header) };
    let region = Arc::new(RegionCell::root(tree, region_id, opener, options));
    let mut head = Head::new(bits, Root::VTABLE, region, Home::default(), None);
    head.header.id = id;
    let body: Body = Box::new(move |_| future);
    // SAFETY: the room is new.
    unsafe { Root::fill(header, head, body) };
    // SAFETY: the second reference of birth.
    unsafe { TaskRef::from_raw(header) }
}
