//! Tasks that wait for each other.
//!
//! A generation is `n` arrivals. It ends whole, when the last arrives, or
//! broken, when one that had arrived leaves: then all others of that generation
//! are told, those who wait at once and those still to come as they arrive. The
//! `n`-th arrival ends a broken generation too, so the next one starts even.

use crate::cx::{Cx, DropSafe, Interrupt};
use crate::types::cancel::Cancelled;
use crate::wait::{Left, Look, Ticket, WaitQueue};
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Lets tasks through once `n` of them have arrived; reusable.
///
/// If one that waits here is cancelled or dropped, the others would wait for it
/// for ever: instead all of them get [`BarrierError::Broken`], also those that
/// have not arrived yet. The next `n` arrivals start anew.
///
/// ```
/// use asupersync::{Cx, LabConfig, LabRuntime, Scope, sync::Barrier};
/// use std::sync::Arc;
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let barrier = Arc::new(Barrier::new(2));
///     let other = barrier.clone();
///     let task = cx.spawn(async move |cx: Cx| other.wait(&cx).await.unwrap().is_leader());
///     let here = barrier.wait(&cx).await.unwrap().is_leader();
///     let there = task.await.into_result().unwrap();
///     assert!(here != there, "one of them is the leader");
/// });
/// ```
pub struct Barrier {
    n: usize,
    state: Mutex<State>,
}

struct State {
    /// Arrivals of this generation.
    arrived: usize,
    broken: bool,
    line: WaitQueue<Ended>,
    /// Memory for those that are let through together.
    spare: Vec<Waker>,
}

/// How the generation of a waiter ended; in line it says nothing.
#[derive(Clone, Copy)]
enum Ended {
    Whole,
    Broken,
}

/// How busy a barrier is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarrierStatistics {
    /// Arrivals that make a generation.
    pub size: usize,
    /// How many have arrived of the current one.
    pub arrived: usize,
    /// Tasks that wait for the others.
    pub waiting: usize,
    /// Whether the current generation is broken.
    pub broken: bool,
}

/// The task did not get through.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BarrierError {
    /// Another task of the same generation left while it waited.
    #[error("a task left the barrier while it waited; everyone of its generation starts anew")]
    Broken,
    /// The task was asked to cancel. If it had arrived, its generation is broken.
    #[error("waiting at a barrier was cancelled")]
    Cancelled(#[from] Cancelled),
}

/// The task got through, with all others of its generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarrierWaitResult {
    leader: bool,
}

impl BarrierWaitResult {
    /// Whether this task arrived last; true for one task of each generation.
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

impl Barrier {
    /// A barrier for `n` tasks; with 0 or 1 nobody waits.
    pub const fn new(n: usize) -> Self {
        Barrier {
            n: if n == 0 { 1 } else { n },
            state: Mutex::new(State {
                arrived: 0,
                broken: false,
                line: WaitQueue::new(),
                spare: Vec::new(),
            }),
        }
    }

    /// Arrives, when first polled, and waits for the others.
    ///
    /// # Cancellation
    /// Safe: no value is lost. But one that had arrived breaks its generation:
    /// the others get [`BarrierError::Broken`].
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait<'a>(&'a self, cx: &'a Cx) -> BarrierWait<'a> {
        BarrierWait {
            barrier: self,
            cx,
            interrupt: Interrupt::default(),
            ticket: None,
        }
    }

    /// How busy the barrier is.
    pub fn statistics(&self) -> BarrierStatistics {
        let state = self.lock();
        BarrierStatistics {
            size: self.n,
            arrived: state.arrived,
            waiting: state.line.len(),
            broken: state.broken,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who were let go, and keeps the memory for the next.
    fn wake(&self, mut wakers: Vec<Waker>) {
        wakers.drain(..).for_each(crate::exec::wake);
        self.lock().spare = wakers;
    }
}

impl State {
    /// The generation of all who wait has ended so.
    fn let_go(&mut self, how: Ended) -> Vec<Waker> {
        let mut wakers = std::mem::take(&mut self.spare);
        self.line.grant_all(&mut wakers, |ended| *ended = how);
        wakers
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Barrier").field(&self.statistics()).finish()
    }
}

/// Future of [`Barrier::wait`].
#[must_use = "futures do nothing unless awaited"]
pub struct BarrierWait<'a> {
    barrier: &'a Barrier,
    cx: &'a Cx,
    interrupt: Interrupt,
    ticket: Option<Ticket>,
}

type Passed = Result<BarrierWaitResult, BarrierError>;

impl BarrierWait<'_> {
    /// Arrives; `None`: it has to wait, and must bring a waker of its own.
    fn arrive(&mut self, fresh: &mut Option<Waker>) -> Option<Poll<Passed>> {
        let wakers = {
            let mut state = self.barrier.lock();
            let last = state.arrived + 1 == self.barrier.n;
            if !last && !state.broken {
                self.ticket = Some(state.line.push(fresh.take()?, Ended::Whole));
                state.arrived += 1;
                return Some(Poll::Pending);
            }
            let broken = state.broken;
            state.arrived = if last { 0 } else { state.arrived + 1 };
            state.broken = broken && !last;
            if broken {
                return Some(Poll::Ready(Err(BarrierError::Broken)));
            }
            state.let_go(Ended::Whole)
        };
        self.barrier.wake(wakers);
        Some(Poll::Ready(Ok(BarrierWaitResult { leader: true })))
    }

    /// Looks how its generation stands; `None`: it must bring a waker of its own.
    fn look(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Option<Poll<Passed>> {
        let mut state = self.barrier.lock();
        let ended = self.ticket.as_ref().map(|place| *state.line.want(place));
        match state.line.look(&mut self.ticket, waker, fresh) {
            Look::Granted => Some(Poll::Ready(match ended {
                Some(Ended::Broken) => Err(BarrierError::Broken),
                _ => Ok(BarrierWaitResult { leader: false }),
            })),
            Look::Queued => Some(Poll::Pending),
            Look::NeedsWaker => None,
        }
    }

    fn withdraw(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let (left, wakers) = {
            let mut state = self.barrier.lock();
            let left = state.line.leave(ticket);
            // One that was let through, or told, leaves nobody waiting.
            let Left::Queued(_) = left else {
                return;
            };
            state.broken = true;
            (left, state.let_go(Ended::Broken))
        };
        self.barrier.wake(wakers);
        drop(left);
    }
}

impl Future for BarrierWait<'_> {
    type Output = Result<BarrierWaitResult, BarrierError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Err(cancelled) = ready!(this.interrupt.poll(this.cx, task)) {
            this.withdraw();
            return Poll::Ready(Err(BarrierError::Cancelled(cancelled)));
        }
        // Cloning is a callback: before the lock, and dropped after it.
        let mut fresh = None;
        loop {
            let looked = match this.ticket {
                Some(_) => this.look(task.waker(), &mut fresh),
                None => this.arrive(&mut fresh),
            };
            match looked {
                Some(answer) => return answer,
                None => fresh = Some(task.waker().clone()),
            }
        }
    }
}

impl DropSafe for BarrierWait<'_> {}

impl Drop for BarrierWait<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
