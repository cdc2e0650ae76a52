//! The ends of a child's standard streams that this process holds.

use crate::cx::Cx;
use crate::io::unix::{AsyncFd, Interest, set_nonblocking};
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

/// One end of a pipe; `None` once it was closed.
pub(super) struct End(Option<AsyncFd<File>>);

impl End {
    pub(super) fn new(cx: &Cx, fd: impl Into<OwnedFd>) -> io::Result<Self> {
        let fd = fd.into();
        // The child's end is another, and keeps its mode.
        set_nonblocking(&fd, true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        let pipe = AsyncFd::presumed_ready(&**cx.world(), File::from(fd), both)?;
        Ok(End(Some(pipe)))
    }

    fn poll(
        &mut self,
        interest: Interest,
        task: &mut Context<'_>,
        operation: impl FnMut(&mut File) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(pipe) => pipe.poll_io(interest, task, operation),
            None => Poll::Ready(Err(closed())),
        }
    }

    /// The descriptor, which blocks again.
    fn into_fd(self) -> io::Result<OwnedFd> {
        let fd = OwnedFd::from(self.0.ok_or_else(closed)?.into_inner());
        set_nonblocking(&fd, false)?;
        Ok(fd)
    }
}

fn closed() -> io::Error {
    let message = "the stream was closed by this process";
    io::Error::new(io::ErrorKind::BrokenPipe, message)
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
                let fd = self.0.0.as_ref().map(AsRawFd::as_raw_fd);
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
        let end = &mut self.get_mut().0;
        end.poll(Interest::WRITABLE, task, |pipe| pipe.write(bytes))
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
                let end = &mut self.get_mut().0;
                end.poll(Interest::READABLE, task, |pipe| pipe.read(buf))
            }
        }
    };
}

reads!(ChildStdout);
reads!(ChildStderr);
