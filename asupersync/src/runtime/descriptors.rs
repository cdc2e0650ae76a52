//! The system port: pipes and other descriptors, by the reactor.

use super::reactor::{Asked, CLOSED, PRIORITY, READY, Reactor, Registration};
use crate::world::{Direction, Interest, Ready, Seen, System, Watch};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll};

pub(super) struct Descriptors {
    reactor: Arc<Reactor>,
}

impl Descriptors {
    pub(super) fn new(reactor: Arc<Reactor>) -> Self {
        Descriptors { reactor }
    }
}

impl System for Descriptors {
    fn watch(
        &self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        presumed: bool,
    ) -> io::Result<Box<dyn Watch>> {
        let asked = Asked {
            readable: interest.is_readable(),
            writable: interest.is_writable(),
            priority: interest.is_priority(),
        };
        Ok(Box::new(Watched {
            registration: self.reactor.observe(&fd, asked, presumed)?,
            fd: fd.as_raw_fd(),
        }))
    }
}

struct Watched {
    registration: Registration,
    /// What was registered: its owner may have another by now.
    fd: RawFd,
}

impl Watched {
    fn direction(&self, direction: Direction) -> &super::reactor::Direction {
        match direction {
            Direction::Read => self.registration.read(),
            Direction::Write => self.registration.write(),
        }
    }
}

impl Watch for Watched {
    fn poll_ready(&self, direction: Direction, wanted: Ready, cx: &mut Context<'_>) -> Poll<Seen> {
        let seen = self
            .direction(direction)
            .poll_ready(cx, bits(direction, wanted));
        seen.map(|mark| seen_of(direction, mark))
    }

    fn seen(&self, direction: Direction) -> Seen {
        seen_of(direction, self.direction(direction).seen())
    }

    fn clear(&self, direction: Direction, seen: Seen, what: Ready) {
        self.direction(direction)
            .clear(seen.mark, bits(direction, what));
    }

    fn end(&self, fd: BorrowedFd<'_>) {
        // A number that means something else by now is not ours to deregister.
        match fd.as_raw_fd() == self.fd {
            true => self.registration.end(&fd),
            false => self.registration.forget(),
        }
    }
}

fn bits(direction: Direction, ready: Ready) -> usize {
    let (plain, urgent) = match direction {
        Direction::Read => (ready.is_readable(), ready.is_priority()),
        Direction::Write => (ready.is_writable(), false),
    };
    [(plain, READY), (urgent, PRIORITY)]
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(0, |bits, (_, bit)| bits | bit)
}

fn seen_of(direction: Direction, mark: usize) -> Seen {
    let (plain, closed) = match direction {
        Direction::Read => (Ready::READABLE, Ready::READ_CLOSED),
        Direction::Write => (Ready::WRITABLE, Ready::WRITE_CLOSED),
    };
    let all = [
        (READY, plain),
        (CLOSED, closed),
        (PRIORITY, Ready::PRIORITY),
    ];
    let known = all.iter().filter(|(bit, _)| mark & bit != 0);
    let ready = known.fold(Ready::EMPTY, |ready, (_, flag)| ready | *flag);
    Seen { ready, mark }
}
