//! Reading.

use super::Operation;
use super::adapters::{Chain, Take};
use super::resumable::ResumableExact;
use crate::cx::{Cx, DropSafe};
use bytes::BufMut;
use futures_io::AsyncRead;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes read into a growing buffer at once: the first read, and the most.
const GROW: std::ops::RangeInclusive<usize> = 32..=64 * 1024;

macro_rules! numbers {
    ($($name:ident -> $number:ident, $convert:ident, $what:literal;)*) => {$(
        #[doc = concat!("Reads ", $what, ".")]
        ///
        /// # Errors
        /// `UnexpectedEof` at an early end, the stream's, or one that wraps
        /// [`Cancelled`](crate::Cancelled).
        fn $name<'a>(
            &'a mut self,
            cx: &'a Cx,
        ) -> ReadNumber<'a, Self, $number, { size_of::<$number>() }>
        where
            Self: Unpin,
        {
            let (bytes, filled) = ([0; size_of::<$number>()], 0);
            let operation = Operation::default();
            ReadNumber { io: self, cx, bytes, filled, convert: $number::$convert, operation }
        }
    )*};
}
/// Reading from an [`AsyncRead`], as waits of a task.
pub trait ReadExt: AsyncRead {
    /// Reads some bytes; 0 is the end, or an empty buffer.
    ///
    /// *Cancellation.* Safe: bytes are taken only when they are returned.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn read<'a>(&'a mut self, cx: &'a Cx, buf: &'a mut [u8]) -> Read<'a, Self>
    where
        Self: Unpin,
    {
        Read {
            io: self,
            cx,
            buf,
            operation: Operation::default(),
        }
    }

    /// Reads some bytes to the end of `buf`, which grows if it can; 0 is the
    /// end, or a full buffer.
    ///
    /// *Cancellation.* Safe: bytes are taken only when they are in `buf`.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn read_buf<'a, B: BufMut + ?Sized>(
        &'a mut self,
        cx: &'a Cx,
        buf: &'a mut B,
    ) -> ReadBuf<'a, Self, B>
    where
        Self: Unpin,
    {
        ReadBuf {
            io: self,
            cx,
            buf,
            operation: Operation::default(),
        }
    }

    /// A read that fills `buf` and survives being stopped half-way.
    ///
    /// ```
    /// use asupersync::io::ReadExt;
    /// use asupersync::net::UnixStream;
    /// use asupersync::io::WriteExt;
    /// use asupersync::{LabConfig, LabRuntime, Scope};
    /// use std::time::Duration;
    ///
    /// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
    ///     let (mut here, mut there) = UnixStream::pair(&cx).unwrap();
    ///     let mut word = [0; 4];
    ///     let mut read = here.resumable_exact(&mut word);
    ///     there.write_all(&cx, b"ha").await.unwrap();
    ///     let second = Duration::from_secs(1);
    ///     assert!(cx.timeout_drop(second, read.resume(&cx)).await.is_err());
    ///     assert_eq!(read.filled(), b"ha");
    ///     there.write_all(&cx, b"lf").await.unwrap();
    ///     read.resume(&cx).await.unwrap();
    ///     assert_eq!(&word, b"half");
    /// });
    /// ```
    fn resumable_exact<'a>(&'a mut self, buf: &'a mut [u8]) -> ResumableExact<'a, Self>
    where
        Self: Unpin,
    {
        ResumableExact::new(self, buf)
    }

    /// Fills `buf`.
    ///
    /// *Cancellation.* Lossy: how much was read is not told.
    ///
    /// # Errors
    /// `UnexpectedEof` at an early end, the stream's, or one that wraps
    /// [`Cancelled`](crate::Cancelled).
    fn read_exact<'a>(&'a mut self, cx: &'a Cx, buf: &'a mut [u8]) -> ReadExact<'a, Self>
    where
        Self: Unpin,
    {
        ReadExact {
            io: self,
            cx,
            buf,
            filled: 0,
            operation: Operation::default(),
        }
    }

    /// Appends everything up to the end to `buf`; returns how much that was.
    ///
    /// *Cancellation.* Resumable: what was read is in `buf`.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn read_to_end<'a>(&'a mut self, cx: &'a Cx, buf: &'a mut Vec<u8>) -> ReadToEnd<'a, Self>
    where
        Self: Unpin,
    {
        ReadToEnd {
            io: self,
            cx,
            buf,
            read: 0,
            room: *GROW.start(),
            operation: Operation::default(),
        }
    }

    /// Appends everything up to the end, which must be UTF-8, to `text`;
    /// returns how many bytes that was.
    ///
    /// *Cancellation.* Lossy: `text` is unchanged and what was read is gone.
    ///
    /// # Errors
    /// `InvalidData` for anything but UTF-8, the stream's, or one that wraps
    /// [`Cancelled`](crate::Cancelled).
    fn read_to_string<'a>(&'a mut self, cx: &'a Cx, text: &'a mut String) -> ReadToString<'a, Self>
    where
        Self: Unpin,
    {
        let (bytes, room) = (Vec::new(), *GROW.start());
        ReadToString {
            io: self,
            cx,
            text,
            bytes,
            room,
            operation: Operation::default(),
        }
    }

    /// The first `limit` bytes of the stream.
    fn take(self, limit: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, limit)
    }

    /// This stream, and after its end the next one.
    ///
    /// ```
    /// use asupersync::io::ReadExt;
    /// use asupersync::{LabConfig, LabRuntime, Scope};
    ///
    /// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
    ///     let mut text = String::new();
    ///     let mut parts = (&b"three words"[..]).take(6).chain(&b"cheers"[..]);
    ///     parts.read_to_string(&cx, &mut text).await.unwrap();
    ///     assert_eq!(text, "three cheers");
    /// });
    /// ```
    fn chain<R: AsyncRead>(self, next: R) -> Chain<Self, R>
    where
        Self: Sized,
    {
        Chain::new(self, next)
    }

    numbers! {
        read_u8 -> u8, from_be_bytes, "an unsigned byte. *Cancellation.* Safe";
        read_i8 -> i8, from_be_bytes, "a signed byte. *Cancellation.* Safe";
        read_u16 -> u16, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_u32 -> u32, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_u64 -> u64, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_i16 -> i16, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_i32 -> i32, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_i64 -> i64, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_u16_le -> u16, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_u32_le -> u32, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_u64_le -> u64, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_i16_le -> i16, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_i32_le -> i32, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_i64_le -> i64, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_u128 -> u128, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_i128 -> i128, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_u128_le -> u128, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_i128_le -> i128, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_f32 -> f32, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_f64 -> f64, from_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        read_f32_le -> f32, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        read_f64_le -> f64, from_le_bytes, "a little-endian number. *Cancellation.* Lossy";
    }
}

impl<R: AsyncRead + ?Sized> ReadExt for R {}

/// Future of [`ReadExt::read`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Read<'a, R: ?Sized> {
    io: &'a mut R,
    cx: &'a Cx,
    buf: &'a mut [u8],
    operation: Operation,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for Read<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Read {
            io,
            cx,
            buf,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| Pin::new(&mut **io).poll_read(task, buf))
    }
}

impl<R: ?Sized> DropSafe for Read<'_, R> {}

/// Future of [`ReadExt::read_buf`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReadBuf<'a, R: ?Sized, B: ?Sized> {
    io: &'a mut R,
    cx: &'a Cx,
    buf: &'a mut B,
    operation: Operation,
}

impl<R: AsyncRead + Unpin + ?Sized, B: BufMut + ?Sized> Future for ReadBuf<'_, R, B> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadBuf {
            io,
            cx,
            buf,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            if !buf.has_remaining_mut() {
                return Poll::Ready(Ok(0));
            }
            let chunk = buf.chunk_mut();
            let len = chunk.len().min(*GROW.end());
            // The poll-level trait reads into initialised memory only.
            // SAFETY: `len` bytes from the chunk's start are ours to write.
            unsafe { chunk.as_mut_ptr().write_bytes(0, len) };
            // SAFETY: those bytes were just initialised, and `chunk` stays borrowed meanwhile.
            let room = unsafe { std::slice::from_raw_parts_mut(chunk.as_mut_ptr(), len) };
            let n = ready!(Pin::new(&mut **io).poll_read(task, room))?;
            assert!(n <= len, "a reader fills no more than it was given");
            // SAFETY: the first `n` bytes of the chunk are initialised.
            unsafe { buf.advance_mut(n) };
            Poll::Ready(Ok(n))
        })
    }
}

impl<R: ?Sized, B: ?Sized> DropSafe for ReadBuf<'_, R, B> {}

/// Reads until `buf` is full.
pub(super) fn poll_fill<R: AsyncRead + Unpin + ?Sized>(
    io: &mut R,
    task: &mut Context<'_>,
    buf: &mut [u8],
    filled: &mut usize,
) -> Poll<io::Result<()>> {
    while *filled < buf.len() {
        match ready!(Pin::new(&mut *io).poll_read(task, &mut buf[*filled..]))? {
            0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            n => *filled += n,
        }
    }
    Poll::Ready(Ok(()))
}

/// Future of [`ReadExt::read_exact`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReadExact<'a, R: ?Sized> {
    io: &'a mut R,
    cx: &'a Cx,
    buf: &'a mut [u8],
    filled: usize,
    operation: Operation,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadExact<'_, R> {
    /// The number of bytes, which is the length of the buffer.
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadExact {
            io,
            cx,
            buf,
            filled,
            operation,
        } = self.get_mut();
        ready!(operation.poll(cx, task, |task| poll_fill(&mut **io, task, buf, filled)))?;
        Poll::Ready(Ok(*filled))
    }
}

/// Future of [`ReadExt::read_u8`] and its siblings.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReadNumber<'a, R: ?Sized, T, const N: usize> {
    io: &'a mut R,
    cx: &'a Cx,
    bytes: [u8; N],
    filled: usize,
    convert: fn([u8; N]) -> T,
    operation: Operation,
}

impl<R: AsyncRead + Unpin + ?Sized, T, const N: usize> Future for ReadNumber<'_, R, T, N> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadNumber {
            io,
            cx,
            bytes,
            filled,
            convert,
            operation,
        } = self.get_mut();
        ready!(operation.poll(cx, task, |task| poll_fill(&mut **io, task, bytes, filled)))?;
        Poll::Ready(Ok(convert(*bytes)))
    }
}

// A single byte is either taken and returned, or not taken.
impl<R: ?Sized, T> DropSafe for ReadNumber<'_, R, T, 1> {}

/// Appends everything to `buf`; `room` is how much the next read may bring.
fn poll_to_end<R: AsyncRead + Unpin + ?Sized>(
    io: &mut R,
    task: &mut Context<'_>,
    buf: &mut Vec<u8>,
    room: &mut usize,
    read: &mut usize,
) -> Poll<io::Result<()>> {
    loop {
        let start = buf.len();
        buf.resize(start + *room, 0);
        let polled = Pin::new(&mut *io).poll_read(task, &mut buf[start..]);
        let n = match &polled {
            Poll::Ready(Ok(n)) => *n,
            _ => 0,
        };
        buf.truncate(start + n);
        *read += n;
        if ready!(polled)? == 0 {
            return Poll::Ready(Ok(()));
        }
        if n == *room {
            *room = (*room * 2).min(*GROW.end());
        }
    }
}

/// Future of [`ReadExt::read_to_end`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReadToEnd<'a, R: ?Sized> {
    io: &'a mut R,
    cx: &'a Cx,
    buf: &'a mut Vec<u8>,
    room: usize,
    read: usize,
    operation: Operation,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadToEnd<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadToEnd {
            io,
            cx,
            buf,
            room,
            read,
            operation,
        } = self.get_mut();
        ready!(operation.poll(cx, task, |task| poll_to_end(
            &mut **io, task, buf, room, read
        )))?;
        Poll::Ready(Ok(*read))
    }
}

/// Future of [`ReadExt::read_to_string`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReadToString<'a, R: ?Sized> {
    io: &'a mut R,
    cx: &'a Cx,
    text: &'a mut String,
    bytes: Vec<u8>,
    room: usize,
    operation: Operation,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadToString<'_, R> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadToString {
            io,
            cx,
            text,
            bytes,
            room,
            operation,
        } = self.get_mut();
        let step = |task: &mut Context<'_>| poll_to_end(&mut **io, task, bytes, room, &mut 0);
        ready!(operation.poll(cx, task, step))?;
        text.push_str(super::read_buffered::utf8(bytes)?);
        Poll::Ready(Ok(bytes.len()))
    }
}
