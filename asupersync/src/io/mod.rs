//! Reading and writing bytes: the extension traits that make every operation a checkpoint.
//!
//! The poll level is `futures_io`, so protocol code that knows no runtime works
//! on our streams and the other way round. The operations here add a [`Cx`]:
//! each is a wait that ends when its task is asked to cancel, with an
//! `io::Error` of kind `Other` that wraps [`Cancelled`]. An operation in
//! flight is a promise in its task's ledger.
//!
//! What dropping or cancelling an operation loses is its [`CancelClass`]; the
//! table is [`CANCEL_CLASS`], and each method says it again. Futures of class
//! `Safe` implement [`DropSafe`] and may stand in `select!`.
//!
//! [`Cancelled`]: crate::Cancelled
//! [`DropSafe`]: crate::cx::DropSafe

mod adapters;
mod buffered;
mod copy;
mod duplex;
mod error;
pub mod framing;
mod kind;
mod lines;
pub(crate) mod offload;
mod operation;
mod read;
mod read_buffered;
mod resumable;
mod seek;
mod split;
pub(crate) mod stdio;
#[cfg(unix)]
pub mod unix;
pub(crate) mod waiters;
mod write;

pub use crate::types::cancel_class::CancelClass;
pub use adapters::{Chain, Empty, Join, Repeat, Sink, Take, empty, join, repeat, sink};
pub use buffered::{BufReader, BufWriter};
pub use copy::{Copy, CopyBidirectional, copy, copy_bidirectional};
pub use duplex::{DuplexStream, SimplexReader, SimplexWriter, duplex, simplex};
pub use error::os_error;
pub use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
pub use lines::{Lines, NextLine, NextSegment, Split};
pub use read::{Read, ReadBuf, ReadExact, ReadExt, ReadNumber, ReadToEnd, ReadToString};
pub use read_buffered::{BufReadExt, FillBuf, ReadLine, ReadUntil};
pub use resumable::{ResumableAll, ResumableExact, ResumeAll, ResumeExact};
pub use seek::{Seek, SeekExt};
pub use split::{ReadHalf, ReuniteError, WriteHalf, split};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
pub use write::{
    Flush, Shutdown, Write, WriteAll, WriteAllBuf, WriteBuf, WriteExt, WriteNumber, WriteVectored,
};

pub(crate) use error::explain;
pub(crate) use operation::Operation;

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("read", CancelClass::Safe),
    ("read_buf", CancelClass::Safe),
    ("read_u8", CancelClass::Safe),
    ("read_i8", CancelClass::Safe),
    ("write", CancelClass::Safe),
    ("write_u8", CancelClass::Safe),
    ("write_i8", CancelClass::Safe),
    ("write_vectored", CancelClass::Safe),
    ("write_buf", CancelClass::Safe),
    ("write_all_buf", CancelClass::Resumable),
    ("flush", CancelClass::Resumable),
    ("shutdown", CancelClass::Resumable),
    ("next_line", CancelClass::Safe),
    ("next_segment", CancelClass::Safe),
    ("fill_buf", CancelClass::Safe),
    ("stream_position", CancelClass::Resumable),
    ("seek", CancelClass::Lossy),
    ("rewind", CancelClass::Lossy),
    ("Framed::next", CancelClass::Safe),
    ("Framed::feed", CancelClass::Lossy),
    ("Framed::send", CancelClass::Lossy),
    ("Framed::flush", CancelClass::Resumable),
    ("Framed::shutdown", CancelClass::Resumable),
    ("ResumableExact::resume", CancelClass::Resumable),
    ("ResumableAll::resume", CancelClass::Resumable),
    ("read_until", CancelClass::Resumable),
    ("read_to_end", CancelClass::Resumable),
    ("read_exact", CancelClass::Lossy),
    ("read_to_string", CancelClass::Lossy),
    ("read_line", CancelClass::Lossy),
    ("read_u16", CancelClass::Lossy),
    ("read_u32", CancelClass::Lossy),
    ("read_u64", CancelClass::Lossy),
    ("read_i16", CancelClass::Lossy),
    ("read_i32", CancelClass::Lossy),
    ("read_i64", CancelClass::Lossy),
    ("read_u16_le", CancelClass::Lossy),
    ("read_u32_le", CancelClass::Lossy),
    ("read_u64_le", CancelClass::Lossy),
    ("read_i16_le", CancelClass::Lossy),
    ("read_i32_le", CancelClass::Lossy),
    ("read_i64_le", CancelClass::Lossy),
    ("read_u128", CancelClass::Lossy),
    ("read_i128", CancelClass::Lossy),
    ("read_u128_le", CancelClass::Lossy),
    ("read_i128_le", CancelClass::Lossy),
    ("read_f32", CancelClass::Lossy),
    ("read_f64", CancelClass::Lossy),
    ("read_f32_le", CancelClass::Lossy),
    ("read_f64_le", CancelClass::Lossy),
    ("write_all", CancelClass::Lossy),
    ("write_u16", CancelClass::Lossy),
    ("write_u32", CancelClass::Lossy),
    ("write_u64", CancelClass::Lossy),
    ("write_i16", CancelClass::Lossy),
    ("write_i32", CancelClass::Lossy),
    ("write_i64", CancelClass::Lossy),
    ("write_u16_le", CancelClass::Lossy),
    ("write_u32_le", CancelClass::Lossy),
    ("write_u64_le", CancelClass::Lossy),
    ("write_i16_le", CancelClass::Lossy),
    ("write_i32_le", CancelClass::Lossy),
    ("write_i64_le", CancelClass::Lossy),
    ("write_u128", CancelClass::Lossy),
    ("write_i128", CancelClass::Lossy),
    ("write_u128_le", CancelClass::Lossy),
    ("write_i128_le", CancelClass::Lossy),
    ("write_f32", CancelClass::Lossy),
    ("write_f64", CancelClass::Lossy),
    ("write_f32_le", CancelClass::Lossy),
    ("write_f64_le", CancelClass::Lossy),
    ("copy", CancelClass::Lossy),
    ("copy_bidirectional", CancelClass::Lossy),
    ("AsyncFd::readable", CancelClass::Safe),
    ("AsyncFd::writable", CancelClass::Safe),
    ("AsyncFd::ready", CancelClass::Safe),
    ("AsyncFd::async_io", CancelClass::Safe),
    ("AsyncFd::async_io_mut", CancelClass::Safe),
];
