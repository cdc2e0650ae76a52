//! The receiving end of a queue with acknowledgement.

use super::super::ends::end;
use super::super::waiting::{Wait, Waiting};
use super::state::Taken;
use super::{Ack, DeadLetter, RecvError, Shared, State, Statistics, TryRecvError};
use crate::cx::{Cx, DropSafe};
use crate::exec::lock;
use crate::types::time::Time;
use crate::wait::Ticket;
use crate::world::TimerKey;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The receiving end; clone it for further receivers, which share the messages.
///
/// When the last one is dropped, what was not delivered is dropped with it, and
/// senders get their values back.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Clone> Receiver<T> {
    /// Waits for a message: a clone of it to work with, and the duty to commit it
    /// or hand it back.
    ///
    /// It ends only when every message was committed or is a dead letter; who
    /// waits for that end must not hold an [`Ack`].
    ///
    /// # Cancellation
    /// Safe: either a message is returned, or it stays queued and goes to the
    /// next receiver.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when nothing is left and nothing more will come,
    /// [`RecvError::Cancelled`] when the task was asked to cancel.
    pub fn recv<'a>(&'a self, cx: &'a Cx) -> Recv<'a, T> {
        let wait = Receiving {
            shared: &self.shared,
            cx,
            ticket: None,
            alarm: None,
        };
        Recv(Waiting::new(cx, wait))
    }

    /// Takes a message if there is one for which nobody waits.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether to come back later.
    pub fn try_recv(&self, cx: &Cx) -> Result<(T, Ack<T>), TryRecvError> {
        self.shared.ripen(cx);
        let taken = lock(&self.shared.state).take();
        match taken {
            Taken::Message(message) => {
                let ack = Ack::new(&self.shared, message, cx);
                Ok((ack.value().clone(), ack))
            }
            Taken::Empty(_) | Taken::NeedsWaker => Err(TryRecvError::Empty),
            Taken::Closed => Err(TryRecvError::Closed),
        }
    }
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Receiver { shared }
    }

    /// Lets nobody send any more, except into places already reserved; what is
    /// there, or comes from these, is still delivered.
    pub fn close(&self) {
        self.shared.apply(State::close);
    }

    /// Takes the dead letters that are there, oldest first; their places are free then.
    pub fn dead_letters(&self) -> impl ExactSizeIterator<Item = DeadLetter<T>> + use<T> {
        self.shared.take_dead().into_iter()
    }
}

impl<T> Shared<T> {
    /// Lets become due what is due by now.
    fn ripen(&self, cx: &Cx) {
        if self.delays {
            let now = cx.now();
            self.apply(|state| state.ripen(now));
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        lock(&self.shared.state).add_receiver();
        Receiver::new(self.shared.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.apply(State::drop_receiver);
    }
}

end!(Receiver, "queue");

/// Future of [`Receiver::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T: Clone>(Waiting<'a, Receiving<'a, T>>);

struct Receiving<'a, T> {
    shared: &'a Arc<Shared<T>>,
    cx: &'a Cx,
    ticket: Option<Ticket>,
    /// For the message that is due next, and when that is.
    alarm: Option<(Time, TimerKey)>,
}

impl<T> Receiving<'_, T> {
    fn forget_alarm(&mut self) {
        if let Some((_, timer)) = self.alarm.take() {
            self.cx.world().timer_cancel(timer);
        }
    }

    /// Sets the alarm for `due`; `false` when that has passed.
    fn set_alarm(&mut self, due: Time, task: &Context<'_>) -> bool {
        let world = self.cx.world();
        if let Some((set, timer)) = self.alarm
            && set == due
            && world.timer_update(timer, task.waker())
        {
            return true;
        }
        self.forget_alarm();
        if self.cx.now() >= due {
            return false;
        }
        let timer = self.cx.world().timer_set(due, task.waker());
        self.alarm = Some((due, timer));
        true
    }
}

impl<T: Clone> Wait for Receiving<'_, T> {
    type Output = Result<(T, Ack<T>), RecvError>;

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut fresh = None;
        loop {
            self.shared.ripen(self.cx);
            let taken =
                lock(&self.shared.state).take_or_wait(&mut self.ticket, task.waker(), &mut fresh);
            match taken {
                Taken::Message(message) => {
                    self.forget_alarm();
                    // First the `Ack`: should the clone panic, the message goes back.
                    let ack = Ack::new(self.shared, message, self.cx);
                    return Poll::Ready(Ok((ack.value().clone(), ack)));
                }
                Taken::Closed => {
                    self.forget_alarm();
                    return Poll::Ready(Err(RecvError::Closed));
                }
                Taken::NeedsWaker => fresh = Some(task.waker().clone()),
                Taken::Empty(Some(due)) if !self.set_alarm(due, task) => {}
                Taken::Empty(_) => return Poll::Pending,
            }
        }
    }

    fn withdraw(&mut self) {
        self.forget_alarm();
        if let Some(ticket) = self.ticket.take() {
            let after = lock(&self.shared.state).withdraw(ticket);
            after.run();
        }
    }
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<(T, Ack<T>), RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let received = self.get_mut().0.poll(task);
        received.map(|r| r.unwrap_or_else(|cancelled| Err(RecvError::Cancelled(cancelled))))
    }
}

impl<T: Clone> DropSafe for Recv<'_, T> {}
