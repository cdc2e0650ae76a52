//! Writing.

use super::Operation;
use super::resumable::ResumableAll;
use crate::cx::{Cx, DropSafe};
use bytes::Buf;
use futures_io::AsyncWrite;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

macro_rules! numbers {
    ($($name:ident($number:ident), $convert:ident, $what:literal;)*) => {$(
        #[doc = concat!("Writes ", $what, ".")]
        ///
        /// # Errors
        /// As [`WriteExt::write_all`].
        fn $name<'a>(
            &'a mut self,
            cx: &'a Cx,
            n: $number,
        ) -> WriteNumber<'a, Self, { size_of::<$number>() }>
        where
            Self: Unpin,
        {
            let (bytes, written) = (n.$convert(), 0);
            WriteNumber { io: self, cx, bytes, written, operation: Operation::default() }
        }
    )*};
}

/// Writing to an [`AsyncWrite`], as waits of a task.
pub trait WriteExt: AsyncWrite {
    /// Writes some of `buf`; returns how much.
    ///
    /// *Cancellation.* Safe: nothing was written unless this returns how much.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn write<'a>(&'a mut self, cx: &'a Cx, buf: &'a [u8]) -> Write<'a, Self>
    where
        Self: Unpin,
    {
        Write {
            io: self,
            cx,
            buf,
            operation: Operation::default(),
        }
    }

    /// Writes all of `buf`.
    ///
    /// *Cancellation.* Lossy: how much was written is not told.
    ///
    /// # Errors
    /// `WriteZero` if the stream takes nothing more, the stream's, or one that
    /// wraps [`Cancelled`](crate::Cancelled).
    fn write_all<'a>(&'a mut self, cx: &'a Cx, buf: &'a [u8]) -> WriteAll<'a, Self>
    where
        Self: Unpin,
    {
        WriteAll {
            io: self,
            cx,
            buf,
            operation: Operation::default(),
        }
    }

    /// Writes some of what is in the buffers, in order, in one system call where
    /// the stream can; returns how much.
    ///
    /// *Cancellation.* Safe: nothing was written unless this returns how much.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn write_vectored<'a>(
        &'a mut self,
        cx: &'a Cx,
        bufs: &'a [IoSlice<'a>],
    ) -> WriteVectored<'a, Self>
    where
        Self: Unpin,
    {
        WriteVectored {
            io: self,
            cx,
            bufs,
            operation: Operation::default(),
        }
    }

    /// Writes some of `buf`, which moves on by as much; returns how much.
    ///
    /// *Cancellation.* Safe: what was written is what `buf` moved on by.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn write_buf<'a, B: Buf + ?Sized>(
        &'a mut self,
        cx: &'a Cx,
        buf: &'a mut B,
    ) -> WriteBuf<'a, Self, B>
    where
        Self: Unpin,
    {
        WriteBuf {
            io: self,
            cx,
            buf,
            operation: Operation::default(),
        }
    }

    /// Writes all of `buf`, which moves on as it is written.
    ///
    /// *Cancellation.* Resumable: calling again writes what is left in `buf`.
    ///
    /// # Errors
    /// `WriteZero` if the stream takes nothing more, the stream's, or one that
    /// wraps [`Cancelled`](crate::Cancelled).
    ///
    /// ```
    /// use asupersync::io::{ReadExt, WriteExt, duplex};
    /// use asupersync::{LabConfig, LabRuntime, Scope};
    /// use std::time::Duration;
    ///
    /// LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
    ///     let (mut here, mut there) = duplex(3);
    ///     let mut text = &b"half"[..];
    ///     let wait = here.write_all_buf(&cx, &mut text);
    ///     assert!(cx.timeout_drop(Duration::from_secs(1), wait).await.is_err());
    ///     assert_eq!(text, b"f");
    ///     let mut buf = [0; 4];
    ///     there.read_exact(&cx, &mut buf[..3]).await.unwrap();
    ///     here.write_all_buf(&cx, &mut text).await.unwrap();
    ///     there.read_exact(&cx, &mut buf[3..]).await.unwrap();
    ///     assert_eq!(&buf, b"half");
    /// });
    /// ```
    fn write_all_buf<'a, B: Buf + ?Sized>(
        &'a mut self,
        cx: &'a Cx,
        buf: &'a mut B,
    ) -> WriteAllBuf<'a, Self, B>
    where
        Self: Unpin,
    {
        WriteAllBuf {
            io: self,
            cx,
            buf,
            operation: Operation::default(),
        }
    }

    /// A write of all of `buf` that survives being stopped half-way; see
    /// [`ReadExt::resumable_exact`](super::ReadExt::resumable_exact).
    fn resumable_all<'a>(&'a mut self, buf: &'a [u8]) -> ResumableAll<'a, Self>
    where
        Self: Unpin,
    {
        ResumableAll::new(self, buf)
    }

    /// Passes on what is buffered.
    ///
    /// *Cancellation.* Resumable: what was not passed on stays buffered.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn flush<'a>(&'a mut self, cx: &'a Cx) -> Flush<'a, Self>
    where
        Self: Unpin,
    {
        Flush {
            io: self,
            cx,
            operation: Operation::default(),
        }
    }

    /// Passes on what is buffered and ends the writing direction.
    ///
    /// *Cancellation.* Resumable: calling again continues.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    fn shutdown<'a>(&'a mut self, cx: &'a Cx) -> Shutdown<'a, Self>
    where
        Self: Unpin,
    {
        Shutdown {
            io: self,
            cx,
            operation: Operation::default(),
        }
    }

    numbers! {
        write_u8(u8), to_be_bytes, "an unsigned byte. *Cancellation.* Safe";
        write_i8(i8), to_be_bytes, "a signed byte. *Cancellation.* Safe";
        write_u16(u16), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_u32(u32), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_u64(u64), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_i16(i16), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_i32(i32), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_i64(i64), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_u16_le(u16), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_u32_le(u32), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_u64_le(u64), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_i16_le(i16), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_i32_le(i32), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_i64_le(i64), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_u128(u128), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_i128(i128), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_u128_le(u128), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_i128_le(i128), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_f32(f32), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_f64(f64), to_be_bytes, "a big-endian number. *Cancellation.* Lossy";
        write_f32_le(f32), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
        write_f64_le(f64), to_le_bytes, "a little-endian number. *Cancellation.* Lossy";
    }
}

impl<W: AsyncWrite + ?Sized> WriteExt for W {}

/// Future of [`WriteExt::write`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Write<'a, W: ?Sized> {
    io: &'a mut W,
    cx: &'a Cx,
    buf: &'a [u8],
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for Write<'_, W> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Write {
            io,
            cx,
            buf,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| Pin::new(&mut **io).poll_write(task, buf))
    }
}

impl<W: ?Sized> DropSafe for Write<'_, W> {}

/// Future of [`WriteExt::write_vectored`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WriteVectored<'a, W: ?Sized> {
    io: &'a mut W,
    cx: &'a Cx,
    bufs: &'a [IoSlice<'a>],
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for WriteVectored<'_, W> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let WriteVectored {
            io,
            cx,
            bufs,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            Pin::new(&mut **io).poll_write_vectored(task, bufs)
        })
    }
}

impl<W: ?Sized> DropSafe for WriteVectored<'_, W> {}

/// Slices of a buffer that are written at once: a header, a body, and what else
/// a frame is made of.
const SLICES: usize = 16;

/// Writes some of `buf`, from several parts of it if it has them.
fn poll_write_buf<W: AsyncWrite + Unpin + ?Sized, B: Buf + ?Sized>(
    io: &mut W,
    task: &mut Context<'_>,
    buf: &mut B,
) -> Poll<io::Result<usize>> {
    if !buf.has_remaining() {
        return Poll::Ready(Ok(0));
    }
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = buf.chunks_vectored(&mut slices);
    let n = match &slices[..filled] {
        [] | [_] => ready!(Pin::new(io).poll_write(task, buf.chunk()))?,
        several => ready!(Pin::new(io).poll_write_vectored(task, several))?,
    };
    buf.advance(n);
    Poll::Ready(Ok(n))
}

/// Future of [`WriteExt::write_buf`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WriteBuf<'a, W: ?Sized, B: ?Sized> {
    io: &'a mut W,
    cx: &'a Cx,
    buf: &'a mut B,
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized, B: Buf + ?Sized> Future for WriteBuf<'_, W, B> {
    type Output = io::Result<usize>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let WriteBuf {
            io,
            cx,
            buf,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| poll_write_buf(&mut **io, task, &mut **buf))
    }
}

impl<W: ?Sized, B: ?Sized> DropSafe for WriteBuf<'_, W, B> {}

/// Future of [`WriteExt::write_all_buf`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WriteAllBuf<'a, W: ?Sized, B: ?Sized> {
    io: &'a mut W,
    cx: &'a Cx,
    buf: &'a mut B,
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized, B: Buf + ?Sized> Future for WriteAllBuf<'_, W, B> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let WriteAllBuf {
            io,
            cx,
            buf,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            while buf.has_remaining() {
                if ready!(poll_write_buf(&mut **io, task, &mut **buf))? == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

/// Its progress is kept elsewhere.
impl<W: ?Sized, B: ?Sized> DropSafe for WriteAllBuf<'_, W, B> {}

/// Writes all of `buf`, which shrinks as it goes.
pub(super) fn poll_write_all<W: AsyncWrite + Unpin + ?Sized>(
    io: &mut W,
    task: &mut Context<'_>,
    buf: &mut &[u8],
) -> Poll<io::Result<()>> {
    while !buf.is_empty() {
        match ready!(Pin::new(&mut *io).poll_write(task, buf))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => *buf = &buf[n..],
        }
    }
    Poll::Ready(Ok(()))
}

/// Future of [`WriteExt::write_all`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WriteAll<'a, W: ?Sized> {
    io: &'a mut W,
    cx: &'a Cx,
    buf: &'a [u8],
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for WriteAll<'_, W> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let WriteAll {
            io,
            cx,
            buf,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| poll_write_all(&mut **io, task, buf))
    }
}

/// Future of [`WriteExt::write_u8`] and its siblings.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WriteNumber<'a, W: ?Sized, const N: usize> {
    io: &'a mut W,
    cx: &'a Cx,
    bytes: [u8; N],
    written: usize,
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized, const N: usize> Future for WriteNumber<'_, W, N> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let WriteNumber {
            io,
            cx,
            bytes,
            written,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| {
            let mut rest = &bytes[*written..];
            let polled = poll_write_all(&mut **io, task, &mut rest);
            *written = N - rest.len();
            polled
        })
    }
}

// A single byte is either written and reported, or not written.
impl<W: ?Sized> DropSafe for WriteNumber<'_, W, 1> {}

/// Future of [`WriteExt::flush`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Flush<'a, W: ?Sized> {
    io: &'a mut W,
    cx: &'a Cx,
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for Flush<'_, W> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Flush { io, cx, operation } = self.get_mut();
        operation.poll(cx, task, |task| Pin::new(&mut **io).poll_flush(task))
    }
}

impl<W: ?Sized> DropSafe for Flush<'_, W> {}

/// Future of [`WriteExt::shutdown`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Shutdown<'a, W: ?Sized> {
    io: &'a mut W,
    cx: &'a Cx,
    operation: Operation,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for Shutdown<'_, W> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Shutdown { io, cx, operation } = self.get_mut();
        operation.poll(cx, task, |task| Pin::new(&mut **io).poll_close(task))
    }
}
