//! The system's descriptors of the standard streams, and blocking until one is ready.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A descriptor of its own for a stream; `None` for one that was closed, which
/// has nothing to read and takes everything, as for the standard library.
pub(super) fn own(stream: impl AsFd) -> io::Result<Option<File>> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Blocks until one of the descriptors has what is asked of it, or something
/// went wrong with it; says which.
pub(super) fn wait<const N: usize>(
    descriptors: [(BorrowedFd<'_>, libc::c_short); N],
) -> io::Result<[bool; N]> {
    let mut asked = descriptors.map(|(descriptor, events)| libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events,
        revents: 0,
    });
    loop {
        // SAFETY: the pointer is valid for as many entries as are told.
        let n = unsafe { libc::poll(asked.as_mut_ptr(), N as libc::nfds_t, -1) };
        if n >= 0 {
            return Ok(asked.map(|a| a.revents != 0));
        }
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e);
        }
    }
}
