//! The standard streams of this process.
//!
//! Each has a thread of the process, made when it is first used, which belongs
//! to no runtime and which nothing waits for. So a read that nobody answers
//! holds up neither its region nor the end of the runtime, as it would on the
//! blocking pool; and a worker never blocks, whatever the stream is: a terminal,
//! a pipe, a socket, a file.
//!
//! Invariants:
//!
//! 1. bytes are taken from the input only for a reader that waits, and no more
//!    than it asked for; those that come too late for it are for the next;
//! 2. bytes that were accepted for output are written, in order, unless the
//!    process ends or the stream fails, which the next call tells;
//! 3. at the end of a run its output is waited for, as long as it moves.
//!
//! The streams of the standard library have buffers of their own: what is read
//! with both, or written half a line with both, comes in no particular order.

mod input;
mod output;
#[cfg(unix)]
mod ready;

pub use input::{Stdin, stdin};
pub(crate) use output::settle;
pub use output::{Stderr, Stdout, stderr, stdout};

use crate::cx::Cx;
use std::io;

/// Whether this world has standard streams.
fn allowed(cx: &Cx) -> io::Result<()> {
    #[cfg(unix)]
    cx.world().system()?;
    #[cfg(not(unix))]
    let _ = cx;
    Ok(())
}
