//! Both ends against a naive model: what was sent, who is gone, who waits. Every
//! waker must have been woken exactly as often as the model says.

use super::{Receiver, Sender, Statistics, TryRecvError, channel};
use crate::wait::counted::Counted;
use proptest::prelude::*;
use std::sync::Arc;
use std::task::{Context, Poll};

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    /// Lets it be seen that a value is promised.
    Promise,
    DropSender,
    IsClosed,
    /// Waits for the receiver to go, with the waker it had or with another.
    Watch(bool),
    /// No longer waits for that.
    Unwatch,
    Recv(bool),
    /// No longer waits for the value.
    ForgetRecv,
    TryRecv,
    Close,
    DropReceiver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Send),
        1 => Just(Step::Promise),
        1 => Just(Step::DropSender),
        2 => Just(Step::IsClosed),
        4 => any::<bool>().prop_map(Step::Watch),
        2 => Just(Step::Unwatch),
        4 => any::<bool>().prop_map(Step::Recv),
        2 => Just(Step::ForgetRecv),
        3 => Just(Step::TryRecv),
        1 => Just(Step::Close),
        1 => Just(Step::DropReceiver),
    ]
}

/// One end's waker, and whether the channel has it.
struct Waits {
    waker: Counted,
    asleep: bool,
}

impl Waits {
    fn new() -> Self {
        let waker = Counted::new();
        Waits {
            waker,
            asleep: false,
        }
    }

    fn rebind(&mut self, other: bool) {
        if other {
            self.waker.check();
            self.waker = Counted::new();
        }
    }

    fn expect_woken(&mut self) {
        self.waker.expected += usize::from(std::mem::take(&mut self.asleep));
    }
}

/// The model beside the real thing.
struct Pair {
    tx: Option<Sender<Arc<()>>>,
    rx: Option<Receiver<Arc<()>>>,
    value: Arc<()>,
    /// Whether a value is on its way.
    sent: bool,
    promised: bool,
    closed: bool,
    sender: Waits,
    receiver: Waits,
}

impl Pair {
    fn new() -> Self {
        let (tx, rx) = channel();
        Pair {
            tx: Some(tx),
            rx: Some(rx),
            value: Arc::new(()),
            sent: false,
            promised: false,
            closed: false,
            sender: Waits::new(),
            receiver: Waits::new(),
        }
    }

    /// What the receiver finds: a value, nothing yet, or nothing ever.
    fn find(&mut self) -> Option<Option<()>> {
        if std::mem::take(&mut self.sent) {
            Some(Some(()))
        } else if self.tx.is_none() || self.closed {
            Some(None)
        } else {
            None
        }
    }

    fn check_statistics(&self) {
        let open = self.tx.is_some();
        let expected = Statistics {
            queued: self.sent,
            reserved: open && self.promised,
            waiting: open && self.receiver.asleep,
            closed: !open || self.closed,
        };
        if let Some(tx) = &self.tx {
            assert_eq!(tx.statistics(), expected);
        }
        if let Some(rx) = &self.rx {
            // One that knows that nothing will come has left.
            let over = Statistics {
                reserved: false,
                ..expected
            };
            let real = rx.statistics();
            assert!(real == expected || (expected.closed && real == over));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send => {
                let Some(tx) = self.tx.take() else { return };
                self.sender.asleep = false;
                let sent = tx.send(self.value.clone());
                assert_eq!(sent.is_err(), self.closed, "it comes back");
                self.sent = sent.is_ok();
                self.receiver.expect_woken();
            }
            Step::Promise => {
                if let Some(tx) = &mut self.tx {
                    tx.0.promise();
                    self.promised = true;
                }
            }
            Step::DropSender => {
                if self.tx.take().is_some() {
                    self.sender.asleep = false;
                    self.receiver.expect_woken();
                }
            }
            Step::IsClosed => {
                if let Some(tx) = &self.tx {
                    assert_eq!(tx.is_closed(), self.closed);
                }
            }
            Step::Watch(other) => {
                let Some(tx) = &mut self.tx else { return };
                self.sender.rebind(other);
                let task = &mut Context::from_waker(&self.sender.waker.waker);
                assert_eq!(tx.poll_closed(task).is_ready(), self.closed);
                self.sender.asleep = !self.closed;
            }
            Step::Unwatch => {
                if let Some(tx) = &mut self.tx {
                    tx.0.forget_waker();
                    self.sender.asleep = false;
                }
            }
            Step::Recv(other) => {
                let Some(mut rx) = self.rx.take() else { return };
                self.receiver.rebind(other);
                let expected = self.find();
                let task = &mut Context::from_waker(&self.receiver.waker.waker);
                match rx.poll_recv(task) {
                    Poll::Ready(found) => assert_eq!(Some(found.map(drop)), expected),
                    Poll::Pending => assert_eq!(None, expected),
                }
                self.receiver.asleep = expected.is_none();
                self.rx = Some(rx);
            }
            Step::ForgetRecv => {
                if let Some(rx) = &mut self.rx {
                    rx.0.forget_waker();
                    self.receiver.asleep = false;
                }
            }
            Step::TryRecv => {
                let Some(mut rx) = self.rx.take() else { return };
                let expected = match self.find() {
                    Some(Some(())) => Ok(()),
                    Some(None) => Err(TryRecvError::Closed),
                    None => Err(TryRecvError::Empty),
                };
                assert_eq!(rx.try_recv().map(drop), expected);
                self.rx = Some(rx);
            }
            Step::Close => {
                if let Some(rx) = &mut self.rx {
                    rx.close();
                    // Whoever closes knows that by itself, and is not woken for it.
                    self.receiver.asleep = false;
                    self.closed = true;
                    self.sender.expect_woken();
                }
            }
            Step::DropReceiver => {
                if self.rx.take().is_some() {
                    self.receiver.asleep = false;
                    self.sent = false;
                    self.closed = true;
                    self.sender.expect_woken();
                }
            }
        }
        self.sender.waker.check();
        self.receiver.waker.check();
        self.check_statistics();
        let kept = 1 + usize::from(self.sent);
        assert_eq!(Arc::strong_count(&self.value), kept, "lost or doubled");
    }
}

proptest! {
    #[test]
    fn behaves_like_the_model(steps in prop::collection::vec(step(), 0..60)) {
        let mut pair = Pair::new();
        steps.into_iter().for_each(|step| pair.step(step));
        let Pair { tx, rx, value, .. } = pair;
        drop((tx, rx));
        prop_assert_eq!(Arc::strong_count(&value), 1);
    }
}
