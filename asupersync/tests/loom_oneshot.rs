//! Every interleaving of a sender and a receiver over the cell of a oneshot channel.
//!
//! The cell is compiled from the source of the library with the atomics and
//! cells of loom, which also sees values and wakers that are dropped twice,
//! never, or touched by two threads at once: both are counted by loom's `Arc`.

mod atomic {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
}

#[path = "../src/channel/oneshot/cell.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the library uses and exports all of it"
)]
mod cell;

use cell::{Found, Rx, Tx, pair};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::task::{Poll, RawWaker, RawWakerVTable, Waker};

/// Counts its wakes; loom finds out if a reference to it is lost.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = RawWaker::new(Arc::into_raw(count.clone()).cast(), &VTABLE);
        // SAFETY: the table below keeps `Arc`'s references as a waker has to.
        (count, unsafe { Waker::from_raw(waker) })
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: `data` is one reference, borrowed here.
        let count = std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Count>()) });
        RawWaker::new(Arc::into_raw(Arc::clone(&count)).cast(), &VTABLE)
    },
    |data| {
        // SAFETY: `data` is one reference, given up here.
        let count = unsafe { Arc::from_raw(data.cast::<Count>()) };
        count.0.fetch_add(1, Ordering::AcqRel);
    },
    |data| {
        // SAFETY: `data` is one reference, borrowed here.
        let count = std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Count>()) });
        count.0.fetch_add(1, Ordering::AcqRel);
    },
    |data| {
        // SAFETY: `data` is one reference, given up here.
        drop(unsafe { Arc::from_raw(data.cast::<Count>()) });
    },
);

/// What the sender's thread does with its end.
#[derive(Clone, Copy, Debug)]
enum Send {
    Value,
    Nothing,
    /// Waits for the receiver to go, forgets about it, and sends.
    WatchThenValue,
    /// As before, but keeps waiting, as a future that was forgotten does.
    WatchForgottenThenValue,
}

/// What the receiver's thread does with its end.
#[derive(Clone, Copy, Debug)]
enum Receive {
    Drop,
    Try,
    Close,
    /// Waits with one waker, and looks again if it was woken.
    Wait,
    /// Waits with one waker, then with another.
    WaitTwice,
    /// Waits, stops waiting, and takes what is there.
    WaitForget,
    /// Waits and goes, with the waker still there.
    WaitDrop,
    /// Waits, closes, and takes what is there.
    WaitClose,
}

/// How a value can have ended.
#[derive(PartialEq, Eq, Debug)]
enum End {
    Received,
    Back,
    /// Dropped with an end, or never sent.
    Neither,
}

fn send(mut tx: Tx<Arc<()>>, how: Send, value: Arc<()>) -> End {
    let (_count, waker) = Count::new();
    match how {
        Send::Nothing => {
            drop(tx);
            return End::Neither;
        }
        Send::Value => {}
        Send::WatchThenValue => {
            if tx.poll_closed(&waker).is_pending() {
                tx.forget_waker();
            } else {
                assert!(tx.is_closed());
            }
        }
        Send::WatchForgottenThenValue => {
            let _ = tx.poll_closed(&waker);
        }
    }
    match tx.send(value) {
        Ok(()) => End::Neither,
        Err(_) => End::Back,
    }
}

fn found(found: Found<Arc<()>>) -> End {
    match found {
        Found::Value(_) => End::Received,
        Found::Nothing | Found::Gone => End::Neither,
    }
}

fn polled(polled: Poll<Option<Arc<()>>>) -> End {
    match polled {
        Poll::Ready(Some(_)) => End::Received,
        Poll::Ready(None) | Poll::Pending => End::Neither,
    }
}

/// Receives, and says whether everything that was left to be done by a wake was done.
fn receive(mut rx: Rx<Arc<()>>, how: Receive) -> (End, Option<Sleeper>) {
    let (first, waker) = Count::new();
    match how {
        Receive::Drop => (End::Neither, None),
        Receive::Try => (found(rx.try_recv()), None),
        Receive::Close => {
            rx.close();
            (found(rx.try_recv()), None)
        }
        Receive::Wait => match rx.poll_recv(&waker) {
            Poll::Pending => (End::Neither, Some(Sleeper { rx, count: first })),
            ready => (polled(ready), None),
        },
        Receive::WaitTwice => {
            if let ready @ Poll::Ready(_) = rx.poll_recv(&waker) {
                return (polled(ready), None);
            }
            let (second, other) = Count::new();
            match rx.poll_recv(&other) {
                Poll::Pending => (End::Neither, Some(Sleeper { rx, count: second })),
                ready => (polled(ready), None),
            }
        }
        Receive::WaitForget => {
            if let ready @ Poll::Ready(_) = rx.poll_recv(&waker) {
                return (polled(ready), None);
            }
            rx.forget_waker();
            (found(rx.try_recv()), None)
        }
        Receive::WaitDrop => (polled(rx.poll_recv(&waker)), None),
        Receive::WaitClose => {
            if let ready @ Poll::Ready(_) = rx.poll_recv(&waker) {
                return (polled(ready), None);
            }
            rx.close();
            (found(rx.try_recv()), None)
        }
    }
}

/// A receiver that went to sleep, and its waker's count.
struct Sleeper {
    rx: Rx<Arc<()>>,
    count: Arc<Count>,
}

fn check(sending: Send, receiving: Receive) {
    let mut model = loom::model::Builder::new();
    if matches!(
        sending,
        Send::WatchThenValue | Send::WatchForgottenThenValue
    ) {
        // Two waits at once have too many interleavings to see all of them in an
        // ordinary test run; faults of this size show with fewer preemptions.
        model.preemption_bound = Some(2);
    }
    model.check(move || {
        let (tx, rx) = pair();
        let value = Arc::new(());
        let sent = value.clone();
        let sender = thread::spawn(move || send(tx, sending, sent));
        let (mut received, sleeper) = receive(rx, receiving);
        let sent = sender.join().unwrap();
        if let Some(Sleeper { mut rx, count }) = sleeper {
            assert_eq!(count.get(), 1, "a receiver asleep is woken, once");
            received = found(rx.try_recv());
            if !matches!(sending, Send::Nothing) {
                assert_eq!(received, End::Received, "woken for a value");
            }
        }
        assert!(
            !(received == End::Received && sent == End::Back),
            "a value has one end"
        );
        assert_eq!(Arc::strong_count(&value), 1, "and is dropped");
    });
}

/// Every way to send with every way to receive.
fn check_all(sending: Send) {
    use Receive::*;
    for receiving in [
        Drop, Try, Close, Wait, WaitTwice, WaitForget, WaitDrop, WaitClose,
    ] {
        check(sending, receiving);
    }
}

#[test]
fn a_value_is_received_returned_or_dropped_once() {
    check_all(Send::Value);
}

#[test]
fn a_sender_that_goes_wakes_the_receiver_once() {
    check_all(Send::Nothing);
}

#[test]
fn a_sender_that_watched_and_stopped_sends_as_usual() {
    check_all(Send::WatchThenValue);
}

#[test]
fn a_sender_that_forgot_its_watch_loses_no_waker() {
    check_all(Send::WatchForgottenThenValue);
}

#[test]
fn a_receiver_that_goes_wakes_the_sender_that_waits_for_it_once() {
    for close_only in [false, true] {
        loom::model(move || {
            let (mut tx, mut rx) = pair::<Arc<()>>();
            let receiver = thread::spawn(move || {
                if close_only {
                    rx.close();
                    Some(rx)
                } else {
                    drop(rx);
                    None
                }
            });
            let (first, waker) = Count::new();
            let mut last = first.clone();
            let mut waits = tx.poll_closed(&waker).is_pending();
            if waits {
                let (second, other) = Count::new();
                waits = tx.poll_closed(&other).is_pending();
                last = second;
            }
            let rx = receiver.join().unwrap();
            if waits {
                assert_eq!(last.get(), 1, "a sender asleep is woken, once");
            }
            assert!(tx.poll_closed(&waker).is_ready() && tx.is_closed());
            assert!(tx.send(Arc::new(())).is_err());
            drop(rx);
        });
    }
}
