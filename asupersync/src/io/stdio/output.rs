//! Standard output and standard error.

use super::allowed;
use crate::cx::Cx;
use crate::types::slots::{Key, Slots};
use futures_io::AsyncWrite;
use std::io;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Bytes that may be accepted and not written: as much as a pipe holds.
const ROOM: usize = 64 * 1024;

/// How long the end of a run waits for output of which the system takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

macro_rules! streams {
    ($($make:ident $name:ident $shared:ident $what:literal;)*) => {$(
        #[doc = concat!("The standard ", $what, " of this process.")]
        ///
        /// A write is accepted as soon as there is room, 64 KiB, and written by a
        /// thread that no runtime waits for: a reader of it that does not read holds
        /// up neither a worker nor a region. An error of the system is told by the
        /// next write or flush; only a flush says that everything was written.
        ///
        /// When a run ends it waits for what was accepted, until the system has taken
        /// nothing of it for a second.
        ///
        /// # Errors
        /// `Unsupported` in the lab, where a program writes to what its test gives it.
        ///
        /// ```
        /// # let runtime = asupersync::Runtime::builder().current_thread().build().unwrap();
        /// # runtime.block_on(async |scope: asupersync::Scope| -> std::io::Result<()> {
        /// use asupersync::io::WriteExt;
        #[doc = concat!("let mut out = asupersync::io::", stringify!($make), "(&scope)?;")]
        /// out.write_all(&scope, b"hello\n").await?;
        /// out.flush(&scope).await
        /// # }).unwrap().unwrap();
        /// ```
        pub fn $make(cx: &Cx) -> io::Result<$name> {
            allowed(cx)?;
            Ok($name { place: None })
        }

        #[doc = concat!("The standard ", $what, " of this process; made by [`", stringify!($make), "`].")]
        #[derive(Debug)]
        pub struct $name {
            place: Option<Key>,
        }

        static $shared: Output = Output {
            state: Mutex::new(State {
                queue: Vec::new(),
                writing: 0,
                moves: 0,
                failed: None,
                waiting: Slots::new(),
                has_thread: false,
            }),
            work: Condvar::new(),
            moved: Condvar::new(),
            name: stringify!($make),
            sink: || Sink::new(io::$make()),
        };

        impl AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                task: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                $shared.poll_write(&mut self.get_mut().place, task, bytes)
            }

            fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
                $shared.poll_flush(&mut self.get_mut().place, task)
            }

            /// Flushes: the stream is the process's, and stays open.
            fn poll_close(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(task)
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                let stale = self.place.take().and_then(|key| $shared.lock().waiting.remove(key));
                drop(stale);
            }
        }
    )*};
}

streams! {
    stdout Stdout STDOUT "output";
    stderr Stderr STDERR "error";
}

/// Waits for what was accepted, as long as the system takes any of it.
pub(crate) fn settle() {
    STDOUT.settle();
    STDERR.settle();
}

struct Output {
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// Something was written, or has failed.
    moved: Condvar,
    name: &'static str,
    sink: fn() -> io::Result<Sink>,
}

struct State {
    queue: Vec<u8>,
    /// Bytes that the thread has taken from the queue and not written.
    writing: usize,
    /// Calls of the system that took something.
    moves: u64,
    failed: Option<io::Error>,
    waiting: Slots<Waker>,
    has_thread: bool,
}

impl State {
    fn pending(&self) -> usize {
        self.queue.len() + self.writing
    }
}

impl Output {
    fn poll_write(
        &'static self,
        place: &mut Option<Key>,
        task: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(place, task, |state| {
            let n = bytes.len().min(ROOM.saturating_sub(state.pending()));
            if n == 0 && !bytes.is_empty() {
                return None;
            }
            state.queue.extend_from_slice(&bytes[..n]);
            Some(n)
        })
    }

    fn poll_flush(
        &'static self,
        place: &mut Option<Key>,
        task: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(place, task, |state| (state.pending() == 0).then_some(()))
    }

    /// Tells an error first; then waits until `step` has something to say.
    fn poll<T>(
        &'static self,
        place: &mut Option<Key>,
        task: &Context<'_>,
        step: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<io::Result<T>> {
        let fresh = task.waker().clone();
        let mut state = self.lock();
        if let Some(e) = state.failed.take() {
            return Poll::Ready(Err(e));
        }
        if let Err(e) = self.begin(&mut state) {
            return Poll::Ready(Err(e));
        }
        let done = step(&mut state);
        let stale = match (&done, place.and_then(|key| state.waiting.get_mut(key))) {
            (Some(_), _) => place.take().and_then(|key| state.waiting.remove(key)),
            (None, Some(waker)) => Some(std::mem::replace(waker, fresh)),
            (None, None) => {
                *place = Some(state.waiting.insert(fresh));
                None
            }
        };
        drop(state);
        drop(stale);
        self.work.notify_one();
        done.map_or(Poll::Pending, |done| Poll::Ready(Ok(done)))
    }

    /// Makes the thread, the first time.
    fn begin(&'static self, state: &mut State) -> io::Result<()> {
        if !state.has_thread {
            std::thread::Builder::new()
                .name(self.name.into())
                .spawn(move || self.serve())?;
            state.has_thread = true;
        }
        Ok(())
    }

    fn serve(&self) {
        loop {
            let chunk = {
                let mut state = self.lock();
                while state.queue.is_empty() {
                    let woken = self.work.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                state.writing = state.queue.len();
                std::mem::take(&mut state.queue)
            };
            if let Err(e) = self.write(&chunk) {
                self.tell(|state| {
                    // What comes after a gap is not what was meant.
                    state.queue.clear();
                    state.writing = 0;
                    state.failed = Some(e);
                });
            }
        }
    }

    fn write(&self, mut chunk: &[u8]) -> io::Result<()> {
        let mut sink = (self.sink)()?;
        while !chunk.is_empty() {
            let n = sink.write(chunk)?;
            chunk = &chunk[n..];
            self.tell(|state| state.writing -= n);
        }
        Ok(())
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = self.lock();
            change(&mut state);
            state.moves += 1;
            state.waiting.drain()
        };
        self.moved.notify_all();
        waiting.into_iter().for_each(Waker::wake);
    }

    fn settle(&self) {
        let mut state = self.lock();
        while state.pending() > 0 {
            let moves = state.moves;
            let (woken, waited) = self
                .moved
                .wait_timeout(state, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() && woken.moves == moves {
                return;
            }
            state = woken;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Wakers are cloned and dropped outside, so nothing can panic inside.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
use unix::Sink;

#[cfg(unix)]
mod unix {
    use super::super::ready;
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::fd::AsFd;

    /// Where the bytes go; nowhere, if the stream was closed.
    pub(super) struct Sink(Option<File>);

    impl Sink {
        pub(super) fn new(stream: impl AsFd) -> io::Result<Self> {
            ready::own(stream).map(Sink)
        }

        /// Writes some bytes, at least one.
        pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Some(file) = &mut self.0 else {
                return Ok(bytes.len());
            };
            loop {
                match file.write(bytes) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => return Ok(n),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    // Who shares the descriptor has made it so.
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        ready::wait([(file.as_fd(), libc::POLLOUT)])?;
                    }
                    Err(e) => return Err(e),
                }
            }
        }
    }
}

#[cfg(not(unix))]
use other::Sink;

#[cfg(not(unix))]
mod other {
    use std::io::{self, Write};

    pub(super) struct Sink(Box<dyn Write>);

    impl Sink {
        pub(super) fn new(stream: impl Write + 'static) -> io::Result<Self> {
            Ok(Sink(Box::new(stream)))
        }

        pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = self.0.write(bytes)?;
            self.0.flush()?;
            Ok(n)
        }
    }
}
