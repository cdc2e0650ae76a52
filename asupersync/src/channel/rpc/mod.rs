//! Questions and answers: every call is answered exactly once, by a value or an error.
//!
//! The server gets each question with a [`Reply`], a duty to answer. However the
//! server fails - it forgets the reply, panics, is cancelled, goes away - the
//! caller hears of it; and a caller with a deadline stops waiting by itself.
//!
//! ```
//! use asupersync::channel::rpc;
//! use asupersync::{Cx, Runtime, Scope};
//!
//! let runtime = Runtime::builder().current_thread().build().unwrap();
//! let answer = runtime.block_on(async |cx: Scope| {
//!     let (client, mut server) = rpc::rpc::<u32, u32>(8);
//!     cx.spawn(async move |cx: Cx| {
//!         while let Ok((n, reply)) = server.recv(&cx).await {
//!             match n.checked_mul(2) {
//!                 // The caller may be gone: nothing is lost but the answer.
//!                 Some(twice) => drop(reply.send(twice)),
//!                 None => reply.decline("too large"),
//!             }
//!         }
//!     });
//!     client.call(&cx, 21).await
//! });
//! assert_eq!(answer.unwrap(), Ok(42));
//! ```
//!
//! | what happens                                             | what the caller gets          |
//! |----------------------------------------------------------|-------------------------------|
//! | [`Reply::send`]                                          | the value                     |
//! | [`Reply::decline`]                                       | [`CallError::Declined`]       |
//! | the [`Reply`] is dropped                                 | [`CallError::NoReply`]        |
//! | the server is gone, or closes, before it has the question | [`CallError::Closed`]        |
//! | the caller is asked to cancel because of a deadline      | [`CallError::Timeout`]        |
//! | the caller is asked to cancel for another reason         | [`CallError::Cancelled`]      |

mod error;
mod server;

pub use super::error::{RecvError, TryRecvError};
pub use super::mpsc::Statistics;
pub use error::CallError;
pub use server::{Recv, Reply, Server};

use super::lent::Lent;
use super::mpsc::{self, SendError};
use super::oneshot;
use crate::cx::Cx;
use crate::types::cancel_class::CancelClass;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

/// What happens to each operation that is cancelled or dropped half-way.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Client::call", CancelClass::Lossy),
    ("Client::closed", CancelClass::Safe),
    ("Server::recv", CancelClass::Safe),
    ("Reply::closed", CancelClass::Safe),
];

/// A channel on which up to `capacity` questions wait for the server.
///
/// # Panics
/// If `capacity` is 0.
pub fn rpc<Q, A>(capacity: usize) -> (Client<Q, A>, Server<Q, A>) {
    let (calls, questions) = mpsc::channel(capacity);
    (Client { calls }, Server::new(questions))
}

/// A question on its way.
struct Question<Q, A> {
    question: Q,
    answer: oneshot::Sender<Answer<A>>,
}

/// What comes back; nothing at all when the question never reached the server.
enum Answer<A> {
    Value(A),
    Declined(String),
    Forgotten,
}

/// The end that asks; clone it for further callers.
pub struct Client<Q, A> {
    calls: mpsc::Sender<Question<Q, A>>,
}

impl<Q, A> Client<Q, A> {
    /// Asks, and waits for the answer. One allocation per call.
    ///
    /// For a deadline, call inside of [`Cx::timeout`] or of a region with one.
    ///
    /// # Cancellation
    /// Lossy: the question is withdrawn if the server has not received it; else it is
    /// answered to nobody, and the server can tell ([`Reply::is_closed`]).
    ///
    /// # Errors
    /// [`CallError`]; see the table of the module.
    pub async fn call(&self, cx: &Cx, question: Q) -> Result<A, CallError> {
        let (answer, mut answered) = oneshot::channel();
        let sent = self.calls.send(cx, Question { question, answer }).await;
        match sent {
            Ok(()) => {}
            Err(SendError::Closed(_)) => return Err(CallError::Closed),
            Err(SendError::Cancelled(_, cancelled)) => return Err(cancelled.into()),
        }
        match self.answer(cx, &mut answered).await {
            Ok(Answer::Value(value)) => Ok(value),
            Ok(Answer::Declined(why)) => Err(CallError::Declined(why)),
            Ok(Answer::Forgotten) => Err(CallError::NoReply),
            // Dropped with the queue, unseen.
            Err(oneshot::RecvError::Closed) => Err(CallError::Closed),
            Err(oneshot::RecvError::Cancelled(cancelled)) => Err(cancelled.into()),
        }
    }

    /// Waits for the answer; the server borrows the urgency of who waits.
    async fn answer(
        &self,
        cx: &Cx,
        answered: &mut oneshot::Receiver<Answer<A>>,
    ) -> Result<Answer<A>, oneshot::RecvError> {
        let mut recv = answered.recv(cx);
        let mut lent = Lent::default();
        poll_fn(|task| {
            let answer = Pin::new(&mut recv).poll(task);
            if answer.is_pending() {
                lent.to(|| self.calls.consumer(), cx);
            }
            answer
        })
        .await
    }

    /// Waits until the server takes no further question.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    ///
    /// # Errors
    /// When the task was asked to cancel.
    pub fn closed<'a>(&'a self, cx: &'a Cx) -> mpsc::Closed<'a, impl Sized + use<Q, A>> {
        self.calls.closed(cx)
    }

    /// Whether the server takes no further question.
    pub fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    /// How many questions wait for the server.
    pub fn statistics(&self) -> Statistics {
        self.calls.statistics()
    }

    /// Whether both ask the same server.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.calls.same_channel(&other.calls)
    }
}

impl<Q, A> Clone for Client<Q, A> {
    fn clone(&self) -> Self {
        Client {
            calls: self.calls.clone(),
        }
    }
}

impl<Q, A> fmt::Debug for Client<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("calls", &self.statistics())
            .finish()
    }
}
