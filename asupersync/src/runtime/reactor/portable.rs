//! Other systems: the `polling` crate, edge-triggered.
//!
//! The crate does not tell the end of a stream from readability, so a short
//! read is not taken for a drained socket here; that costs one system call per
//! message, never an edge.

use super::{Asked, Pollable, Report};
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

/// See the module documentation.
#[cfg(not(target_os = "linux"))]
pub(super) const SHORT_MEANS_DRAINED: bool = false;

/// Events taken per wait; more stay queued in the system.
const BATCH: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

pub(super) struct Poller(polling::Poller);

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let poller = polling::Poller::new()?;
        if !poller.supports_edge() {
            let message = "this system has no edge-triggered polling, which the runtime needs";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(Poller(poller))
    }

    pub(super) fn add(&self, socket: &impl Pollable, key: usize, asked: Asked) -> io::Result<()> {
        let mut interest = polling::Event::new(key, asked.readable, asked.writable);
        interest.set_priority(asked.priority);
        #[cfg(unix)]
        let source = std::os::fd::AsRawFd::as_raw_fd(&socket.as_fd());
        #[cfg(windows)]
        let source = std::os::windows::io::AsRawSocket::as_raw_socket(&socket.as_socket());
        // SAFETY: `Registered` owns the socket and deletes it from the poller
        // before closing it.
        unsafe {
            self.0
                .add_with_mode(source, interest, polling::PollMode::Edge)
        }
    }

    pub(super) fn delete(&self, socket: &impl Pollable) -> io::Result<()> {
        #[cfg(unix)]
        return self.0.delete(socket.as_fd());
        #[cfg(windows)]
        return self.0.delete(socket.as_socket());
    }

    pub(super) fn wait(&self, reports: &mut Reports, timeout: Option<Duration>) -> io::Result<()> {
        reports.0.clear();
        match self.0.wait(&mut reports.0, timeout) {
            // A signal: whoever waits looks at its queues again and comes back.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result.map(drop),
        }
    }

    pub(super) fn wake(&self) {
        // It fails only when the poller is broken, and then so does the wait.
        let _ = self.0.notify();
    }
}

pub(super) struct Reports(polling::Events);

impl Reports {
    pub(super) fn new() -> Self {
        Reports(polling::Events::with_capacity(BATCH))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Report> {
        self.0.iter().map(|event| Report {
            key: event.key,
            readable: event.readable,
            writable: event.writable,
            priority: event.is_priority() || event.is_interrupt(),
            read_closed: event.is_interrupt(),
            write_closed: event.is_interrupt(),
        })
    }
}
