//! For the models: wakers that know how often they should have been woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waker and how often it should have been woken: one wake too few is a lost
/// wake, one too many wakes somebody who cannot go on.
pub(crate) struct Counted {
    count: Arc<Count>,
    pub(crate) waker: Waker,
    pub(crate) expected: usize,
}

impl Counted {
    pub(crate) fn new() -> Self {
        let count = Arc::<Count>::default();
        Counted {
            waker: count.clone().into(),
            count,
            expected: 0,
        }
    }

    pub(crate) fn woken(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) {
        assert_eq!(self.woken(), self.expected, "woken, expected");
    }
}
