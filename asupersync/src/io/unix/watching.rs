//! Who waits for a descriptor, whatever owns it.

use crate::io::waiters::{Place, Waiters};
use crate::types::slots::Key;
use crate::world::{Direction, Interest, Ready, Seen, Watch};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// What concerns the reading direction.
const READING: Ready = Ready::ALL
    .without(Ready::WRITABLE)
    .without(Ready::WRITE_CLOSED);

/// A registration, and the tasks that wait at it.
pub(super) struct Watching {
    watch: Box<dyn Watch>,
    interest: Interest,
    readers: Waiters,
    writers: Waiters,
    /// The places of those who poll by hand: one per direction, as of the last.
    polled: [Mutex<Option<Key>>; 2],
}

/// The places of one operation.
#[derive(Debug)]
pub(super) struct Places<'a> {
    read: Place<'a>,
    write: Place<'a>,
}

/// What an operation found, of each direction that it asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    read: Option<Seen>,
    write: Option<Seen>,
}

impl Found {
    pub(super) fn ready(&self) -> Ready {
        let both = [self.read, self.write].into_iter().flatten();
        both.fold(Ready::EMPTY, |ready, seen| ready | seen.ready)
    }
}

impl Watching {
    pub(super) fn new(watch: Box<dyn Watch>, interest: Interest) -> Self {
        Watching {
            watch,
            interest,
            readers: Waiters::new(),
            writers: Waiters::new(),
            polled: [const { Mutex::new(None) }; 2],
        }
    }

    pub(super) fn end(&self, fd: BorrowedFd<'_>) {
        self.watch.end(fd);
    }

    pub(super) fn places(&self) -> Places<'_> {
        Places {
            read: self.readers.place(),
            write: self.writers.place(),
        }
    }

    /// Whether there is anything to wait for.
    fn check(&self, asked: Interest) -> io::Result<()> {
        if !asked.is_empty() && asked.without(self.interest).is_empty() {
            return Ok(());
        }
        let message = format!(
            "asked for {asked:?} of a descriptor that is registered for {:?}; name what is \
             waited for in `AsyncFd::with_interest`",
            self.interest
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// Ready once one of the directions has something of what is asked for.
    pub(super) fn poll(
        &self,
        asked: Interest,
        places: &mut Places<'_>,
        task: &Context<'_>,
    ) -> Poll<io::Result<Found>> {
        self.check(asked)?;
        let mut found = Found::default();
        let wanted = Ready::from(asked);
        let of = |direction, wanted: Ready, place: &mut Place<'_>| {
            if wanted.is_empty() {
                return None;
            }
            let polled = place.poll(task, |all| self.watch.poll_ready(direction, wanted, all));
            match polled {
                Poll::Ready(seen) => Some(seen),
                Poll::Pending => None,
            }
        };
        found.read = of(Direction::Read, wanted.meet(READING), &mut places.read);
        found.write = of(Direction::Write, wanted.without(READING), &mut places.write);
        match found.ready().is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(Ok(found)),
        }
    }

    /// As [`Watching::poll`], for whoever has no place of its own and asks for
    /// one direction. Of those, the last one who polled is woken.
    pub(super) fn poll_by_hand(
        &self,
        asked: Interest,
        task: &Context<'_>,
    ) -> Poll<io::Result<Found>> {
        let mut places = self.places();
        let (list, place, kept) = match asked.is_writable() {
            false => (&self.readers, &mut places.read, &self.polled[0]),
            true => (&self.writers, &mut places.write, &self.polled[1]),
        };
        *place = list.place_of(lock(kept).take());
        let polled = self.poll(asked, &mut places, task);
        let place = match asked.is_writable() {
            false => places.read,
            true => places.write,
        };
        let replaced = std::mem::replace(&mut *lock(kept), place.keep());
        // Of somebody who polled at the same time.
        list.leave(replaced);
        polled
    }

    /// Runs an operation that does not block until it says something else than
    /// that it would; `poll` waits.
    pub(super) fn poll_io<R>(
        &self,
        mut poll: impl FnMut() -> Poll<io::Result<Found>>,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let found = ready!(poll())?;
            match self.settle(&found, operation()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // Each retry needs another signal, so this does not spin.
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Learns from the result of an operation, which is handed on.
    pub(super) fn settle<R>(&self, found: &Found, result: io::Result<R>) -> io::Result<R> {
        match (&result, found.read, found.write) {
            // Of two directions it is not known which one it was of.
            (Err(e), Some(_), Some(_)) if e.kind() == io::ErrorKind::WouldBlock => {
                self.clear(found, Ready::ALL);
            }
            (Err(e), ..) if e.kind() == io::ErrorKind::WouldBlock => {
                self.forget(found, Ready::ALL);
            }
            _ => {}
        }
        result
    }

    /// Forgets what was found, except of a direction that is closed: nothing
    /// more would be reported of it.
    pub(super) fn clear(&self, found: &Found, what: Ready) {
        let open = |seen: &Seen| !seen.ready.is_read_closed() && !seen.ready.is_write_closed();
        let found = Found {
            read: found.read.filter(open),
            write: found.write.filter(open),
        };
        self.forget(&found, what);
    }

    fn forget(&self, found: &Found, what: Ready) {
        for (direction, seen) in [
            (Direction::Read, found.read),
            (Direction::Write, found.write),
        ] {
            if let Some(seen) = seen {
                // Only what was seen can be known to be over.
                self.watch.clear(direction, seen, seen.ready.meet(what));
            }
        }
    }

    /// What is known now, of what is asked for.
    pub(super) fn known(&self, asked: Interest) -> io::Result<Found> {
        self.check(asked)?;
        let of = |direction, wanted: Ready| {
            let seen = self.watch.seen(direction);
            (!seen.ready.meet(wanted).is_empty()).then_some(seen)
        };
        let wanted = Ready::from(asked);
        Ok(Found {
            read: of(Direction::Read, wanted.meet(READING)),
            write: of(Direction::Write, wanted.without(READING)),
        })
    }
}

/// Nothing that can panic runs under the lock.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
