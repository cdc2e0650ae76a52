//! What frames look like.

use bytes::{Buf, BufMut, BytesMut};
use std::io;
use std::num::NonZeroUsize;

/// Takes frames out of bytes.
pub trait Decoder {
    /// A frame.
    type Item;
    /// What can be wrong with one.
    type Error: From<io::Error>;

    /// Takes the first frame out of `bytes`; `None` when it is not complete.
    ///
    /// # Errors
    /// Whatever is wrong. The bytes that are wrong are taken out, or skipped by
    /// later calls, so that decoding can go on.
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error>;

    /// As [`Decoder::decode`], when nothing follows `bytes`.
    ///
    /// # Errors
    /// `UnexpectedEof` when `bytes` end in the midst of a frame, unless the codec allows that.
    fn decode_end(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error> {
        match self.decode(bytes)? {
            None if !bytes.is_empty() => {
                let left = bytes.len();
                bytes.clear();
                Err(io::Error::from(FrameError::UnexpectedEof { left }).into())
            }
            frame => Ok(frame),
        }
    }
}

/// Puts frames into bytes.
pub trait Encoder<T> {
    /// What can be wrong with one.
    type Error: From<io::Error>;

    /// Appends a frame to `bytes`.
    ///
    /// # Errors
    /// Whatever is wrong; `bytes` are as they were.
    fn encode(&mut self, frame: T, bytes: &mut BytesMut) -> Result<(), Self::Error>;
}

/// What is wrong with a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// It is longer than the codec accepts. It is skipped, without being kept.
    #[error(
        "a frame of more than {max} bytes was refused: raise the codec's limit if it is legitimate"
    )]
    FrameTooLong {
        /// What the codec accepts.
        max: usize,
    },
    /// The stream ended in the midst of it.
    #[error("the stream ended in the midst of a frame, {left} bytes after its beginning")]
    UnexpectedEof {
        /// What there was of it.
        left: usize,
    },
    /// It is no text.
    #[error("a line is not valid UTF-8")]
    NotUtf8,
}

impl From<FrameError> for io::Error {
    fn from(e: FrameError) -> Self {
        let kind = match e {
            FrameError::UnexpectedEof { .. } => io::ErrorKind::UnexpectedEof,
            FrameError::FrameTooLong { .. } | FrameError::NotUtf8 => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, e)
    }
}

/// Lines of UTF-8, which end with `\n` or `\r\n`; the last may lack its end.
///
/// A line that is too long, or not UTF-8, is skipped: the next call gives the next.
#[derive(Clone, Debug)]
pub struct Lines {
    max: usize,
    /// Bytes of the line in progress that are known to hold no end.
    seen: usize,
    /// The rest of a line that was refused follows.
    skipping: bool,
}

impl Lines {
    /// Lines of at most `max` bytes, their ends not counted.
    pub const fn new(max: usize) -> Self {
        Lines {
            max,
            seen: 0,
            skipping: false,
        }
    }

    fn text(&self, mut line: BytesMut) -> Result<Option<String>, io::Error> {
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.max {
            return Err(FrameError::FrameTooLong { max: self.max }.into());
        }
        match String::from_utf8(line.to_vec()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(FrameError::NotUtf8.into()),
        }
    }
}

impl Decoder for Lines {
    type Item = String;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<String>> {
        loop {
            let found = bytes[self.seen..].iter().position(|b| *b == b'\n');
            let Some(end) = found.map(|at| self.seen + at) else {
                self.seen = bytes.len();
                if self.skipping {
                    bytes.clear();
                    self.seen = 0;
                } else if bytes.len() > self.max.saturating_add(1) {
                    // Longer than a line and the `\r` of its end.
                    bytes.clear();
                    (self.seen, self.skipping) = (0, true);
                    return Err(FrameError::FrameTooLong { max: self.max }.into());
                }
                return Ok(None);
            };
            let line = bytes.split_to(end);
            bytes.advance(1);
            self.seen = 0;
            if !std::mem::take(&mut self.skipping) {
                return self.text(line);
            }
        }
    }

    fn decode_end(&mut self, bytes: &mut BytesMut) -> io::Result<Option<String>> {
        if let Some(line) = self.decode(bytes)? {
            return Ok(Some(line));
        }
        self.seen = 0;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.text(bytes.split())
    }
}

impl<T: AsRef<str>> Encoder<T> for Lines {
    type Error = io::Error;

    /// # Errors
    /// `InvalidInput` for a text with a line end in it: it would arrive as two.
    fn encode(&mut self, line: T, bytes: &mut BytesMut) -> io::Result<()> {
        let line = line.as_ref();
        if line.contains('\n') {
            let message = "a line to send holds a line end itself";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if line.len() > self.max {
            return Err(FrameError::FrameTooLong { max: self.max }.into());
        }
        bytes.reserve(line.len() + 1);
        bytes.put_slice(line.as_bytes());
        bytes.put_u8(b'\n');
        Ok(())
    }
}

/// The order of the bytes of a length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Endian {
    /// The most significant first, as protocols usually have it.
    #[default]
    Big,
    /// The least significant first.
    Little,
}

/// Room that is made for a frame before its bytes come; more, as much again as has
/// come. So who only announces a long frame takes no memory.
const AHEAD: usize = 16 * 1024;

/// Frames that begin with their length, which does not count itself.
///
/// A frame that is too long is refused when its length is known, and skipped
/// without being kept: the next call gives the next.
#[derive(Clone, Debug)]
pub struct LengthDelimited {
    max: usize,
    width: usize,
    endian: Endian,
    /// Bytes of a refused frame that are still to come.
    skip: u64,
}

impl LengthDelimited {
    /// Frames of at most `max` bytes, behind a length of four bytes in network order.
    pub const fn new(max: usize) -> Self {
        LengthDelimited {
            max,
            width: 4,
            endian: Endian::Big,
            skip: 0,
        }
    }

    /// A length of so many bytes, from 1 to 8.
    ///
    /// # Panics
    /// For any other number.
    #[must_use]
    pub const fn width(mut self, bytes: usize) -> Self {
        assert!(bytes >= 1 && bytes <= 8, "a length has 1 to 8 bytes");
        self.width = bytes;
        self
    }

    /// In this order.
    #[must_use]
    pub const fn endian(mut self, endian: Endian) -> Self {
        self.endian = endian;
        self
    }
}

impl Decoder for LengthDelimited {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        if self.skip > 0 {
            let now = self.skip.min(bytes.len() as u64);
            bytes.advance(now as usize);
            self.skip -= now;
            if self.skip > 0 {
                return Ok(None);
            }
        }
        let Some(mut length) = bytes.get(..self.width) else {
            return Ok(None);
        };
        let length = match self.endian {
            Endian::Big => length.get_uint(self.width),
            Endian::Little => length.get_uint_le(self.width),
        };
        let Some(length) = usize::try_from(length).ok().filter(|l| *l <= self.max) else {
            bytes.advance(self.width);
            self.skip = length;
            return Err(FrameError::FrameTooLong { max: self.max }.into());
        };
        if bytes.len() - self.width < length {
            let missing = self.width + length - bytes.len();
            bytes.reserve(missing.min(bytes.len().max(AHEAD)));
            return Ok(None);
        }
        bytes.advance(self.width);
        Ok(Some(bytes.split_to(length)))
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for LengthDelimited {
    type Error = io::Error;

    fn encode(&mut self, frame: T, bytes: &mut BytesMut) -> io::Result<()> {
        let frame = frame.as_ref();
        let most = u64::MAX >> (64 - 8 * self.width);
        let max = self.max.min(usize::try_from(most).unwrap_or(usize::MAX));
        if frame.len() > max {
            return Err(FrameError::FrameTooLong { max }.into());
        }
        bytes.reserve(self.width + frame.len());
        match self.endian {
            Endian::Big => bytes.put_uint(frame.len() as u64, self.width),
            Endian::Little => bytes.put_uint_le(frame.len() as u64, self.width),
        }
        bytes.put_slice(frame);
        Ok(())
    }
}

/// Whatever has arrived, as one frame.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    most: NonZeroUsize,
}

impl Bytes {
    /// Frames of at most `most` bytes.
    pub const fn new(most: NonZeroUsize) -> Self {
        Bytes { most }
    }
}

impl Default for Bytes {
    /// Frames of at most 8 KiB.
    fn default() -> Self {
        const MOST: NonZeroUsize = NonZeroUsize::new(8 * 1024).expect("not zero");
        Bytes::new(MOST)
    }
}

impl Decoder for Bytes {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        let n = bytes.len().min(self.most.get());
        Ok((n > 0).then(|| bytes.split_to(n)))
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for Bytes {
    type Error = io::Error;

    fn encode(&mut self, frame: T, bytes: &mut BytesMut) -> io::Result<()> {
        bytes.extend_from_slice(frame.as_ref());
        Ok(())
    }
}
