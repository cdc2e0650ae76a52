//! Bytes as frames: a codec on a stream, with everything that is half-way kept inside.
//!
//! Invariants of [`Framed`]:
//!
//! 1. bytes that were read and belong to no complete frame stay in the buffer, so
//!    a read that is cancelled or dropped loses nothing;
//! 2. a frame that was handed over stays in the buffer until it is written, so
//!    a flush that is cancelled or dropped loses nothing and goes on with the next;
//! 3. the read buffer holds no more than the codec accepts as one frame and one
//!    chunk beyond.

mod codec;

pub use codec::{Bytes, Decoder, Encoder, Endian, FrameError, LengthDelimited, Lines};

use super::Operation;
use crate::cx::{Cx, DropSafe};
use bytes::{Buf, BytesMut};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How much is read at a time.
const CHUNK: usize = 8 * 1024;
/// Encoded bytes above which another frame waits until some are written.
const HIGH_WATER: usize = 64 * 1024;

/// A stream of bytes as frames of a codec.
///
/// ```
/// use asupersync::{Cx, io::framing::{Framed, Lines}};
/// use asupersync::io::{AsyncRead, AsyncWrite};
///
/// async fn shout(cx: &Cx, peer: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
///     let mut peer = Framed::new(peer, Lines::new(1024));
///     while let Some(line) = peer.next(cx).await {
///         peer.send(cx, line?.to_uppercase()).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Framed<S, C> {
    stream: S,
    codec: C,
    read: BytesMut,
    write: BytesMut,
    /// The stream has ended; the codec may still have frames.
    ended: bool,
    /// The codec has no more frames, or the stream has failed.
    done: bool,
}

impl<S, C> Framed<S, C> {
    /// Frames of `codec` on `stream`.
    pub fn new(stream: S, codec: C) -> Self {
        Framed {
            stream,
            codec,
            read: BytesMut::new(),
            write: BytesMut::new(),
            ended: false,
            done: false,
        }
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream, to change. What was read ahead of the frames is here.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The codec.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// The codec, to change, for instance when a protocol switches.
    pub fn codec_mut(&mut self) -> &mut C {
        &mut self.codec
    }

    /// The same stream and buffers under another codec.
    pub fn map_codec<D>(self, f: impl FnOnce(C) -> D) -> Framed<S, D> {
        Framed {
            stream: self.stream,
            codec: f(self.codec),
            read: self.read,
            write: self.write,
            ended: self.ended,
            done: self.done,
        }
    }

    /// Bytes that were encoded and are not written yet.
    pub fn unwritten(&self) -> usize {
        self.write.len()
    }

    /// The stream, and what was read from it and belongs to no frame yet. What
    /// was not written is lost: flush before.
    pub fn into_parts(self) -> (S, BytesMut) {
        (self.stream, self.read)
    }
}

impl<S: AsyncRead + Unpin, C: Decoder> Framed<S, C> {
    /// The next frame; `None` at the end of the stream.
    ///
    /// *Cancellation.* Safe: a frame in progress stays here.
    ///
    /// # Errors
    /// The codec's, the stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    /// After an error of the stream there are no more frames; after one of the
    /// codec that depends on the codec.
    pub fn next<'a>(&'a mut self, cx: &'a Cx) -> NextFrame<'a, S, C> {
        NextFrame {
            framed: self,
            cx,
            operation: Operation::default(),
        }
    }

    /// A frame that needs no more reading.
    fn decode(&mut self) -> Result<Option<C::Item>, C::Error> {
        let decoded = if self.ended {
            self.codec.decode_end(&mut self.read)
        } else {
            self.codec.decode(&mut self.read)
        };
        if self.ended && !matches!(decoded, Ok(Some(_))) {
            self.done = true;
        }
        decoded
    }

    /// Reads one chunk.
    fn poll_fill(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.read.len();
        self.read.resize(before + CHUNK, 0);
        let polled = Pin::new(&mut self.stream).poll_read(task, &mut self.read[before..]);
        let n = match &polled {
            Poll::Ready(Ok(n)) => *n,
            _ => 0,
        };
        self.read.truncate(before + n);
        if let Err(e) = ready!(polled) {
            self.done = true;
            return Poll::Ready(Err(e));
        }
        self.ended = n == 0;
        Poll::Ready(Ok(()))
    }

    fn poll_frame(
        &mut self,
        mut fill: impl FnMut(&mut Self) -> Poll<io::Result<()>>,
    ) -> Poll<Option<Result<C::Item, C::Error>>> {
        loop {
            if self.done {
                return Poll::Ready(None);
            }
            match self.decode() {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Err(e) => return Poll::Ready(Some(Err(e))),
                Ok(None) if self.ended => return Poll::Ready(None),
                Ok(None) => {}
            }
            if let Err(e) = ready!(fill(self)) {
                return Poll::Ready(Some(Err(e.into())));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin, C> Framed<S, C> {
    /// Encodes a frame, to be written by [`Framed::flush`]. Waits only while more
    /// than 64 KiB are unwritten.
    ///
    /// *Cancellation.* Lossy for the frame, which is dropped if it had to wait;
    /// the frames before it stay here.
    ///
    /// # Errors
    /// The codec's, the stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub async fn feed<T>(&mut self, cx: &Cx, frame: T) -> Result<(), C::Error>
    where
        C: Encoder<T>,
    {
        if self.write.len() > HIGH_WATER {
            self.write_out(cx).await?;
        } else {
            cx.checkpoint().map_err(io::Error::from)?;
        }
        self.codec.encode(frame, &mut self.write)
    }

    /// Encodes a frame and writes it out.
    ///
    /// *Cancellation.* Lossy for a frame that had to wait to be encoded. Once it is,
    /// [`Framed::flush`] goes on with it; [`Framed::unwritten`] tells.
    ///
    /// # Errors
    /// As [`Framed::feed`].
    pub async fn send<T>(&mut self, cx: &Cx, frame: T) -> Result<(), C::Error>
    where
        C: Encoder<T>,
    {
        self.feed(cx, frame).await?;
        Ok(self.flush(cx).await?)
    }

    /// Writes out what was encoded.
    ///
    /// *Cancellation.* Resumable: calling again goes on.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub async fn flush(&mut self, cx: &Cx) -> io::Result<()> {
        self.write_out(cx).await?;
        super::WriteExt::flush(&mut self.stream, cx).await
    }

    /// Writes out what was encoded, and ends the stream.
    ///
    /// *Cancellation.* Resumable: calling again goes on.
    ///
    /// # Errors
    /// The stream's, or one that wraps [`Cancelled`](crate::Cancelled).
    pub async fn shutdown(&mut self, cx: &Cx) -> io::Result<()> {
        self.write_out(cx).await?;
        super::WriteExt::shutdown(&mut self.stream, cx).await
    }

    async fn write_out(&mut self, cx: &Cx) -> io::Result<()> {
        cx.checkpoint()?;
        while !self.write.is_empty() {
            let n = super::WriteExt::write(&mut self.stream, cx, &self.write).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.write.advance(n);
        }
        Ok(())
    }
}

/// Future of [`Framed::next`].
#[must_use = "futures do nothing unless polled"]
pub struct NextFrame<'a, S, C> {
    framed: &'a mut Framed<S, C>,
    cx: &'a Cx,
    operation: Operation,
}

impl<S: AsyncRead + Unpin, C: Decoder> Future for NextFrame<'_, S, C> {
    type Output = Option<Result<C::Item, C::Error>>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let NextFrame {
            framed,
            cx,
            operation,
        } = self.get_mut();
        if let Err(cancelled) = cx.checkpoint() {
            return Poll::Ready(Some(Err(io::Error::from(cancelled).into())));
        }
        framed.poll_frame(|framed| operation.poll(cx, task, |task| framed.poll_fill(task)))
    }
}

impl<S, C> DropSafe for NextFrame<'_, S, C> {}

impl<S, C> fmt::Debug for NextFrame<'_, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextFrame").finish_non_exhaustive()
    }
}

/// The frames for code that knows no `Cx`.
impl<S: AsyncRead + Unpin, C: Decoder + Unpin> Stream for Framed<S, C> {
    type Item = Result<C::Item, C::Error>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_frame(|framed| framed.poll_fill(task))
    }
}
