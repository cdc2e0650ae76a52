//! What a runtime has to offer to be measured: one implementation of [`Engine`] per runtime.
//!
//! Rows are written once, against this trait, and compiled for each runtime
//! without boxing or dynamic calls, so that what differs is the runtime alone.
//! Every method is what a user of that runtime would write.

mod asupersync;
mod smol;
mod tokio;

pub use self::asupersync::Asupersync;
pub use self::smol::Smol;
pub use self::tokio::Tokio;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A runtime under measurement.
pub trait Engine: Sized + Send + Sync + 'static {
    /// What a task needs to reach its runtime.
    type Cx: Send + Sync + 'static;
    /// A task that was started; awaited, it gives the task's value.
    type Join<T: Send + 'static>: Future<Output = T> + Send + Unpin + 'static;
    /// The sending end of a bounded channel.
    type Tx<T: Send + 'static>: Clone + Send + Sync + 'static;
    /// Its receiving end.
    type Rx<T: Send + 'static>: Send + Sync + 'static;
    /// The sending end of a channel for one value.
    type OneTx<T: Send + 'static>: Send + 'static;
    /// Its receiving end.
    type OneRx<T: Send + 'static>: Send + 'static;

    /// A lock around a number.
    type Mutex: Send + Sync + 'static;
    /// A number of permits.
    type Semaphore: Send + Sync + 'static;

    /// Runs `body` on the calling thread.
    fn block_on<T, F, Fut>(&self, body: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Self::Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static;

    /// Starts a task.
    fn spawn<T, F, Fut>(cx: &Self::Cx, body: F) -> Self::Join<T>
    where
        T: Send + 'static,
        F: FnOnce(Self::Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static;

    /// Lets a task go on without anybody waiting for it.
    fn detach<T: Send + 'static>(task: Self::Join<T>);

    /// Lets other tasks run.
    fn yield_now(cx: &Self::Cx) -> impl Future<Output = ()> + Send;

    /// Sleeps.
    fn sleep(cx: &Self::Cx, d: Duration) -> impl Future<Output = ()> + Send;

    /// Polls `fut` for at most `d`; `None` when the time was up.
    fn timeout<F: Future + Send>(
        cx: &Self::Cx,
        d: Duration,
        fut: F,
    ) -> impl Future<Output = Option<F::Output>> + Send
    where
        F::Output: Send;

    /// A channel with room for `capacity` values.
    fn channel<T: Send + 'static>(capacity: usize) -> (Self::Tx<T>, Self::Rx<T>);

    /// Sends, waiting for room.
    fn send<T: Send + 'static>(
        cx: &Self::Cx,
        tx: &Self::Tx<T>,
        value: T,
    ) -> impl Future<Output = ()> + Send;

    /// Sends from a thread of no runtime; there is room.
    fn send_from_outside<T: Send + 'static>(tx: &Self::Tx<T>, value: T);

    /// Receives; `None` once all senders are gone.
    fn recv<T: Send + 'static>(
        cx: &Self::Cx,
        rx: &mut Self::Rx<T>,
    ) -> impl Future<Output = Option<T>> + Send;

    /// A channel for one value.
    fn oneshot<T: Send + 'static>() -> (Self::OneTx<T>, Self::OneRx<T>);

    /// Sends the value.
    fn send_one<T: Send + 'static>(tx: Self::OneTx<T>, value: T);

    /// Receives the value.
    fn recv_one<T: Send + 'static>(
        cx: &Self::Cx,
        rx: Self::OneRx<T>,
    ) -> impl Future<Output = T> + Send;

    /// A lock around zero.
    fn mutex() -> Self::Mutex;

    /// Counts under the lock, and yields there if told to.
    fn count_locked(
        cx: &Self::Cx,
        mutex: &Self::Mutex,
        yields: bool,
    ) -> impl Future<Output = ()> + Send;

    /// How much was counted.
    fn counted(mutex: Self::Mutex) -> u32;

    /// A semaphore.
    fn semaphore(permits: usize) -> Self::Semaphore;

    /// Takes a permit and gives it back, and yields in between if told to.
    fn permitted(
        cx: &Self::Cx,
        semaphore: &Self::Semaphore,
        yields: bool,
    ) -> impl Future<Output = ()> + Send;

    /// Starts `n` tasks that wait for ever, awaits `at_rest` once all of them
    /// have been polled, cancels them, and returns when all of them are gone.
    fn crowd<F, Fut>(
        cx: &Self::Cx,
        n: u32,
        wait: Wait,
        at_rest: F,
    ) -> impl Future<Output = ()> + Send
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = ()> + Send;
}

/// What the tasks of a crowd wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Nothing: they have registered nowhere.
    Pending,
    /// A timer far away.
    Sleeping,
}

/// How far away the timers of a crowd are.
const FAR: Duration = Duration::from_secs(3600);

/// Counts tasks that have begun.
#[derive(Clone, Default)]
pub(crate) struct Roll(Arc<AtomicUsize>);

impl Roll {
    /// A task has begun.
    pub(crate) fn call(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until `n` have.
    pub(crate) async fn complete<E: Engine>(&self, cx: &E::Cx, n: u32) {
        while self.0.load(Ordering::Relaxed) < n as usize {
            E::yield_now(cx).await;
        }
    }
}
