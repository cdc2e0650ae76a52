//! Linux: edge-triggered epoll, with nanosecond timeouts and an eventfd to interrupt a wait.
//!
//! Registrations ask for `RDHUP`. With it a short read means that the socket
//! is drained: without it, data and end of stream reported by one edge could
//! not be told from data alone, and the end would never be seen.

use super::{Asked, Pollable, Report};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// See the module documentation.
pub(super) const SHORT_MEANS_DRAINED: bool = true;

/// Events taken per wait; more stay queued in the kernel.
const BATCH: usize = 1024;

/// Names the eventfd; no slab reaches this slot.
const WAKE: u64 = u64::MAX;

pub(super) struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
    /// Whether the kernel lacks nanosecond timeouts (before Linux 5.11).
    coarse: AtomicBool,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered, so a wake needs no read: every write is a new edge.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), flags)?;
        Ok(Poller {
            epoll,
            wake,
            coarse: AtomicBool::new(false),
        })
    }

    pub(super) fn add(&self, socket: &impl Pollable, key: usize, asked: Asked) -> io::Result<()> {
        use epoll::EventFlags as F;
        let mut flags = F::ET;
        flags.set(F::IN | F::RDHUP, asked.readable);
        flags.set(F::OUT, asked.writable);
        flags.set(F::PRI, asked.priority);
        Ok(epoll::add(
            &self.epoll,
            socket.as_fd(),
            epoll::EventData::new_u64(key as u64),
            flags,
        )?)
    }

    pub(super) fn delete(&self, socket: &impl Pollable) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket.as_fd())?)
    }

    pub(super) fn wait(&self, reports: &mut Reports, timeout: Option<Duration>) -> io::Result<()> {
        reports.0.clear();
        let timeout = timeout.map(|t| {
            if self.coarse.load(Ordering::Relaxed) {
                whole_millis(t)
            } else {
                t
            }
        });
        match self.wait_once(reports, timeout) {
            Err(Errno::NOSYS) => {
                self.coarse.store(true, Ordering::Relaxed);
                self.wait_once(reports, timeout.map(whole_millis))?;
            }
            // A signal: whoever waits looks at its queues again and comes back.
            Err(Errno::INTR) => {}
            result => result?,
        }
        Ok(())
    }

    fn wait_once(&self, reports: &mut Reports, timeout: Option<Duration>) -> Result<(), Errno> {
        // A timeout too long for the kernel's clock is none.
        let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut reports.0),
            timeout.as_ref(),
        )?;
        Ok(())
    }

    pub(super) fn wake(&self) {
        // The counter would have to be full for this to fail, and it is then readable.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

/// Rounded up: waking early would only mean another wait.
fn whole_millis(t: Duration) -> Duration {
    let millis = t.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

pub(super) struct Reports(Vec<epoll::Event>);

// SAFETY: an event's data is declared as a union with a pointer in it, but only
// integers, the keys, are ever stored there.
unsafe impl Send for Reports {}

impl Reports {
    pub(super) fn new() -> Self {
        Reports(Vec::with_capacity(BATCH))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Report> {
        use epoll::EventFlags as F;
        self.0
            .iter()
            .filter(|event| event.data.u64() != WAKE)
            .map(|event| {
                let flags = event.flags;
                Report {
                    key: event.data.u64() as usize,
                    readable: flags.intersects(F::IN | F::ERR | F::HUP | F::RDHUP),
                    writable: flags.intersects(F::OUT | F::ERR | F::HUP),
                    priority: flags.intersects(F::PRI | F::ERR | F::HUP),
                    read_closed: flags.intersects(F::RDHUP | F::HUP),
                    write_closed: flags.intersects(F::HUP),
                }
            })
    }
}
