//! The ends of a child's standard streams that this process holds.

use crate::cx::Cx;
use crate::world::{Descriptor, Direction};
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

/// One end of a pipe; `None` once it was closed.
pub(super) struct End(Option<Box<dyn Descriptor>>);

impl End {
    pub(super) fn new(cx: &Cx, fd: impl Into<OwnedFd>) -> io::Result<Self> {
        let fd = fd.into();
        set_nonblocking(&fd, true)?;
        let descriptor = cx.world().system()?.watch(File::from(fd))?;
        Ok(End(Some(descriptor)))
    }

    fn poll(
        &self,
        direction: Direction,
        task: &mut Context<'_>,
        operation: &mut dyn FnMut(&File) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let Some(descriptor) = &self.0 else {
            let message = "the stream was closed by this process";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, message)));
        };
        descriptor.poll_io(direction, task, operation)
    }

    /// A descriptor of the same pipe, which blocks, in place of this one.
    fn into_fd(self) -> io::Result<OwnedFd> {
        let Some(descriptor) = self.0 else {
            let message = "the stream was closed by this process";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, message));
        };
        let fd = OwnedFd::from(descriptor.file().try_clone()?);
        drop(descriptor);
        set_nonblocking(&fd, false)?;
        Ok(fd)
    }
}

/// Of our end of a pipe: the child's is another, and keeps its mode.
fn set_nonblocking(fd: &impl AsFd, on: bool) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: plain system calls on a descriptor that is borrowed meanwhile.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = if on {
        flags | libc::O_NONBLOCK
    } else {
        flags & !libc::O_NONBLOCK
    };
    // SAFETY: as above.
    if unsafe { libc::fcntl(fd, libc::F_SETFL, flags) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

macro_rules! stream {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(pub(super) End);

        impl $name {
            /// The standard library's, which blocks: to use it outside of tasks.
            ///
            /// # Errors
            /// The system's; `BrokenPipe` when it was closed here.
            pub fn into_std(self) -> io::Result<std::process::$name> {
                self.0.into_fd().map(Into::into)
            }
        }

        /// As the standard stream of another command, which so talks to this
        /// child directly.
        impl TryFrom<$name> for Stdio {
            type Error = io::Error;

            fn try_from(stream: $name) -> io::Result<Stdio> {
                stream.0.into_fd().map(Into::into)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let fd = self.0.0.as_ref().map(|d| d.file().as_raw_fd());
                f.debug_tuple(stringify!($name)).field(&fd).finish()
            }
        }
    };
}

stream! {
    /// What a child reads as its standard input. Closing it
    /// ([`WriteExt::shutdown`](crate::io::WriteExt::shutdown)), or dropping it, is
    /// the end of that input.
    ///
    /// A child that has closed its end makes writing fail with `BrokenPipe`. The
    /// program ignores SIGPIPE as every Rust program does; one that gives that
    /// signal its default action back is ended by it.
    ChildStdin
}

stream! {
    /// What a child writes to its standard output.
    ChildStdout
}

stream! {
    /// What a child writes to its standard error.
    ChildStderr
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut write = |mut file: &File| file.write(bytes);
        self.0.poll(Direction::Write, task, &mut write)
    }

    /// Nothing is buffered above the system.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.0 = None;
        Poll::Ready(Ok(()))
    }
}

macro_rules! reads {
    ($name:ident) => {
        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                task: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let mut read = |mut file: &File| file.read(buf);
                self.0.poll(Direction::Read, task, &mut read)
            }
        }
    };
}

reads!(ChildStdout);
reads!(ChildStderr);
