//! The end that answers.

use super::super::mpsc;
use super::super::oneshot;
use super::{Answer, Question, RecvError, Statistics, TryRecvError};
use crate::cx::{Cx, DropSafe};
use crate::exec::obligation::Obligation;
use crate::types::obligation::{AbortCause, ObligationKind};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The end that answers. Dropping it, or closing it, ends the calls it has not received.
pub struct Server<Q, A> {
    questions: mpsc::Receiver<Question<Q, A>>,
}

impl<Q, A> Server<Q, A> {
    pub(super) fn new(questions: mpsc::Receiver<Question<Q, A>>) -> Self {
        Server { questions }
    }

    /// Waits for the next question; those whose callers are gone are passed over.
    ///
    /// # Cancellation
    /// Safe: either a question is returned, or all of them stay queued.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when every question was received and no client is
    /// left, [`RecvError::Cancelled`] when the task was asked to cancel.
    pub fn recv<'a>(&'a mut self, cx: &'a Cx) -> Recv<'a, Q, A> {
        Recv {
            recv: self.questions.recv(cx),
            cx,
        }
    }

    /// Takes the next question if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether to come back later.
    pub fn try_recv(&mut self, cx: &Cx) -> Result<(Q, Reply<A>), TryRecvError> {
        loop {
            let question = self.questions.try_recv()?;
            if let Some(received) = receive(question, cx) {
                return Ok(received);
            }
        }
    }

    /// Takes no further question; those queued can still be received.
    pub fn close(&mut self) {
        self.questions.close();
    }

    /// How many questions wait.
    pub fn statistics(&self) -> Statistics {
        self.questions.statistics()
    }
}

impl<Q, A> fmt::Debug for Server<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("calls", &self.statistics())
            .finish()
    }
}

/// Takes on the duty to answer, if anybody waits for the answer.
fn receive<Q, A>(question: Question<Q, A>, cx: &Cx) -> Option<(Q, Reply<A>)> {
    let Question { question, answer } = question;
    let reply = (!answer.is_closed()).then(|| Reply {
        answer: Some(answer),
        promise: Some(cx.promise(ObligationKind::Reply)),
    })?;
    Some((question, reply))
}

/// Future of [`Server::recv`].
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, Q, A> {
    recv: mpsc::Recv<'a, Question<Q, A>>,
    cx: &'a Cx,
}

impl<Q, A> Future for Recv<'_, Q, A> {
    type Output = Result<(Q, Reply<A>), RecvError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // At most as often as the channel has places, plus those that become free meanwhile.
        loop {
            let question = ready!(Pin::new(&mut this.recv).poll(task))?;
            if let Some(received) = receive(question, this.cx) {
                return Poll::Ready(Ok(received));
            }
        }
    }
}

impl<Q, A> DropSafe for Recv<'_, Q, A> {}

/// The duty to answer a question. Dropped, the caller gets [`super::CallError::NoReply`].
///
/// A question has one answer:
///
/// ```compile_fail,E0382
/// fn twice(reply: asupersync::channel::rpc::Reply<u8>) {
///     reply.send(1).unwrap();
///     reply.send(2).unwrap();
/// }
/// ```
#[must_use = "a reply that is dropped answers `NoReply`"]
pub struct Reply<A> {
    /// Taken when the question is answered.
    answer: Option<oneshot::Sender<Answer<A>>>,
    promise: Option<Obligation>,
}

impl<A> Reply<A> {
    /// Answers.
    ///
    /// # Errors
    /// The value, when the caller is gone.
    pub fn send(mut self, value: A) -> Result<(), A> {
        let Err(back) = self.answer(Answer::Value(value)) else {
            return Ok(());
        };
        match back {
            Answer::Value(value) => Err(value),
            Answer::Declined(_) | Answer::Forgotten => unreachable!("what was sent comes back"),
        }
    }

    /// Answers that there will be no value, and why.
    pub fn decline(mut self, why: impl Into<String>) {
        // To a caller that is gone it makes no difference.
        let _ = self.answer(Answer::Declined(why.into()));
    }

    /// Whether the caller is gone, so that no answer will reach it.
    pub fn is_closed(&self) -> bool {
        self.sender().is_closed()
    }

    /// Waits until the caller is gone: to stop work that nobody wants any more.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn closed<'a>(&'a mut self, cx: &'a Cx) -> oneshot::Closed<'a, impl Sized + use<A>> {
        self.answer
            .as_mut()
            .expect("a reply holds its caller until it is used")
            .closed(cx)
    }

    /// Hands the duty over to the task of `cx`, which is the one that has it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }

    fn sender(&self) -> &oneshot::Sender<Answer<A>> {
        self.answer
            .as_ref()
            .expect("a reply holds its caller until it is used")
    }

    /// Answers, and settles the promise.
    fn answer(&mut self, answer: Answer<A>) -> Result<(), Answer<A>> {
        let sender = self
            .answer
            .take()
            .expect("a reply holds its caller until it is used");
        let sent = sender.send(answer);
        if let Some(promise) = self.promise.take() {
            match &sent {
                Ok(()) => promise.commit(),
                Err(_) => promise.abort(AbortCause::Error),
            }
        }
        sent
    }
}

impl<A> Drop for Reply<A> {
    fn drop(&mut self) {
        // The caller first: the promise, which settles itself when it is dropped
        // after this, may panic in strict mode.
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Answer::Forgotten);
        }
    }
}

impl<A> fmt::Debug for Reply<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
