//! Streams in memory: from one task to another, or from a test to what it tests.

use futures_io::{AsyncRead, AsyncWrite};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Two streams that are connected to each other, each direction with room for
/// `capacity` bytes, at least one.
///
/// They need no network and no capability, are the same in the lab, and have no
/// addresses: for a test of anything that takes an `AsyncRead + AsyncWrite`, and
/// for tasks of one process that speak a protocol of bytes.
/// [`UnixStream::pair`](crate::net::UnixStream::pair) has latency and cuts in the lab.
///
/// ```
/// use asupersync::io::{ReadExt, WriteExt, duplex};
/// use asupersync::{LabConfig, LabRuntime, Scope};
///
/// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
///     let (mut here, mut there) = duplex(64);
///     here.write_all(&cx, b"ping").await.unwrap();
///     let mut buf = [0; 4];
///     there.read_exact(&cx, &mut buf).await.unwrap();
///     assert_eq!(&buf, b"ping");
///     drop(here);
///     assert_eq!(there.read(&cx, &mut buf).await.unwrap(), 0);
/// });
/// ```
pub fn duplex(capacity: usize) -> (DuplexStream, DuplexStream) {
    let (there_read, here_write) = simplex(capacity);
    let (here_read, there_write) = simplex(capacity);
    let stream = |read, write| DuplexStream { read, write };
    (
        stream(here_read, here_write),
        stream(there_read, there_write),
    )
}

/// One direction of [`duplex`], with room for `capacity` bytes, at least one.
pub fn simplex(capacity: usize) -> (SimplexReader, SimplexWriter) {
    let pipe = Pipe {
        bytes: VecDeque::new(),
        capacity: capacity.max(1),
        ended: false,
        unread: false,
        reader: None,
        writer: None,
    };
    let shared = Arc::new(Mutex::new(pipe));
    (SimplexReader(Arc::clone(&shared)), SimplexWriter(shared))
}

/// A stream in memory; made by [`duplex`]. Dropping it ends both directions.
#[derive(Debug)]
pub struct DuplexStream {
    read: SimplexReader,
    write: SimplexWriter,
}

/// What is read comes from its [`SimplexWriter`]; made by [`simplex`]. Once it is
/// dropped, writing fails with `BrokenPipe`.
pub struct SimplexReader(Arc<Mutex<Pipe>>);

/// What is written goes to its [`SimplexReader`]; made by [`simplex`]. Shutting
/// it down, or dropping it, is the end of the stream.
pub struct SimplexWriter(Arc<Mutex<Pipe>>);

struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Nothing more is written.
    ended: bool,
    /// Nothing more is read.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Only bytes are moved and wakers stored under the lock.
fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes with no lock held.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Runs `step`; if it is not ready, its waker is in the slot.
fn poll<T>(
    pipe: &Mutex<Pipe>,
    task: &Context<'_>,
    slot: fn(&mut Pipe) -> &mut Option<Waker>,
    step: impl FnOnce(&mut Pipe) -> Option<(T, Option<Waker>)>,
) -> Poll<T> {
    let waker = task.waker().clone();
    let mut pipe = lock(pipe);
    match step(&mut pipe) {
        Some((done, other)) => {
            drop(pipe);
            wake(other);
            Poll::Ready(done)
        }
        None => {
            let replaced = slot(&mut pipe).replace(waker);
            drop(pipe);
            drop(replaced);
            Poll::Pending
        }
    }
}

impl AsyncRead for SimplexReader {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll(
            &self.0,
            task,
            |pipe| &mut pipe.reader,
            |pipe| {
                if pipe.bytes.is_empty() && !pipe.ended && !buf.is_empty() {
                    return None;
                }
                let read = pipe.bytes.read(buf);
                Some((read, pipe.writer.take()))
            },
        )
    }
}

impl AsyncWrite for SimplexWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll(
            &self.0,
            task,
            |pipe| &mut pipe.writer,
            |pipe| {
                if pipe.unread || pipe.ended {
                    return Some((Err(io::ErrorKind::BrokenPipe.into()), None));
                }
                let n = buf.len().min(pipe.capacity - pipe.bytes.len());
                if n == 0 && !buf.is_empty() {
                    return None;
                }
                pipe.bytes.extend(&buf[..n]);
                Some((Ok(n), pipe.reader.take()))
            },
        )
    }

    /// Nothing is buffered above the pipe.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl SimplexWriter {
    fn end(&self) {
        let mut pipe = lock(&self.0);
        pipe.ended = true;
        let (reader, writer) = (pipe.reader.take(), pipe.writer.take());
        drop(pipe);
        wake(reader);
        drop(writer);
    }
}

impl Drop for SimplexWriter {
    fn drop(&mut self) {
        self.end();
    }
}

impl Drop for SimplexReader {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        pipe.unread = true;
        let bytes = std::mem::take(&mut pipe.bytes);
        let (reader, writer) = (pipe.reader.take(), pipe.writer.take());
        drop(pipe);
        drop((bytes, reader));
        wake(writer);
    }
}

impl AsyncRead for DuplexStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.read).poll_read(task, buf)
    }
}

impl AsyncWrite for DuplexStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(task, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(task)
    }

    fn poll_close(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_close(task)
    }
}

macro_rules! debug {
    ($($t:ident)*) => {$(
        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let buffered = lock(&self.0).bytes.len();
                f.debug_struct(stringify!($t)).field("buffered", &buffered).finish()
            }
        }
    )*};
}
debug!(SimplexReader SimplexWriter);
