//! Wakes one task, or all that wait; carries no value.

use crate::cx::{Cx, DropSafe, Interrupt};
use crate::types::cancel::Cancelled;
use crate::wait::{After, Left, Look, Ticket, WaitQueue};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    line: WaitQueue<Why>,
    /// Memory for those that are woken together.
    spare: Vec<Waker>,
}

/// Why a waiter was woken; in line it says nothing.
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
        Notified {
            notify: self,
            cx,
            interrupt: Interrupt::default(),
            round: self.rounds.load(Ordering::SeqCst),
            ticket: None,
        }
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
                .grant_all(&mut wakers, |why| *why = Why::Everyone);
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
        let waker = if why == Why::Last {
            self.line.back_mut().into_iter().for_each(|w| *w = why);
            self.line.grant_back()
        } else {
            self.line.grant_front()
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

/// Future of [`Notify::notified`].
#[must_use = "futures do nothing unless awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    cx: &'a Cx,
    interrupt: Interrupt,
    /// The round it was created in: it is woken with all others of that round.
    round: u64,
    ticket: Option<Ticket>,
}

impl Notified<'_> {
    /// `None`: it must bring a waker of its own.
    fn step(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Option<Poll<()>> {
        let mut state = self.notify.lock();
        if self.ticket.is_none() {
            let everyone = self.notify.rounds.load(Ordering::SeqCst) != self.round;
            if everyone || std::mem::take(&mut state.permit) {
                return Some(Poll::Ready(()));
            }
            self.ticket = Some(state.line.push(fresh.take()?, Why::First));
            return Some(Poll::Pending);
        }
        match state.line.look(&mut self.ticket, waker, fresh) {
            Look::Granted => Some(Poll::Ready(())),
            Look::Queued => Some(Poll::Pending),
            Look::NeedsWaker => None,
        }
    }

    fn withdraw(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let after = {
            let mut state = self.notify.lock();
            let why = *state.line.want(&ticket);
            match state.line.leave(ticket) {
                Left::Queued(waker) => After::drop(waker),
                Left::Granted if why == Why::Everyone => After::Nothing,
                // To whom it would have gone without this one.
                Left::Granted => state.notify(why),
            }
        };
        after.run();
    }
}

impl Future for Notified<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Err(cancelled) = ready!(this.interrupt.poll(this.cx, task)) {
            this.withdraw();
            return Poll::Ready(Err(cancelled));
        }
        // Cloning is a callback: before the lock, and dropped after it.
        let mut fresh = None;
        loop {
            match this.step(task.waker(), &mut fresh) {
                Some(notified) => return notified.map(Ok),
                None => fresh = Some(task.waker().clone()),
            }
        }
    }
}

impl DropSafe for Notified<'_> {}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
