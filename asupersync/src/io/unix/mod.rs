//! Descriptors of the system: [`AsyncFd`] waits for one that somebody else made.

mod async_fd;
mod watching;

pub use crate::world::{Interest, Ready};
pub use async_fd::{AsyncFd, AsyncIo, Readiness, ReadyGuard, RegisterError, TryIoError};

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Whether operations on the descriptor fail with `WouldBlock` instead of blocking.
///
/// Whoever has a duplicate of it, in this process or another, has the same mode.
///
/// # Errors
/// The system's.
pub fn set_nonblocking(fd: &impl AsFd, on: bool) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: a plain system call on a descriptor that is borrowed meanwhile.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = match on {
        true => flags | libc::O_NONBLOCK,
        false => flags & !libc::O_NONBLOCK,
    };
    // SAFETY: as above.
    if wanted != flags && unsafe { libc::fcntl(fd, libc::F_SETFL, wanted) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
