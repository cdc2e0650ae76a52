//! The system port: descriptors that only a world with a system under it has.

use std::fs::File;
use std::io;
use std::task::{Context, Poll};

/// What a program asks of the operating system besides sockets.
pub trait System: Send + Sync {
    /// Waits for a descriptor from now on. One that is read or written through
    /// it is non-blocking.
    ///
    /// # Errors
    /// The system's, `PermissionDenied` for one that is always ready, as a regular file.
    fn watch(&self, file: File) -> io::Result<Box<dyn Descriptor>>;
}

/// A descriptor that is waited for; dropping it ends that and closes it.
pub trait Descriptor: Send + Sync {
    /// The descriptor.
    fn file(&self) -> &File;

    /// Runs an operation on it until it does something else than block.
    ///
    /// One waker is kept per direction: the last one's.
    fn poll_io(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        operation: &mut dyn FnMut(&File) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>>;
}

/// What an operation waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
}

/// What a world without a system says.
pub(super) fn refused() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this world has no processes and no standard streams, as they would not repeat: \
         hand the program a stand-in for them, or run it on a `Runtime`",
    )
}
