//! tokio, with worker threads or on the calling thread.

use super::{Engine, FAR, Roll, Wait};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// A tokio runtime.
pub struct Tokio(Runtime);

impl Tokio {
    /// With `workers` threads; 0 stands for the current-thread flavour.
    pub fn new(workers: usize) -> Self {
        let mut builder = match workers {
            0 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        if workers > 0 {
            builder.worker_threads(workers);
        }
        Tokio(
            builder
                .enable_all()
                .build()
                .expect("the system has room for a runtime"),
        )
    }
}

/// A join handle whose task neither panics nor is aborted.
pub struct Joined<T>(JoinHandle<T>);

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let ended = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(ended.expect("tasks of a benchmark end well"))
    }
}

impl Engine for Tokio {
    type Cx = ();
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
        F: FnOnce(()) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.0.block_on(body(()))
    }

    fn spawn<T, F, Fut>((): &(), body: F) -> Joined<T>
    where
        T: Send + 'static,
        F: FnOnce(()) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        Joined(tokio::spawn(body(())))
    }

    fn detach<T: Send + 'static>(task: Joined<T>) {
        drop(task);
    }

    fn yield_now((): &()) -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    fn sleep((): &(), d: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(d)
    }

    async fn timeout<F: Future + Send>((): &(), d: Duration, fut: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        tokio::time::timeout(d, fut).await.ok()
    }

    fn channel<T: Send + 'static>(capacity: usize) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        mpsc::channel(capacity)
    }

    async fn send<T: Send + 'static>((): &(), tx: &mpsc::Sender<T>, value: T) {
        let sent = tx.send(value).await;
        assert!(sent.is_ok(), "the receiver lives");
    }

    fn send_from_outside<T: Send + 'static>(tx: &mpsc::Sender<T>, value: T) {
        assert!(tx.try_send(value).is_ok(), "there is room");
    }

    fn recv<T: Send + 'static>(
        (): &(),
        rx: &mut mpsc::Receiver<T>,
    ) -> impl Future<Output = Option<T>> + Send {
        rx.recv()
    }

    fn oneshot<T: Send + 'static>() -> (oneshot::Sender<T>, oneshot::Receiver<T>) {
        oneshot::channel()
    }

    fn send_one<T: Send + 'static>(tx: oneshot::Sender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver lives");
    }

    async fn recv_one<T: Send + 'static>((): &(), rx: oneshot::Receiver<T>) -> T {
        rx.await.expect("the sender sends")
    }

    fn mutex() -> Mutex<u32> {
        Mutex::new(0)
    }

    async fn count_locked(cx: &(), mutex: &Mutex<u32>, yields: bool) {
        let mut count = mutex.lock().await;
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

    async fn permitted(cx: &(), semaphore: &Semaphore, yields: bool) {
        let _permit = semaphore.acquire().await.expect("nobody closes it");
        if yields {
            Self::yield_now(cx).await;
        }
    }

    async fn crowd<F, Fut>(cx: &(), n: u32, wait: Wait, at_rest: F)
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = ()> + Send,
    {
        let roll = Roll::default();
        let mut tasks = Vec::with_capacity(n as usize);
        for _ in 0..n {
            let roll = roll.clone();
            tasks.push(match wait {
                Wait::Pending => tokio::spawn(async move {
                    roll.call();
                    std::future::pending::<()>().await;
                }),
                Wait::Sleeping => tokio::spawn(async move {
                    roll.call();
                    tokio::time::sleep(FAR).await;
                }),
            });
        }
        roll.complete::<Self>(cx, n).await;
        at_rest().await;
        tasks.iter().for_each(JoinHandle::abort);
        for task in tasks {
            let ended = task.await;
            assert!(ended.is_err_and(|e| e.is_cancelled()), "it waits for ever");
        }
    }
}
