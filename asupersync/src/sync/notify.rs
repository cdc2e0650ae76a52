//! Wakes one task, or all that wait; carries no value.

use crate::cx::{Cx, DropSafe, Interrupt};
use crate::types::cancel::Cancelled;
use crate::wait::{After, Left, Look, Ticket, WaitQueue};
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Tells tasks that something happened; what it was stands elsewhere.
///
/// [`notify_one`](Notify::notify_one) wakes the task that waits longest, or
/// leaves one permit for the next that waits. No notification is lost: a task
/// that was chosen and then cancelled, or dropped its wait, passes it on.
///
/// [`notify_waiters`](Notify::notify_waiters) wakes every wait that exists,
/// polled or not, and leaves no permit.
///
/// A wait stands in line from its first poll on, or from [`Notified::enable`] on:
/// whoever looks at the state that others change, and waits when there is nothing
/// in it, enables the wait before looking.
///
/// ```
/// use asupersync::{LabConfig, LabRuntime, Scope, sync::Notify};
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let ready = Notify::new();
///     ready.notify_one();
///     ready.notify_one(); // one permit is all it keeps
///     ready.notified(&cx).await.unwrap();
///     assert!(!ready.statistics().permit);
/// });
/// ```
pub struct Notify {
    state: Mutex<State>,
    /// How often all were woken; changed under the lock.
    rounds: AtomicU64,
}

struct State {
    permit: bool,
    /// Why each waiter was woken; `None` while it is in line.
    line: WaitQueue<Option<Why>>,
    /// Memory for those that are woken together.
    spare: Vec<Waker>,
}

/// Why a waiter was woken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It was chosen as the one that waited longest: if it leaves, another must be.
    First,
    /// It was chosen as the one that waited shortest; the same.
    Last,
    /// Everyone was.
    Everyone,
}

/// How busy a notify is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotifyStatistics {
    /// Whether the next wait ends at once.
    pub permit: bool,
    /// Waiters in line.
    pub waiting: usize,
    /// The largest number that was ever in line at one time.
    pub longest: usize,
}

impl Notify {
    /// Nobody was notified yet.
    pub const fn new() -> Self {
        Notify {
            state: Mutex::new(State {
                permit: false,
                line: WaitQueue::new(),
                spare: Vec::new(),
            }),
            rounds: AtomicU64::new(0),
        }
    }

    /// Waits for a notification.
    ///
    /// # Cancellation
    /// Safe: a notification meant for this wait goes to the next in line, or stays
    /// as the permit.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn notified<'a>(&'a self, cx: &'a Cx) -> Notified<'a> {
        Notified(Waiting::new(self, cx))
    }

    /// As [`Notify::notified`], with a future that owns the notify.
    ///
    /// # Cancellation
    /// Safe, as [`Notify::notified`].
    ///
    /// # Errors
    /// As [`Notify::notified`].
    pub fn notified_owned(self: Arc<Self>, cx: &Cx) -> NotifiedOwned<'_> {
        NotifiedOwned(Waiting::new(self, cx))
    }

    /// Wakes the task that waits longest, or leaves a permit, of which there is at most one.
    pub fn notify_one(&self) {
        let after = self.lock().notify(Why::First);
        after.run();
    }

    /// Wakes the task that waits shortest, or leaves the permit: for work of which
    /// whoever has just gone idle still has the most at hand.
    pub fn notify_last(&self) {
        let after = self.lock().notify(Why::Last);
        after.run();
    }

    /// Wakes every wait that was created before. Leaves no permit.
    pub fn notify_waiters(&self) {
        let mut wakers = {
            let mut state = self.lock();
            self.rounds.fetch_add(1, Ordering::SeqCst);
            let mut wakers = std::mem::take(&mut state.spare);
            state
                .line
                .grant_all(&mut wakers, |why| *why = Some(Why::Everyone));
            wakers
        };
        wakers.drain(..).for_each(crate::exec::wake);
        self.lock().spare = wakers;
    }

    /// How busy it is.
    pub fn statistics(&self) -> NotifyStatistics {
        let state = self.lock();
        let line = state.line.statistics();
        NotifyStatistics {
            permit: state.permit,
            waiting: line.waiting,
            longest: line.longest,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Somebody in line is chosen so, or the permit kept.
    fn notify(&mut self, why: Why) -> After {
        let last = why == Why::Last;
        let line = &mut self.line;
        let chosen = if last {
            line.back_mut()
        } else {
            line.front_mut()
        };
        chosen.into_iter().for_each(|reason| *reason = Some(why));
        let waker = if last {
            line.grant_back()
        } else {
            line.grant_front()
        };
        self.permit |= waker.is_none();
        After::wake(waker)
    }
}

impl Default for Notify {
    fn default() -> Self {
        Notify::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notify").field(&self.statistics()).finish()
    }
}

/// A wait of either kind.
struct Waiting<'a, P: Deref<Target = Notify>> {
    notify: P,
    cx: &'a Cx,
    interrupt: Interrupt,
    /// The round it was created in: it is woken with all others of that round.
    round: u64,
    ticket: Option<Ticket>,
}

impl<'a, P: Deref<Target = Notify>> Waiting<'a, P> {
    fn new(notify: P, cx: &'a Cx) -> Self {
        Waiting {
            round: notify.rounds.load(Ordering::SeqCst),
            notify,
            cx,
            interrupt: Interrupt::default(),
            ticket: None,
        }
    }

    /// Whether everyone was woken since it was created; asked under the lock.
    fn is_past(&self) -> bool {
        self.notify.rounds.load(Ordering::SeqCst) != self.round
    }

    /// Joins the line without a waker of its own; says whether it was notified.
    fn enable(&mut self) -> bool {
        let mut state = self.notify.lock();
        if let Some(ticket) = &self.ticket {
            return state.line.want(ticket).is_some();
        }
        if self.is_past() {
            return true;
        }
        self.ticket = Some(state.line.push(Waker::noop().clone(), None));
        let permit = std::mem::take(&mut state.permit);
        // Nobody else is in line while there is a permit. It is granted, not used
        // up: until this wait is awaited it may have to pass it on.
        let after = if permit {
            state.notify(Why::First)
        } else {
            After::Nothing
        };
        drop(state);
        after.run();
        permit
    }

    /// `None`: it must bring a waker of its own.
    fn step(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Option<Poll<()>> {
        let mut state = self.notify.lock();
        if self.ticket.is_none() {
            if self.is_past() || std::mem::take(&mut state.permit) {
                return Some(Poll::Ready(()));
            }
            self.ticket = Some(state.line.push(fresh.take()?, None));
            return Some(Poll::Pending);
        }
        match state.line.look(&mut self.ticket, waker, fresh) {
            Look::Granted => Some(Poll::Ready(())),
            Look::Queued => Some(Poll::Pending),
            Look::NeedsWaker => None,
        }
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Cancelled>> {
        if let Err(cancelled) = ready!(self.interrupt.poll(self.cx, task)) {
            self.withdraw();
            return Poll::Ready(Err(cancelled));
        }
        // Cloning is a callback: before the lock, and dropped after it.
        let mut fresh = None;
        loop {
            match self.step(task.waker(), &mut fresh) {
                Some(notified) => return notified.map(Ok),
                None => fresh = Some(task.waker().clone()),
            }
        }
    }

    fn withdraw(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let after = {
            let mut state = self.notify.lock();
            let why = *state.line.want(&ticket);
            match (state.line.leave(ticket), why) {
                (Left::Queued(waker), _) => After::drop(waker),
                // To whom it would have gone without this one.
                (Left::Granted, Some(why @ (Why::First | Why::Last))) => state.notify(why),
                (Left::Granted, _) => After::Nothing,
            }
        };
        after.run();
    }
}

impl<P: Deref<Target = Notify>> Drop for Waiting<'_, P> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

macro_rules! waits {
    ($(#[doc = $doc:literal] $Future:ident, $Notify:ty;)*) => { $(
        #[doc = $doc]
        #[must_use = "futures do nothing unless awaited"]
        pub struct $Future<'a>(Waiting<'a, $Notify>);

        impl $Future<'_> {
            /// Joins the line now, not when first polled; says whether this wait was
            /// notified already, and so would end at once.
            ///
            /// Between a look at some state and the first poll of the wait that
            /// follows, a notification may come: if several are about to wait, one
            /// permit is all that is kept of all that came. Who is in line before it
            /// looks misses none.
            ///
            /// Dropped or cancelled before it was awaited, this wait passes on what
            /// it was notified of, as any other.
            ///
            /// ```
            /// use asupersync::{Cancelled, Cx, LabConfig, LabRuntime, Scope, sync::Notify};
            /// use std::sync::Mutex;
            ///
            /// /// Any number of tasks may put and take.
            /// #[derive(Default)]
            /// struct Pile {
            ///     things: Mutex<Vec<u32>>,
            ///     came: Notify,
            /// }
            ///
            /// impl Pile {
            ///     fn put(&self, thing: u32) {
            ///         self.things.lock().unwrap().push(thing);
            ///         self.came.notify_one();
            ///     }
            ///
            ///     async fn take(&self, cx: &Cx) -> Result<u32, Cancelled> {
            ///         loop {
            ///             let mut came = self.came.notified(cx);
            ///             came.enable(); // before looking
            ///             if let Some(thing) = self.things.lock().unwrap().pop() {
            ///                 return Ok(thing);
            ///             }
            ///             came.await?;
            ///         }
            ///     }
            /// }
            ///
            /// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
            ///     let pile = Pile::default();
            ///     pile.put(1);
            ///     assert_eq!(pile.take(&cx).await, Ok(1));
            /// });
            /// ```
            pub fn enable(&mut self) -> bool {
                self.0.enable()
            }
        }

        impl Future for $Future<'_> {
            type Output = Result<(), Cancelled>;

            fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
                self.get_mut().0.poll(task)
            }
        }

        impl DropSafe for $Future<'_> {}
    )* };
}

waits! {
    /// Future of [`Notify::notified`].
    Notified, &'a Notify;
    /// Future of [`Notify::notified_owned`].
    NotifiedOwned, Arc<Notify>;
}
