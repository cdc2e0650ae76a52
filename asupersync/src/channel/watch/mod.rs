//! The latest value of something, and a way to wait for the next one.
//!
//! Receivers see the latest value, not every value. A [`Ref`] is the value as it
//! was when it was looked up: it holds no lock, so it may be kept while somebody
//! sends, and across an await.
//!
//! ```
//! use asupersync::channel::watch;
//! use asupersync::{Cx, channel::watch::RecvError};
//!
//! async fn follow(cx: &Cx, mut rx: watch::Receiver<u32>) -> Result<u32, RecvError> {
//!     let mut sum = *rx.borrow();
//!     loop {
//!         match rx.changed(cx).await {
//!             Ok(()) => sum += *rx.borrow_and_update(),
//!             Err(RecvError::Closed) => return Ok(sum),
//!             Err(e) => return Err(e),
//!         }
//!     }
//! }
//! ```

#[cfg(test)]
mod model;
mod state;

pub use super::error::{RecvError, SendError};

use super::audience::{self, Heard, Watch};
use super::crowd::wake_all;
use super::ends::{closed, end};
use super::jar::Emptied;
use super::senders::Share;
use super::waiting::{Wait, Waiting};
use crate::cx::{Cx, DropSafe};
use crate::exec::lock;
use crate::exec::outside;
use crate::types::cancel::Cancelled;
use crate::types::cancel_class::CancelClass;
use crate::wait::Ticket;
use state::{Look, State};
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What happens to each operation that is cancelled or dropped half-way.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Sender::closed", CancelClass::Safe),
    ("Receiver::changed", CancelClass::Safe),
    ("Receiver::wait_for", CancelClass::Safe),
];

/// A channel that starts with `value`, which its receiver counts as seen.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Shared::new(State::new(value));
    let receiver = Receiver {
        shared: shared.clone(),
        seen: 0,
        ticket: None,
    };
    let shared = Share::first(shared);
    (Sender { shared }, receiver)
}

/// How busy a channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Values sent after the first.
    pub version: u64,
    /// Receivers.
    pub receivers: usize,
    /// Receivers that wait for a change.
    pub waiting: usize,
    /// Senders.
    pub senders: usize,
}

/// What both ends hold.
type Shared<T> = audience::Shared<State<T>>;

impl<T> Shared<T> {
    fn statistics(&self) -> Statistics {
        let state = lock(&self.state);
        Statistics {
            version: state.version(),
            receivers: state.receivers(),
            waiting: state.waiting(),
            senders: self.sender_count(),
        }
    }

    /// The value for a receiver that has seen that version, and its own version.
    fn view(&self, seen: u64) -> (Ref<T>, u64) {
        let (view, version) = lock(&self.state).view();
        let changed = version != seen;
        let value = Emptied::Seen(view);
        (Ref { value, changed }, version)
    }

    fn subscribe(self: &Arc<Self>) -> Receiver<T> {
        let seen = lock(&self.state).subscribe();
        Receiver {
            shared: self.clone(),
            seen,
            ticket: None,
        }
    }

    fn wake(&self, released: super::crowd::Released) {
        wake_all(released, |batch| lock(&self.state).wake_more(batch));
    }
}

/// A value as it was when it was looked up.
///
/// It holds no lock: whoever sends meanwhile does not wait for it.
pub struct Ref<T> {
    value: Emptied<T>,
    changed: bool,
}

impl<T> Ref<T> {
    /// The value; cloned only if it is still in use elsewhere.
    pub fn into_owned(self) -> T
    where
        T: Clone,
    {
        self.value.into_value()
    }

    /// Whether the receiver that looked it up had not seen it before.
    pub fn has_changed(&self) -> bool {
        self.changed
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.value()
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

/// The sending end; clone it for further senders.
pub struct Sender<T> {
    shared: Share<Shared<T>>,
}

impl<T> Sender<T> {
    /// A channel without a receiver, as [`channel`] makes one with.
    pub fn new(value: T) -> Self {
        channel(value).0
    }

    /// Replaces the value, and wakes who waits for a change.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when there is no receiver; to
    /// replace it all the same, use [`Sender::send_replace`].
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let sent = lock(&self.shared.state).send(value);
        let (old, woken) = sent.map_err(SendError::Closed)?;
        self.shared.wake(woken);
        drop(old);
        Ok(())
    }

    /// Replaces the value, whether or not there is a receiver, and returns the old one.
    pub fn send_replace(&self, value: T) -> Ref<T> {
        let (old, woken) = lock(&self.shared.state).replace(value);
        self.shared.wake(woken);
        Ref {
            value: old,
            changed: false,
        }
    }

    /// Changes the value in place, as receivers see it.
    ///
    /// `change` edits a copy, while nobody is kept waiting. When another sender
    /// was faster, it is called again with a copy of what that one sent.
    pub fn send_modify(&self, mut change: impl FnMut(&mut T))
    where
        T: Clone,
    {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// As [`Sender::send_modify`], if `change` says that it has changed
    /// something; else what it did to its copy is forgotten. Returns what it said.
    pub fn send_if_modified(&self, mut change: impl FnMut(&mut T) -> bool) -> bool
    where
        T: Clone,
    {
        loop {
            let (seen, _) = lock(&self.shared.state).view();
            let mut value = seen.value().clone();
            if !change(&mut value) {
                return false;
            }
            let replaced = lock(&self.shared.state).replace_seen(&seen, value);
            if let Ok(woken) = replaced {
                self.shared.wake(woken);
                return true;
            }
        }
    }

    /// The latest value.
    pub fn borrow(&self) -> Ref<T> {
        let (view, _) = lock(&self.shared.state).view();
        Ref {
            value: Emptied::Seen(view),
            changed: false,
        }
    }

    /// A further receiver, which counts the current value as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.channel().subscribe()
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        lock(&self.shared.state).receivers()
    }

    /// Whether there is no receiver at the moment.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn closed<'a>(&'a self, cx: &'a Cx) -> Closed<'a, T> {
        Closed(Waiting::new(cx, Watch::new(&self.shared)))
    }
}

end!(Sender, "channel");

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Sender { shared }
    }
}

/// The receiving end; a clone has seen what this one has.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version seen; [`UNSEEN`] stands for none.
    seen: u64,
    /// Its place among those who wait.
    ticket: Option<Ticket>,
}

/// No version that a channel could come to.
const UNSEEN: u64 = u64::MAX;

impl<T> Receiver<T> {
    /// Waits for a value that this receiver has not seen, and counts it as seen.
    ///
    /// # Cancellation
    /// Safe: either it returns, or the value is still unseen.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when the last value was seen and the last sender is
    /// gone, [`RecvError::Cancelled`] when the task was asked to cancel.
    pub fn changed<'a>(&'a mut self, cx: &'a Cx) -> Changed<'a, T> {
        Changed(Waiting::new(cx, Change(self)))
    }

    /// The poll form of [`Receiver::changed`]: it observes no cancellation, and
    /// `false` means that no change will come.
    pub fn poll_changed(&mut self, task: &mut Context<'_>) -> Poll<bool> {
        let mut fresh = None;
        loop {
            let look = lock(&self.shared.state).look_or_wait(
                &mut self.seen,
                &mut self.ticket,
                task.waker(),
                &mut fresh,
            );
            match look {
                Look::Changed => return Poll::Ready(true),
                Look::Closed => return Poll::Ready(false),
                Look::Same => return Poll::Pending,
                Look::NeedsWaker => fresh = Some(task.waker().clone()),
            }
        }
    }

    /// Waits until `wanted` holds for the latest value, which may be at once;
    /// counts what it has looked at as seen.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when it does not hold for the last value and the
    /// last sender is gone, [`RecvError::Cancelled`] when the task was asked to
    /// cancel.
    pub fn wait_for<'a, F>(&'a mut self, cx: &'a Cx, wanted: F) -> WaitFor<'a, T, F>
    where
        F: FnMut(&T) -> bool,
    {
        let wait = Until {
            receiver: self,
            wanted,
        };
        WaitFor(Waiting::new(cx, wait))
    }

    /// Waits for a change on a thread that runs no task, which blocks meanwhile.
    /// In the lab, whose world is one thread, nobody would be left to send.
    ///
    /// # Errors
    /// [`RecvError::Closed`], as [`Receiver::changed`].
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In a closure of the lab, when it
    /// has to wait.
    pub fn blocking_changed(&mut self) -> Result<(), RecvError> {
        if outside::block(|task| self.poll_changed(task)) {
            Ok(())
        } else {
            Err(RecvError::Closed)
        }
    }

    /// The latest value; whether it counts as seen does not change.
    pub fn borrow(&self) -> Ref<T> {
        self.shared.view(self.seen).0
    }

    /// The latest value, which counts as seen from now on.
    pub fn borrow_and_update(&mut self) -> Ref<T> {
        let (value, version) = self.shared.view(self.seen);
        self.seen = version;
        value
    }

    /// Whether there is a value that this receiver has not seen.
    pub fn has_changed(&self) -> bool {
        lock(&self.shared.state).version() != self.seen
    }

    /// Counts the latest value as not seen.
    pub fn mark_changed(&mut self) {
        self.seen = UNSEEN;
    }

    /// Counts the latest value as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = lock(&self.shared.state).version();
    }

    /// Whether the value changes no more: the last sender is gone.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.state).is_closed()
    }

    fn forget(&mut self) {
        if self.ticket.is_some() {
            let waker = lock(&self.shared.state).forget(&mut self.ticket);
            drop(waker);
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let mut clone = self.shared.subscribe();
        clone.seen = self.seen;
        clone
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.forget();
        let woken = lock(&self.shared.state).audience().leave();
        self.shared.deserted(woken);
    }
}

end!(Receiver, "channel", changed: Receiver::has_changed);

/// Future of [`Receiver::changed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Changed<'a, T>(Waiting<'a, Change<'a, T>>);

struct Change<'a, T>(&'a mut Receiver<T>);

impl<T> Wait for Change<'_, T> {
    type Output = bool;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<bool> {
        self.0.poll_changed(task)
    }

    fn withdraw(&mut self) {
        self.0.forget();
    }
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task).map(|changed| match changed {
            Ok(true) => Ok(()),
            Ok(false) => Err(RecvError::Closed),
            Err(cancelled) => Err(RecvError::Cancelled(cancelled)),
        })
    }
}

impl<T> DropSafe for Changed<'_, T> {}

/// Future of [`Receiver::wait_for`].
#[must_use = "futures do nothing unless awaited"]
pub struct WaitFor<'a, T, F: FnMut(&T) -> bool>(Waiting<'a, Until<'a, T, F>>);

struct Until<'a, T, F> {
    receiver: &'a mut Receiver<T>,
    wanted: F,
}

impl<T, F: FnMut(&T) -> bool> Wait for Until<'_, T, F> {
    type Output = Option<Ref<T>>;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let value = self.receiver.borrow_and_update();
            if (self.wanted)(&value) {
                return Poll::Ready(Some(value));
            }
            if !std::task::ready!(self.receiver.poll_changed(task)) {
                return Poll::Ready(None);
            }
        }
    }

    fn withdraw(&mut self) {
        self.receiver.forget();
    }
}

// The predicate is only called, never pinned.
impl<T, F: FnMut(&T) -> bool> Unpin for WaitFor<'_, T, F> {}

impl<T, F: FnMut(&T) -> bool> Future for WaitFor<'_, T, F> {
    type Output = Result<Ref<T>, RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task).map(|found| match found {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(RecvError::Closed),
            Err(cancelled) => Err(RecvError::Cancelled(cancelled)),
        })
    }
}

impl<T, F: FnMut(&T) -> bool> DropSafe for WaitFor<'_, T, F> {}

closed!(Watch<'a, State<T>>);
