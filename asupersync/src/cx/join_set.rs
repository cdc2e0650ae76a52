//! Many tasks of one region, awaited as a group.
//!
//! A member's body carries a tag that names it. When the body goes away, however
//! that comes about, the tag enters its name in the set's list, so whoever joins
//! looks at the members that are ending, never at all of them. The tag lives in
//! the task's own allocation and the list has room for every member, so a join
//! allocates nothing.

use super::{Cx, DropSafe, Interrupt};
use crate::exec::handle::TaskHandle;
use crate::exec::probe::CancelProbe;
use crate::exec::{lock, wake};
use crate::types::cancel::{CancelKind, CancelReason, Cancelled};
use crate::types::outcome::Outcome;
use crate::types::slots::{Key, Slots};
use pin_project::pin_project;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

/// Tasks of one region whose outcomes are taken as they come, or all together.
///
/// The region owns the members, as it owns every task: the set is only the right
/// to their outcomes. Dropping the set asks its members to stop, which is no
/// failure, and leaves the drain to the region.
///
/// ```
/// use asupersync::{Cx, JoinSet, Runtime, Scope};
///
/// let runtime = Runtime::builder().current_thread().build().unwrap();
/// let sum = runtime.block_on(async |cx: Scope| {
///     let mut squares = JoinSet::new(&cx);
///     for n in 1..=3u64 {
///         squares.spawn(async move |_cx: Cx| n * n);
///     }
///     let mut sum = 0;
///     while let Some(outcome) = squares.join_next(&cx).await.unwrap() {
///         sum += outcome.into_result().unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum.unwrap(), 14);
/// ```
pub struct JoinSet<T, E = Infallible> {
    cx: Cx,
    members: Slots<Member<T, E>>,
    /// Whose body is gone, first gone first; some have no outcome yet.
    ending: VecDeque<Key>,
    /// Who has an outcome that nobody took, first ended first.
    ended: VecDeque<Key>,
    spawned: u64,
    list: Arc<Mutex<List>>,
}

struct Member<T, E> {
    /// Its place in the order of spawning.
    order: u64,
    place: Place<T, E>,
}

enum Place<T, E> {
    /// Its handle is being made.
    Born,
    Running(TaskHandle<T, E>),
    Ended(Outcome<T, E>),
}

/// What members and set share.
#[derive(Default)]
struct List {
    gone: Vec<Key>,
    waker: Option<Waker>,
}

impl<T, E> JoinSet<T, E> {
    /// An empty set, whose members will belong to the region that `cx.spawn` acts on.
    pub fn new(cx: &Cx) -> Self {
        JoinSet {
            cx: cx.clone(),
            members: Slots::new(),
            ending: VecDeque::new(),
            ended: VecDeque::new(),
            spawned: 0,
            list: Arc::default(),
        }
    }

    /// Members whose outcome nobody has taken.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is nothing to join.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Starts a member whose body can fail; see [`Cx::try_spawn`].
    ///
    /// A member that the region refuses has the outcome `Cancelled` at once.
    pub fn try_spawn<M, F, Fut>(&mut self, body: F)
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: CancelProbe<M> + Send,
        M: 'static,
    {
        let (key, tag) = self.admit();
        let handle = self.cx.try_spawn(move |cx| tag.follow(body(cx)));
        self.seat(key, handle);
    }

    /// Waits for the member that ends next; `None` when the set is empty.
    ///
    /// Outcomes come in the order in which the members end.
    ///
    /// # Cancellation
    /// Safe: a checkpoint of the waiter; the members are not affected. Nothing is
    /// lost when it is dropped half-way, so it may stand in `select!`.
    ///
    /// # Errors
    /// [`Cancelled`] when the waiter was asked to cancel; join through
    /// `cx.cleanup()` to take what the members leave all the same.
    pub fn join_next<'a>(&'a mut self, cx: &'a Cx) -> JoinNext<'a, T, E> {
        JoinNext {
            set: self,
            cx,
            interrupt: Interrupt::default(),
        }
    }

    /// Waits for all members, and returns their outcomes in the order in which
    /// they were spawned.
    ///
    /// # Cancellation
    /// Resumable: a checkpoint of the waiter. Outcomes that have come stay in the
    /// set, and the next join returns them.
    ///
    /// # Errors
    /// [`Cancelled`] when the waiter was asked to cancel.
    pub async fn join_all(&mut self, cx: &Cx) -> Result<Vec<Outcome<T, E>>, Cancelled> {
        let mut interrupt = Interrupt::default();
        std::future::poll_fn(|task| {
            ready!(interrupt.poll(cx, task))?;
            loop {
                if self.ended.len() == self.members.len() {
                    return Poll::Ready(Ok::<_, Cancelled>(()));
                }
                ready!(self.poll_ended(task));
            }
        })
        .await?;
        self.ended.clear();
        let mut members = self.members.drain();
        members.sort_unstable_by_key(|m| m.order);
        let outcomes = members.into_iter().filter_map(|m| match m.place {
            Place::Ended(outcome) => Some(outcome),
            Place::Born | Place::Running(_) => None,
        });
        Ok(outcomes.collect())
    }

    /// Asks every member that runs to cancel. They are still to be joined.
    pub fn cancel_all(&self, reason: impl Into<CancelReason>) {
        let reason = reason.into();
        for member in self.members.iter() {
            if let Place::Running(handle) = &member.place {
                handle.cancel(reason.clone());
            }
        }
    }

    /// A place for a member, and the tag for its body.
    fn admit(&mut self) -> (Key, Tag) {
        let key = self.members.insert(Member {
            order: self.spawned,
            place: Place::Born,
        });
        self.spawned += 1;
        // Room for all, so that neither a body that goes away nor a join allocates.
        let members = self.members.len();
        self.ending.reserve(members - self.ending.len());
        self.ended.reserve(members - self.ended.len());
        let mut list = lock(&self.list);
        let missing = members.saturating_sub(list.gone.len());
        list.gone.reserve(missing);
        drop(list);
        let list = self.list.clone();
        (key, Tag { key, list })
    }

    fn seat(&mut self, key: Key, handle: TaskHandle<T, E>) {
        if let Some(member) = self.members.get_mut(key) {
            member.place = Place::Running(handle);
        }
    }

    /// Moves one more member to `ended`.
    fn poll_ended(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let waker = task.waker().clone();
        let old = {
            let mut list = lock(&self.list);
            self.ending.extend(list.gone.drain(..));
            list.waker.replace(waker)
        };
        drop(old);
        for i in 0..self.ending.len() {
            let key = self.ending[i];
            let member = self.members.get_mut(key);
            let Some(Place::Running(handle)) = member.map(|m| &mut m.place) else {
                continue;
            };
            // Deferred work may stand between the end of a body and the outcome.
            if let Poll::Ready(outcome) = Pin::new(handle).poll(task) {
                if let Some(member) = self.members.get_mut(key) {
                    member.place = Place::Ended(outcome);
                }
                self.ending.remove(i);
                self.ended.push_back(key);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Starts a member; see [`Cx::spawn`].
    ///
    /// A member that the region refuses has the outcome `Cancelled` at once.
    pub fn spawn<F, Fut>(&mut self, body: F)
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let (key, tag) = self.admit();
        let handle = self.cx.spawn(move |cx| tag.follow(body(cx)));
        self.seat(key, handle);
    }
}

impl<T, E> Drop for JoinSet<T, E> {
    fn drop(&mut self) {
        let reason = CancelReason::new(CancelKind::RegionEnd);
        self.cancel_all(reason.with_message("the join set was dropped"));
    }
}

impl<T, E> fmt::Debug for JoinSet<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("region", &self.cx.region_id())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Future of [`JoinSet::join_next`].
#[must_use = "futures do nothing unless polled"]
pub struct JoinNext<'a, T, E> {
    set: &'a mut JoinSet<T, E>,
    cx: &'a Cx,
    interrupt: Interrupt,
}

impl<T, E> Future for JoinNext<'_, T, E> {
    type Output = Result<Option<Outcome<T, E>>, Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        ready!(this.interrupt.poll(this.cx, task))?;
        if this.set.ended.is_empty() && !this.set.is_empty() {
            ready!(this.set.poll_ended(task));
        }
        let member = this.set.ended.pop_front();
        let member = member.and_then(|key| this.set.members.remove(key));
        Poll::Ready(Ok(member.and_then(|m| match m.place {
            Place::Ended(outcome) => Some(outcome),
            Place::Born | Place::Running(_) => None,
        })))
    }
}

impl<T, E> Unpin for JoinNext<'_, T, E> {}

impl<T, E> DropSafe for JoinNext<'_, T, E> {}

impl<T, E> fmt::Debug for JoinNext<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinNext").field(&self.set).finish()
    }
}

/// Names a member; goes away with its body.
struct Tag {
    key: Key,
    list: Arc<Mutex<List>>,
}

impl Tag {
    fn follow<Fut>(self, body: Fut) -> Tagged<Fut> {
        Tagged { body, _tag: self }
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        let waker = {
            let mut list = lock(&self.list);
            list.gone.push(self.key);
            list.waker.take()
        };
        waker.into_iter().for_each(wake);
    }
}

/// A member's body and, dropped after it, its tag.
#[pin_project]
struct Tagged<Fut> {
    #[pin]
    body: Fut,
    _tag: Tag,
}

impl<Fut: Future> Future for Tagged<Fut> {
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Fut::Output> {
        self.project().body.poll(task)
    }
}
