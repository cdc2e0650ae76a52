//! Every receiver gets every value that is sent from when it subscribed on.
//!
//! Sending never waits: the channel keeps the last values, as many as its
//! capacity, and a receiver that falls further behind is told exactly how many
//! it has missed, and goes on with the oldest one still there. The last receiver
//! to read a value gets the value itself; the others get clones, made while no
//! lock is held.
//!
//! ```
//! use asupersync::channel::broadcast::{self, TryRecvError};
//!
//! let (tx, mut a) = broadcast::channel(2);
//! let mut b = tx.subscribe();
//! for n in 1..=3 {
//!     tx.send(n).unwrap();
//! }
//! assert_eq!(a.try_recv(), Err(TryRecvError::Lagged(1)));
//! assert_eq!(a.try_recv(), Ok(2));
//! assert_eq!(a.try_recv(), Ok(3));
//! assert_eq!(b.try_recv(), Err(TryRecvError::Lagged(1)));
//! drop(tx);
//! assert_eq!(a.try_recv(), Err(TryRecvError::Closed));
//! ```

mod error;
#[cfg(test)]
mod model;
mod state;

pub use error::{RecvError, SendError, TryRecvError};

use super::audience::{self, Watch};
use super::crowd::wake_all;
use super::ends::{closed, end};
use super::senders::Share;
use super::waiting::{Wait, Waiting};
use crate::cx::{Cx, DropSafe};
use crate::exec::lock;
use crate::exec::outside;
use crate::types::cancel::Cancelled;
use crate::types::cancel_class::CancelClass;
use crate::wait::Ticket;
use state::{Read, State};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What happens to each operation that is cancelled or dropped half-way.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Sender::closed", CancelClass::Safe),
    ("Receiver::recv", CancelClass::Safe),
];

/// A channel that keeps the last `capacity` values for receivers that are behind.
///
/// Memory is taken as it is needed, up to the capacity, and then used again.
///
/// # Panics
/// If `capacity` is 0: no receiver could get anything.
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs a capacity of at least 1");
    let shared = Shared::new(State::new(capacity));
    let receiver = Receiver {
        shared: shared.clone(),
        cursor: 0,
        ticket: None,
    };
    let shared = Share::first(shared);
    (Sender { shared }, receiver)
}

/// How full a channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// How many values are kept at most.
    pub capacity: usize,
    /// Values that some receiver has not read yet.
    pub queued: usize,
    /// Receivers.
    pub receivers: usize,
    /// Receivers that wait for a value.
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
            capacity: state.capacity(),
            queued: state.queued(),
            receivers: state.receivers(),
            waiting: state.waiting(),
            senders: self.sender_count(),
        }
    }

    fn subscribe(self: &Arc<Self>) -> Receiver<T> {
        let cursor = lock(&self.state).subscribe();
        Receiver {
            shared: self.clone(),
            cursor,
            ticket: None,
        }
    }
}

/// The sending end; clone it for further senders.
///
/// When the last one is dropped, each receiver gets what it has not read and
/// then [`RecvError::Closed`].
pub struct Sender<T> {
    shared: Share<Shared<T>>,
}

impl<T: Clone> Sender<T> {
    /// A channel without a receiver, as [`channel`] makes one with.
    ///
    /// # Panics
    /// If `capacity` is 0: no receiver could get anything.
    pub fn new(capacity: usize) -> Self {
        channel(capacity).0
    }
}

impl<T> Sender<T> {
    /// Sends to everyone who has subscribed, without waiting; says to how many.
    ///
    /// # Errors
    /// The value, when nobody has.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let sent = lock(&self.shared.state).send(value);
        let (receivers, overwritten, woken) = sent.map_err(SendError)?;
        wake_all(woken, |batch| lock(&self.shared.state).wake_more(batch));
        drop(overwritten);
        Ok(receivers)
    }

    /// A further receiver; it gets what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.channel().subscribe()
    }

    /// A sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender {
            shared: self.shared.channel().clone(),
        }
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        lock(&self.shared.state).receivers()
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

    /// How many values some receiver has not read yet.
    pub fn len(&self) -> usize {
        lock(&self.shared.state).queued()
    }

    /// Whether every receiver has read everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

end!(Sender, "channel");

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Sender { shared }
    }
}

/// A sender that does not keep the channel open: [`WeakSender::upgrade`] it to send.
pub struct WeakSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, unless the last one has gone.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        Share::revive(&self.shared).map(|shared| Sender { shared })
    }
}

end!(WeakSender, "channel");

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        WeakSender { shared }
    }
}

/// The receiving end, a cursor over what is sent.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    cursor: u64,
    /// Its place among those who wait.
    ticket: Option<Ticket>,
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next value.
    ///
    /// # Cancellation
    /// Safe: either a value is returned, or it is still the next one.
    ///
    /// # Errors
    /// [`RecvError::Lagged`] when values were overwritten before they were read;
    /// receive again to go on after the gap. [`RecvError::Closed`] when
    /// everything was read and nothing more will come, [`RecvError::Cancelled`]
    /// when the task was asked to cancel.
    pub fn recv<'a>(&'a mut self, cx: &'a Cx) -> Recv<'a, T> {
        Recv(Waiting::new(cx, self))
    }

    /// Takes the next value if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether to come back later, and what was missed.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let read = lock(&self.shared.state).read(&mut self.cursor);
        match read {
            Read::Last(value) => Ok(value.into_value()),
            Read::Value(view) => Ok(view.into_value()),
            Read::Lagged(n) => Err(TryRecvError::Lagged(n)),
            Read::Empty | Read::NeedsWaker => Err(TryRecvError::Empty),
            Read::Closed => Err(TryRecvError::Closed),
        }
    }

    /// The poll form of [`Receiver::recv`]: it observes no cancellation.
    pub fn poll_recv(&mut self, task: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let mut fresh = None;
        loop {
            let read = lock(&self.shared.state).read_or_wait(
                &mut self.cursor,
                &mut self.ticket,
                task.waker(),
                &mut fresh,
            );
            return Poll::Ready(match read {
                Read::Last(value) => Ok(value.into_value()),
                Read::Value(view) => Ok(view.into_value()),
                Read::Lagged(n) => Err(RecvError::Lagged(n)),
                Read::Closed => Err(RecvError::Closed),
                Read::Empty => return Poll::Pending,
                Read::NeedsWaker => {
                    fresh = Some(task.waker().clone());
                    continue;
                }
            });
        }
    }

    /// Receives on a thread that runs no task, which blocks meanwhile. In the
    /// lab, whose world is one thread, nobody would be left to send.
    ///
    /// # Errors
    /// [`RecvError::Lagged`] and [`RecvError::Closed`], as [`Receiver::recv`].
    ///
    /// # Panics
    /// Inside of a task: it would block its worker. In a closure of the lab, when it
    /// has to wait.
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        outside::block(|task| self.poll_recv(task))
    }
}

impl<T> Receiver<T> {
    /// A further receiver; it gets what is sent from now on, whatever this one
    /// has not read.
    pub fn resubscribe(&self) -> Self {
        self.shared.subscribe()
    }

    /// How many values it has before it, those it has missed included.
    pub fn len(&self) -> u64 {
        lock(&self.shared.state).behind(self.cursor)
    }

    /// Whether it has read everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing more will be sent: the last sender is gone.
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

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.forget();
        let (unread, woken) = lock(&self.shared.state).unsubscribe(self.cursor);
        self.shared.deserted(woken);
        drop(unread);
    }
}

end!(Receiver, "channel", behind: Receiver::len);

/// Future of [`Receiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T: Clone>(Waiting<'a, &'a mut Receiver<T>>);

impl<T: Clone> Wait for &mut Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_recv(task)
    }

    fn withdraw(&mut self) {
        self.forget();
    }
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let received = self.get_mut().0.poll(task);
        received.map(|r| r.unwrap_or_else(|cancelled| Err(RecvError::Cancelled(cancelled))))
    }
}

impl<T: Clone> DropSafe for Recv<'_, T> {}

closed!(Watch<'a, State<T>>);
