//! The bounded channel: handles, permits and futures over the rules in `state`.

use super::super::error::{
    RecvError, ReserveError, SendError, TryRecvError, TryReserveError, TrySendError,
};
use super::shared::{Line, Receiving, Shared, Watch};
use super::state::{Popped, Refusal};
use crate::cx::{Cx, DropSafe, Interrupt};
use crate::exec::obligation::Obligation;
use crate::types::cancel::Cancelled;
use crate::types::obligation::{AbortCause, ObligationKind};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// A channel with room for `capacity` values.
///
/// Memory is taken as it is needed, up to the capacity, and then kept.
///
/// # Panics
/// If `capacity` is 0: a channel without room could not keep a value that was
/// sent while nobody receives.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs a capacity of at least 1");
    let shared = Shared::new(capacity);
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared },
    )
}

/// How full a channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// How many values fit.
    pub capacity: usize,
    /// Values in the queue.
    pub queued: usize,
    /// Places that belong to a permit, or to a sender about to notice its turn.
    pub reserved: usize,
    /// Senders in line for a place.
    pub waiting: usize,
}

/// The sending end; clone it for further senders.
///
/// When the last one is dropped, the receiver gets what is queued and then
/// [`RecvError::Closed`].
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Waits for room and reserves it.
    ///
    /// # Cancellation
    /// Safe: either a place is reserved and the [`Permit`] returned, or nothing
    /// happened; a place granted in the meantime goes to the next in line.
    ///
    /// # Errors
    /// [`ReserveError::Closed`] when the receiver is gone or has closed,
    /// [`ReserveError::Cancelled`] when the task was asked to cancel.
    pub fn reserve<'a>(&'a self, cx: &'a Cx) -> Reserve<'a, T> {
        Reserve {
            sender: self,
            cx,
            interrupt: Interrupt::default(),
            line: Line::new(&self.shared),
        }
    }

    /// Like [`Sender::reserve`], for a permit that outlives the borrow: it keeps
    /// this sender, and gives it back when it is used.
    ///
    /// # Cancellation
    /// No place is lost, but the sender is: clone it before if it is still needed.
    ///
    /// # Errors
    /// As [`Sender::reserve`].
    pub async fn reserve_owned(self, cx: &Cx) -> Result<OwnedPermit<T>, ReserveError> {
        let promise = self.reserve(cx).await?.into_promise();
        Ok(OwnedPermit {
            sender: Some(self),
            promise: Some(promise),
        })
    }

    /// Reserves a place if there is one.
    ///
    /// # Errors
    /// [`TryReserveError`] says whether to come back later.
    pub fn try_reserve(&self, cx: &Cx) -> Result<Permit<'_, T>, TryReserveError> {
        let reserved = self.shared.lock().reserve();
        match reserved {
            Ok(()) => Ok(Permit::new(self, cx)),
            Err(Refusal::Full) => Err(TryReserveError::Full),
            Err(Refusal::Closed) => Err(TryReserveError::Closed),
        }
    }

    /// Waits for room and sends.
    ///
    /// # Cancellation
    /// Asked to cancel, it hands the value back in the error. Dropped half-way,
    /// it drops the value: in a `select!` reserve first and send then.
    ///
    /// # Errors
    /// [`SendError`], always with the value.
    pub fn send<'a>(&'a self, cx: &'a Cx, value: T) -> SendValue<'a, T> {
        SendValue {
            line: Line::new(&self.shared),
            cx,
            interrupt: Interrupt::default(),
            value: Some(value),
        }
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// [`TrySendError`], always with the value.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let pushed = self.shared.lock().push(value);
        match pushed {
            Ok(after) => {
                after.run();
                Ok(())
            }
            Err((Refusal::Full, value)) => Err(TrySendError::Full(value)),
            Err((Refusal::Closed, value)) => Err(TrySendError::Closed(value)),
        }
    }

    /// Waits until nothing can be sent any more.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn closed<'a>(&'a self, cx: &'a Cx) -> Closed<'a, T> {
        Closed {
            cx,
            interrupt: Interrupt::default(),
            watch: Watch::new(&self.shared),
        }
    }

    /// Whether nothing can be sent any more: the receiver is gone or has closed.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }

    /// How many values fit.
    pub fn capacity(&self) -> usize {
        self.shared.lock().capacity()
    }

    /// How many values are queued.
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How full the channel is.
    pub fn statistics(&self) -> Statistics {
        statistics(&self.shared)
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

fn statistics<T>(shared: &Shared<T>) -> Statistics {
    let state = shared.lock();
    Statistics {
        capacity: state.capacity(),
        queued: state.len(),
        reserved: state.reserved(),
        waiting: state.waiting(),
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("channel", &self.statistics())
            .finish()
    }
}

/// A reserved place: what is sent into it neither waits nor can be cancelled.
///
/// Dropping it gives the place to the next in line.
#[must_use = "a permit that is dropped sends nothing"]
pub struct Permit<'a, T> {
    sender: &'a Sender<T>,
    /// Taken when the place is used or given back.
    promise: Option<Obligation>,
}

impl<'a, T> Permit<'a, T> {
    fn new(sender: &'a Sender<T>, cx: &Cx) -> Self {
        Permit {
            sender,
            promise: Some(cx.promise(ObligationKind::SendPermit)),
        }
    }

    /// Sends the value.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone.
    pub fn send(mut self, value: T) -> Result<(), SendError<T>> {
        fill(&self.sender.shared, self.promise.take(), value)
    }

    /// Gives the place back.
    pub fn abort(mut self) {
        release(
            &self.sender.shared,
            self.promise.take(),
            Some(AbortCause::Explicit),
        );
    }

    /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }

    fn into_promise(mut self) -> Obligation {
        self.promise
            .take()
            .expect("a permit holds its promise until it is used")
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if self.promise.is_some() {
            release(&self.sender.shared, self.promise.take(), None);
        }
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("sender", self.sender)
            .finish_non_exhaustive()
    }
}

/// A [`Permit`] that owns its sender.
#[must_use = "a permit that is dropped sends nothing"]
pub struct OwnedPermit<T> {
    sender: Option<Sender<T>>,
    promise: Option<Obligation>,
}

impl<T> OwnedPermit<T> {
    /// Sends the value, and gives the sender back.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the value, when the receiver is gone.
    pub fn send(mut self, value: T) -> Result<Sender<T>, SendError<T>> {
        let sender = self.take_sender();
        fill(&sender.shared, self.promise.take(), value)?;
        Ok(sender)
    }

    /// Gives the place back, and the sender too.
    pub fn abort(mut self) -> Sender<T> {
        let sender = self.take_sender();
        release(
            &sender.shared,
            self.promise.take(),
            Some(AbortCause::Explicit),
        );
        sender
    }

    /// Hands the promise over to the task of `cx`, which is the one that must keep it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }

    fn take_sender(&mut self) -> Sender<T> {
        self.sender
            .take()
            .expect("an owned permit holds its sender until it is used")
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            release(&sender.shared, self.promise.take(), None);
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit")
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

/// Fills a reserved place and settles the promise.
fn fill<T>(shared: &Shared<T>, promise: Option<Obligation>, value: T) -> Result<(), SendError<T>> {
    let filled = shared.lock().fill(value);
    match filled {
        Ok(after) => {
            promise.into_iter().for_each(Obligation::commit);
            after.run();
            Ok(())
        }
        Err(value) => {
            promise.into_iter().for_each(|p| p.abort(AbortCause::Error));
            Err(SendError::Closed(value))
        }
    }
}

/// Gives a reserved place back and settles the promise; without a cause the
/// promise itself tells a drop from a cancellation.
fn release<T>(shared: &Shared<T>, promise: Option<Obligation>, cause: Option<AbortCause>) {
    let after = shared.lock().release();
    // First the next in line: settling may panic in strict mode.
    after.run();
    if let Some(promise) = promise {
        match cause {
            Some(cause) => promise.abort(cause),
            None => drop(promise),
        }
    }
}

/// Future of [`Sender::reserve`].
#[must_use = "futures do nothing unless awaited"]
pub struct Reserve<'a, T> {
    sender: &'a Sender<T>,
    cx: &'a Cx,
    interrupt: Interrupt,
    line: Line<'a, T>,
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Err(cancelled) = ready!(this.interrupt.poll(this.cx, task)) {
            this.line.withdraw();
            return Poll::Ready(Err(ReserveError::Cancelled(cancelled)));
        }
        let reserved = ready!(this.line.poll(task));
        Poll::Ready(match reserved {
            Ok(()) => Ok(Permit::new(this.sender, this.cx)),
            Err(_) => Err(ReserveError::Closed),
        })
    }
}

impl<T> DropSafe for Reserve<'_, T> {}

/// Future of [`Sender::send`].
#[must_use = "futures do nothing unless awaited"]
pub struct SendValue<'a, T> {
    line: Line<'a, T>,
    cx: &'a Cx,
    interrupt: Interrupt,
    value: Option<T>,
}

// The value is only ever moved, never pinned.
impl<T> Unpin for SendValue<'_, T> {}

impl<T> Future for SendValue<'_, T> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    /// When polled after completion.
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let interrupted = ready!(this.interrupt.poll(this.cx, task));
        let value = this
            .value
            .take()
            .expect("a completed send is not polled again");
        if let Err(cancelled) = interrupted {
            this.line.withdraw();
            return Poll::Ready(Err(SendError::Cancelled(value, cancelled)));
        }
        let shared = this.line.shared();
        // With room at once nothing is reserved: one lock, and no promise to record,
        // since nothing can come between the reservation and the commit.
        let value = if this.line.is_waiting() {
            value
        } else {
            let pushed = shared.lock().push(value);
            match pushed {
                Ok(after) => {
                    after.run();
                    return Poll::Ready(Ok(()));
                }
                Err((Refusal::Closed, value)) => {
                    return Poll::Ready(Err(SendError::Closed(value)));
                }
                Err((Refusal::Full, value)) => value,
            }
        };
        match this.line.poll(task) {
            Poll::Ready(Ok(())) => Poll::Ready(fill(shared, None, value)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(SendError::Closed(value))),
            Poll::Pending => {
                this.value = Some(value);
                Poll::Pending
            }
        }
    }
}

/// Future of [`Sender::closed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a, T> {
    cx: &'a Cx,
    interrupt: Interrupt,
    watch: Watch<'a, T>,
}

impl<T> Future for Closed<'_, T> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Err(cancelled) = ready!(this.interrupt.poll(this.cx, task)) {
            this.watch.withdraw();
            return Poll::Ready(Err(cancelled));
        }
        this.watch.poll(task).map(Ok)
    }
}

impl<T> DropSafe for Closed<'_, T> {}

/// The receiving end: there is one.
///
/// Dropping it drops what is queued, and tells the senders.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Waits for the next value.
    ///
    /// # Cancellation
    /// Safe: either a value is returned, or all values stay queued. To receive
    /// the rest while cancelling, use `recv(cx.cleanup())`.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when everything was received and nothing more will
    /// come, [`RecvError::Cancelled`] when the task was asked to cancel.
    pub fn recv<'a>(&'a mut self, cx: &'a Cx) -> Recv<'a, T> {
        Recv(Receiving::new(&self.shared, cx))
    }

    /// Takes the next value if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether to come back later.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.shared.pop() {
            Popped::Value(value, _) => Ok(value),
            Popped::Empty | Popped::NeedsWaker => Err(TryRecvError::Empty),
            Popped::Closed => Err(TryRecvError::Closed),
        }
    }

    /// The poll form of [`Receiver::recv`], for use inside a future or stream of
    /// one's own: it observes no cancellation, and `None` is the end.
    pub fn poll_recv(&mut self, task: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_pop(task)
    }

    /// Lets nobody send any more, except into places already reserved; what is
    /// queued or comes from these can still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Takes everything that is queued at the moment.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = T> + use<T> {
        let mut wake = Vec::new();
        let values = self.shared.lock().drain(&mut wake);
        wake.into_iter().for_each(Waker::wake);
        values.into_iter()
    }

    /// Whether nothing further can be sent: the receiver closed the channel.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }

    /// How many values fit.
    pub fn capacity(&self) -> usize {
        self.shared.lock().capacity()
    }

    /// How many values are queued.
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How full the channel is.
    pub fn statistics(&self) -> Statistics {
        statistics(&self.shared)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("channel", &self.statistics())
            .finish()
    }
}

/// Future of [`Receiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T>(Receiving<'a, T>);

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(task)
    }
}

impl<T> DropSafe for Recv<'_, T> {}
