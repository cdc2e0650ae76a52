//! How soon each wait notices that its task was asked to cancel: a table, and
//! the law that follows from it.
//!
//! A request wakes its task. From that poll on, every primitive needs a bounded
//! number of polls until it fails with `Cancelled`, and lets a bounded number of
//! checkpoints pass under masks of its own. So, *given* fair scheduling and
//! polls that return,
//!
//! > cleanup polls ≥ mask × bound × steps ⇒ the task acknowledges in time,
//!
//! where *mask* is the most checkpoints that a mask lets pass (at least one),
//! *bound* the largest number in the table, and *steps* how many such waits the
//! task begins in its cleanup.
//!
//! `docs/responsiveness.md` is this table; `tests/responsiveness.rs` measures
//! each row, in the lab if that has such a wait, and has no catch-all: a new
//! primitive does not compile there until it is measured.

/// How long a primitive may take to notice a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bound {
    /// Polls from the wake to `Err(Cancelled)`, that one included; `None` when
    /// nothing bounds them.
    pub polls: Option<u32>,
    /// Checkpoints that the primitive itself lets pass under a mask.
    pub mask: u32,
}

impl Bound {
    /// The first poll after the wake fails; no mask.
    const AT_ONCE: Bound = Bound {
        polls: Some(1),
        mask: 0,
    };
    /// The wait ends when what is awaited does, and not before.
    const NEVER: Bound = Bound {
        polls: None,
        mask: 0,
    };
}

/// Declares the primitives with their names and bounds: one table, from which
/// the enum and the constant derive.
macro_rules! primitives {
    ($($(#[doc = $doc:literal])+ $primitive:ident, $name:literal, $bound:expr;)+) => {
        /// A wait of this library.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Primitive {
            $($(#[doc = $doc])+ $primitive,)+
        }

        impl Primitive {
            /// As it is written in a program.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Primitive::$primitive => $name,)+
                }
            }
        }

        /// Every wait of this library, and how soon it notices a request.
        ///
        /// ```
        /// use asupersync::{Primitive, RESPONSIVENESS};
        /// let (_, bound) = RESPONSIVENESS.iter().find(|(p, _)| *p == Primitive::Sleep).unwrap();
        /// assert_eq!(bound.polls, Some(1));
        /// ```
        pub const RESPONSIVENESS: &[(Primitive, Bound)] =
            &[$((Primitive::$primitive, $bound)),+];
    };
}

primitives! {
    /// Letting others run.
    YieldNow, "cx.yield_now()", Bound::AT_ONCE;
    /// Waiting for the request itself.
    WaitCancelled, "cx.cancelled()", Bound::AT_ONCE;
    /// Waiting for the end of a linked task.
    LinkedExit, "cx.linked_exit()", Bound::AT_ONCE;
    /// Any future that is made a wait.
    Cancellable, "cx.cancellable(future)", Bound::AT_ONCE;
    /// Waiting for the clock.
    Sleep, "cx.sleep(duration)", Bound::AT_ONCE;
    /// Waiting for a tick.
    Tick, "interval.tick(&cx)", Bound::AT_ONCE;
    /// Polling something only until a deadline.
    TimeoutDrop, "cx.timeout_drop(duration, future)", Bound::AT_ONCE;
    /// Waiting for a task.
    Join, "handle.join(&cx)", Bound::AT_ONCE;
    /// Waiting for the next of a set of tasks.
    JoinNext, "set.join_next(&cx)", Bound::AT_ONCE;
    /// Waiting for all of a set of tasks.
    JoinAll, "set.join_all(&cx)", Bound::AT_ONCE;
    /// Waiting for a task, or for a closure on the blocking pool, without a checkpoint.
    Handle, "handle.await", Bound::NEVER;
    /// Waiting for room in a channel.
    Reserve, "mpsc::Sender::reserve(&cx)", Bound::AT_ONCE;
    /// Waiting for room in a channel with a value in hand.
    Send, "mpsc::Sender::send(&cx, value)", Bound::AT_ONCE;
    /// Waiting for a value.
    Recv, "mpsc::Receiver::recv(&cx)", Bound::AT_ONCE;
    /// Waiting for the one value.
    RecvOnce, "oneshot::Receiver::recv(&cx)", Bound::AT_ONCE;
    /// Waiting for values.
    RecvMany, "mpsc::Receiver::recv_many(&cx, buffer, limit)", Bound::AT_ONCE;
    /// Waiting for a channel to close.
    Closed, "mpsc::Sender::closed(&cx)", Bound::AT_ONCE;
    /// Waiting for what everybody gets.
    RecvBroadcast, "broadcast::Receiver::recv(&cx)", Bound::AT_ONCE;
    /// Waiting for another value.
    Changed, "watch::Receiver::changed(&cx)", Bound::AT_ONCE;
    /// Waiting for a wanted value.
    WaitFor, "watch::Receiver::wait_for(&cx, wanted)", Bound::AT_ONCE;
    /// Waiting for a message to acknowledge.
    RecvAck, "ack_queue::Receiver::recv(&cx)", Bound::AT_ONCE;
    /// Waiting for an answer.
    Call, "rpc::Client::call(&cx, question)", Bound::AT_ONCE;
    /// Waiting for a question.
    RecvQuestion, "rpc::Server::recv(&cx)", Bound::AT_ONCE;
    /// Waiting for a lock.
    Lock, "Mutex::lock(&cx)", Bound::AT_ONCE;
    /// Waiting to read.
    Read, "RwLock::read(&cx)", Bound::AT_ONCE;
    /// Waiting to write.
    Write, "RwLock::write(&cx)", Bound::AT_ONCE;
    /// Waiting for permits.
    Acquire, "Semaphore::acquire(&cx, n)", Bound::AT_ONCE;
    /// Waiting for a loan.
    Loan, "Pool::get(&cx)", Bound::AT_ONCE;
    /// Waiting for the other tasks.
    Barrier, "Barrier::wait(&cx)", Bound::AT_ONCE;
    /// Waiting for a notification.
    Notified, "Notify::notified(&cx)", Bound::AT_ONCE;
    /// Waiting for another's initialiser.
    Init, "OnceCell::get_or_init(&cx, init)", Bound::AT_ONCE;
    /// Waiting until somebody else has made a value.
    WaitMade, "OnceCell::wait(&cx)", Bound::AT_ONCE;
    /// Waiting for the answer of an address.
    Connect, "TcpStream::connect(&cx, address)", Bound::AT_ONCE;
    /// Waiting for a connection.
    Accept, "TcpListener::accept(&cx)", Bound::AT_ONCE;
    /// Waiting for bytes.
    ReadBytes, "ReadExt::read(&cx, buffer)", Bound::AT_ONCE;
    /// Waiting until the other end has room for bytes.
    WriteBytes, "WriteExt::write_all(&cx, bytes)", Bound::AT_ONCE;
    /// Waiting for a datagram.
    RecvDatagram, "UdpSocket::recv_from(&cx, buffer)", Bound::AT_ONCE;
    /// Waiting for a frame.
    NextFrame, "Framed::next(&cx)", Bound::AT_ONCE;
    /// Waiting for a value of a stream.
    NextValue, "StreamExt::next(&cx)", Bound::AT_ONCE;
    /// Waiting for a signal.
    HearSignal, "signal::Signal::recv(&cx)", Bound::AT_ONCE;
    /// Waiting for a place behind a bulkhead.
    EnterBulkhead, "Bulkhead::run(&cx, body)", Bound::AT_ONCE;
    /// Waiting for a turn of a rate limit.
    TakeTurn, "RateLimit::acquire(&cx)", Bound::AT_ONCE;
    /// Waiting for the end of another process.
    WaitChild, "process::Child::wait(&cx)", Bound::AT_ONCE;
}

/// The table as a document.
pub fn document() -> String {
    let mut text = String::from(
        "# Responsiveness\n\n\
         Polls from the wake that a request causes to `Err(Cancelled)`, and the checkpoints that the\n\
         primitive lets pass under a mask of its own. Generated from `asupersync::RESPONSIVENESS`; every\n\
         row is measured by `asupersync/tests/responsiveness.rs`.\n\n\
         *Given* fair scheduling and polls that return: when a task's cleanup polls are at least\n\
         mask × bound × steps, it acknowledges in time.\n\n\
         | wait | polls | mask |\n|---|---|---|\n",
    );
    for (primitive, bound) in RESPONSIVENESS {
        let polls = bound
            .polls
            .map_or("unbounded".to_owned(), |n| n.to_string());
        text += &format!("| `{}` | {polls} | {} |\n", primitive.name(), bound.mask);
    }
    text
}
