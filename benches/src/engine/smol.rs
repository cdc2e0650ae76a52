//! smol: async-executor and async-io, on worker threads or on the calling thread.
//!
//! smol has no channel for one value of its own; the one of futures-channel is
//! what its users take.

use super::{Engine, FAR, Roll, Wait};
use async_channel::{Receiver, Sender};
use async_executor::{Executor, Task};
use async_lock::{Mutex, Semaphore};
use futures_channel::oneshot;
use std::future::Future;
use std::time::Duration;

/// An executor, and where it runs.
pub struct Smol {
    executor: &'static Executor<'static>,
    threaded: bool,
}

impl Smol {
    /// With `workers` threads; 0 stands for the thread inside `block_on`.
    pub fn new(workers: usize) -> Self {
        // As `smol::spawn` has it: the executor lives as long as the process.
        let executor: &'static Executor<'static> = Box::leak(Box::default());
        for worker in 0..workers {
            let run = move || async_io::block_on(executor.run(std::future::pending::<()>()));
            let thread = std::thread::Builder::new().name(format!("smol-{worker}"));
            thread.spawn(run).expect("the system has room for a thread");
        }
        Smol {
            executor,
            threaded: workers > 0,
        }
    }
}

impl Engine for Smol {
    type Cx = &'static Executor<'static>;
    type Join<T: Send + 'static> = Task<T>;
    type Tx<T: Send + 'static> = Sender<T>;
    type Rx<T: Send + 'static> = Receiver<T>;
    type OneTx<T: Send + 'static> = oneshot::Sender<T>;
    type OneRx<T: Send + 'static> = oneshot::Receiver<T>;
    type Mutex = Mutex<u32>;
    type Semaphore = Semaphore;

    fn block_on<T, F, Fut>(&self, body: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Self::Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        if self.threaded {
            async_io::block_on(body(self.executor))
        } else {
            async_io::block_on(self.executor.run(body(self.executor)))
        }
    }

    fn spawn<T, F, Fut>(cx: &Self::Cx, body: F) -> Task<T>
    where
        T: Send + 'static,
        F: FnOnce(Self::Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        cx.spawn(body(cx))
    }

    fn detach<T: Send + 'static>(task: Task<T>) {
        task.detach();
    }

    fn yield_now(_: &Self::Cx) -> impl Future<Output = ()> + Send {
        futures_lite::future::yield_now()
    }

    async fn sleep(_: &Self::Cx, d: Duration) {
        async_io::Timer::after(d).await;
    }

    async fn timeout<F: Future + Send>(_: &Self::Cx, d: Duration, fut: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        let late = async {
            async_io::Timer::after(d).await;
            None
        };
        futures_lite::future::or(async { Some(fut.await) }, late).await
    }

    fn channel<T: Send + 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        async_channel::bounded(capacity)
    }

    async fn send<T: Send + 'static>(_: &Self::Cx, tx: &Sender<T>, value: T) {
        let sent = tx.send(value).await;
        assert!(sent.is_ok(), "the receiver lives");
    }

    fn send_from_outside<T: Send + 'static>(tx: &Sender<T>, value: T) {
        assert!(tx.try_send(value).is_ok(), "there is room");
    }

    async fn recv<T: Send + 'static>(_: &Self::Cx, rx: &mut Receiver<T>) -> Option<T> {
        rx.recv().await.ok()
    }

    fn oneshot<T: Send + 'static>() -> (oneshot::Sender<T>, oneshot::Receiver<T>) {
        oneshot::channel()
    }

    fn send_one<T: Send + 'static>(tx: oneshot::Sender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver lives");
    }

    async fn recv_one<T: Send + 'static>(_: &Self::Cx, rx: oneshot::Receiver<T>) -> T {
        rx.await.expect("the sender sends")
    }

    fn mutex() -> Mutex<u32> {
        Mutex::new(0)
    }

    async fn count_locked(cx: &Self::Cx, mutex: &Mutex<u32>, yields: bool) {
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

    async fn permitted(cx: &Self::Cx, semaphore: &Semaphore, yields: bool) {
        let _permit = semaphore.acquire().await;
        if yields {
            Self::yield_now(cx).await;
        }
    }

    async fn crowd<F, Fut>(cx: &Self::Cx, n: u32, wait: Wait, at_rest: F)
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = ()> + Send,
    {
        let roll = Roll::default();
        let mut tasks = Vec::with_capacity(n as usize);
        for _ in 0..n {
            let roll = roll.clone();
            tasks.push(match wait {
                Wait::Pending => cx.spawn(async move {
                    roll.call();
                    std::future::pending::<()>().await;
                }),
                Wait::Sleeping => cx.spawn(async move {
                    roll.call();
                    async_io::Timer::after(FAR).await;
                }),
            });
        }
        roll.complete::<Self>(cx, n).await;
        at_rest().await;
        for task in tasks {
            let ended = task.cancel().await;
            assert!(ended.is_none(), "it waits for ever");
        }
    }
}
