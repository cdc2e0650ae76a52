//! asupersync, with worker threads or on the calling thread.
//!
//! Every task here is owned by a region, can be asked to cancel at every wait,
//! and is counted in the region's report; none of that can be switched off.

use super::{Engine, FAR, Roll, Wait};
use asupersync::channel::{mpsc, oneshot};
use asupersync::sync::{Mutex, Semaphore};
use asupersync::{Cx, Runtime, TaskHandle};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// An asupersync runtime.
pub struct Asupersync(Runtime);

impl Asupersync {
    /// With `workers` threads; 0 stands for the current-thread flavour.
    pub fn new(workers: usize) -> Self {
        let builder = Runtime::builder();
        let builder = match workers {
            0 => builder.current_thread(),
            _ => builder.worker_threads(workers),
        };
        Asupersync(builder.build().expect("the system has room for a runtime"))
    }
}

/// A task handle whose task ends well.
pub struct Joined<T>(TaskHandle<T>);

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let outcome = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(
            outcome
                .into_result()
                .expect("tasks of a benchmark end well"),
        )
    }
}

impl Engine for Asupersync {
    type Cx = Cx;
    type Join<T: Send + 'static> = Joined<T>;
    type Tx<T: Send + 'static> = mpsc::Sender<T>;
    type Rx<T: Send + 'static> = mpsc::Receiver<T>;
    type OneTx<T: Send + 'static> = oneshot::Sender<T>;
    type OneRx<T: Send + 'static> = oneshot::Receiver<T>;
    type Mutex = Mutex<u32>;
    type Semaphore = Semaphore;

    fn block_on<T, F, Fut>(&self, body: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let ended = self
            .0
            .block_on(async move |scope| body(Cx::clone(&scope)).await);
        ended.expect("tasks of a benchmark end well")
    }

    fn spawn<T, F, Fut>(cx: &Cx, body: F) -> Joined<T>
    where
        T: Send + 'static,
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        Joined(cx.spawn(body))
    }

    fn detach<T: Send + 'static>(task: Joined<T>) {
        drop(task);
    }

    async fn yield_now(cx: &Cx) {
        cx.yield_now().await.expect(UNCANCELLED);
    }

    async fn sleep(cx: &Cx, d: Duration) {
        cx.sleep(d).await.expect(UNCANCELLED);
    }

    async fn timeout<F: Future + Send>(cx: &Cx, d: Duration, fut: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        // What the peers do: the future is dropped when the time is up.
        cx.timeout_drop(d, fut).await.ok()
    }

    fn channel<T: Send + 'static>(capacity: usize) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        mpsc::channel(capacity)
    }

    async fn send<T: Send + 'static>(cx: &Cx, tx: &mpsc::Sender<T>, value: T) {
        let sent = tx.send(cx, value).await;
        assert!(sent.is_ok(), "the receiver lives");
    }

    fn send_from_outside<T: Send + 'static>(tx: &mpsc::Sender<T>, value: T) {
        assert!(tx.try_send(value).is_ok(), "there is room");
    }

    async fn recv<T: Send + 'static>(cx: &Cx, rx: &mut mpsc::Receiver<T>) -> Option<T> {
        rx.recv(cx).await.ok()
    }

    fn oneshot<T: Send + 'static>() -> (oneshot::Sender<T>, oneshot::Receiver<T>) {
        oneshot::channel()
    }

    fn send_one<T: Send + 'static>(tx: oneshot::Sender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver lives");
    }

    async fn recv_one<T: Send + 'static>(cx: &Cx, mut rx: oneshot::Receiver<T>) -> T {
        rx.recv(cx).await.expect("the sender sends")
    }

    fn mutex() -> Mutex<u32> {
        Mutex::new(0)
    }

    async fn count_locked(cx: &Cx, mutex: &Mutex<u32>, yields: bool) {
        let mut count = mutex.lock(cx).await.expect(UNCANCELLED);
        *count += 1;
        if yields {
            Self::yield_now(cx).await;
        }
    }

    fn counted(mutex: Mutex<u32>) -> u32 {
        mutex.into_inner()
    }

    fn semaphore(permits: usize) -> Semaphore {
        Semaphore::new(permits)
    }

    async fn permitted(cx: &Cx, semaphore: &Semaphore, yields: bool) {
        let _permit = semaphore.acquire(cx, 1).await.expect(UNCANCELLED);
        if yields {
            Self::yield_now(cx).await;
        }
    }

    async fn crowd<F, Fut>(cx: &Cx, n: u32, wait: Wait, at_rest: F)
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = ()> + Send,
    {
        let roll = Roll::default();
        let ended = cx.region(async |scope| {
            for _ in 0..n {
                let roll = roll.clone();
                let task = match wait {
                    Wait::Pending => scope.spawn(async move |cx: Cx| {
                        roll.call();
                        cx.cancelled().await;
                    }),
                    Wait::Sleeping => scope.spawn(async move |cx: Cx| {
                        roll.call();
                        cx.sleep(FAR)
                            .await
                            .expect_err("it is cancelled long before");
                    }),
                };
                // Its region owns it.
                drop(task);
            }
            roll.complete::<Self>(&scope, n).await;
            at_rest().await;
            scope.close();
        });
        // The region has closed only when all its tasks are gone.
        ended.await.expect("to be stopped is no failure");
    }
}

const UNCANCELLED: &str = "nobody cancels a task of this benchmark";
