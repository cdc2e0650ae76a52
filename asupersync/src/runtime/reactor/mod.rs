//! The reactor: who waits for which socket, and the wait on the operating system.
//!
//! A socket is registered once, edge-triggered, for both directions. Its
//! [`Source`] keeps what the system said last; operations try the system call
//! first and wait only when it would block. Invariants:
//!
//! 1. readiness is cleared only if no event arrived since before the system
//!    call that found it gone: an edge is never lost;
//! 2. a key names one registration ever; an event with an unknown key is
//!    counted and ignored;
//! 3. wakers are woken, cloned and dropped with no lock held;
//! 4. one thread waits at a time: the one that took the [`Driver`].

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;

#[cfg(target_os = "linux")]
use epoll as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

use crate::types::slots::{Key, Slots};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

/// Something the system can report on: a socket of the standard library.
#[cfg(unix)]
pub(crate) trait Pollable: std::os::fd::AsFd {}
#[cfg(unix)]
impl<T: std::os::fd::AsFd> Pollable for T {}
/// Something the system can report on: a socket of the standard library.
#[cfg(windows)]
pub(crate) trait Pollable: std::os::windows::io::AsSocket {}
#[cfg(windows)]
impl<T: std::os::windows::io::AsSocket> Pollable for T {}

/// What the system is asked to report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Something urgent.
    pub(crate) priority: bool,
}

impl Asked {
    /// Of a socket.
    const BOTH: Asked = Asked {
        readable: true,
        writable: true,
        priority: false,
    };
}

/// What the system said about a registration.
#[derive(Clone, Copy, Debug)]
struct Report {
    key: usize,
    readable: bool,
    writable: bool,
    priority: bool,
    /// The peer ended its direction, or the connection is gone: reads never block again.
    read_closed: bool,
    /// The connection is gone: writes never block again.
    write_closed: bool,
}

/// Registered sockets and the way to wait for them.
pub(crate) struct Reactor {
    poller: system::Poller,
    sources: Mutex<Slots<Arc<Source>>>,
    registered: AtomicUsize,
    /// `None` while a thread drives.
    driver: Mutex<Option<Driver>>,
    unknown: AtomicU64,
}

/// The right to wait, and the buffers for it.
pub(crate) struct Driver {
    reports: system::Reports,
    hits: Vec<(Arc<Source>, Report)>,
}

impl Reactor {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let driver = Driver {
            reports: system::Reports::new(),
            hits: Vec::new(),
        };
        Ok(Arc::new(Reactor {
            poller: system::Poller::new()?,
            sources: Mutex::new(Slots::new()),
            registered: AtomicUsize::new(0),
            driver: Mutex::new(Some(driver)),
            unknown: AtomicU64::new(0),
        }))
    }

    /// Registers a socket, which must be non-blocking. It is assumed to be ready:
    /// the first operation finds out.
    pub(crate) fn register<S: Pollable>(self: &Arc<Self>, socket: S) -> io::Result<Registered<S>> {
        let registration = self.enrol(&socket, Asked::BOTH, READY)?;
        Ok(Registered {
            socket: Some(socket),
            registration,
        })
    }

    /// Registers what somebody else owns. Unless it is presumed to be ready, it is
    /// not until the system says so.
    #[cfg(unix)]
    pub(crate) fn observe(
        self: &Arc<Self>,
        source: &impl Pollable,
        asked: Asked,
        presumed: bool,
    ) -> io::Result<Registration> {
        self.enrol(source, asked, if presumed { READY } else { 0 })
    }

    fn enrol(
        self: &Arc<Self>,
        socket: &impl Pollable,
        asked: Asked,
        known: usize,
    ) -> io::Result<Registration> {
        let source = Arc::new(Source {
            read: Direction::new(known),
            write: Direction::new(known),
        });
        let key = lock(&self.sources).insert(Arc::clone(&source));
        self.registered.fetch_add(1, Ordering::Relaxed);
        if let Err(e) = self.poller.add(socket, pack(key), asked) {
            self.forget(key);
            return Err(e);
        }
        Ok(Registration {
            source,
            key,
            reactor: Arc::clone(self),
        })
    }

    fn forget(&self, key: Key) {
        let source = lock(&self.sources).remove(key);
        if source.is_some() {
            self.registered.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sockets registered now.
    pub(crate) fn registered(&self) -> usize {
        self.registered.load(Ordering::Relaxed)
    }

    /// Events that named no registration.
    #[cfg(test)]
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Takes the right to wait, unless another thread has it.
    pub(crate) fn take_driver(&self) -> Option<Driver> {
        lock(&self.driver).take()
    }

    /// Gives the right to wait back.
    pub(crate) fn return_driver(&self, driver: Driver) {
        *lock(&self.driver) = Some(driver);
    }

    /// Waits for events, [`Reactor::wake`] or the timeout, and adds who must be woken to `wakers`.
    pub(crate) fn wait(
        &self,
        driver: &mut Driver,
        timeout: Option<Duration>,
        wakers: &mut Vec<Waker>,
    ) -> io::Result<()> {
        self.poller.wait(&mut driver.reports, timeout)?;
        let mut unknown = 0;
        {
            let mut sources = None;
            for report in driver.reports.iter() {
                // An empty wait, the usual end of a timeout, takes no lock.
                let sources = sources.get_or_insert_with(|| lock(&self.sources));
                match unpack(report.key).and_then(|key| sources.get(key)) {
                    Some(source) => driver.hits.push((Arc::clone(source), report)),
                    None => unknown += 1,
                }
            }
        }
        if unknown > 0 {
            self.unknown.fetch_add(unknown, Ordering::Relaxed);
        }
        for (source, report) in driver.hits.drain(..) {
            let priority = if report.priority { PRIORITY } else { 0 };
            let read = flags(report.readable, report.read_closed) | priority;
            if read != 0 {
                wakers.extend(source.read.mark(read));
            }
            let write = flags(report.writable, report.write_closed);
            if write != 0 {
                wakers.extend(source.write.mark(write));
            }
        }
        Ok(())
    }

    /// Makes the current or the next wait return.
    pub(crate) fn wake(&self) {
        self.poller.wake();
    }
}

/// A key as the system carries it: the slot below, the generation above.
///
/// Where `usize` has 32 bits the generation is cut, which makes an aliased
/// stale event a matter of 4096 reuses of a slot between a wait and its
/// dispatch; such an event costs one spurious wake.
const SLOT_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };

fn pack(key: Key) -> usize {
    (key.slot as usize) | (key.generation as usize) << SLOT_BITS
}

fn unpack(key: usize) -> Option<Key> {
    let slot = u32::try_from(key & ((1 << SLOT_BITS) - 1)).ok()?;
    let generation = u32::try_from(key >> SLOT_BITS).ok()?;
    Some(Key { slot, generation })
}

/// A registered socket; dropping it ends the registration, then closes the socket.
pub(crate) struct Registered<S: Pollable> {
    /// Until it is taken.
    socket: Option<S>,
    registration: Registration,
}

impl<S: Pollable> Registered<S> {
    pub(crate) fn socket(&self) -> &S {
        self.socket.as_ref().expect("a socket is taken last")
    }

    /// Ends the registration and gives the socket out; the last thing to ask for.
    pub(crate) fn take(&mut self) -> Option<S> {
        let socket = self.socket.take()?;
        self.registration.end(&socket);
        Some(socket)
    }

    pub(crate) fn read(&self) -> &Direction {
        self.registration.read()
    }

    pub(crate) fn write(&self) -> &Direction {
        self.registration.write()
    }
}

/// A registration of something; whoever owns that ends it.
pub(crate) struct Registration {
    source: Arc<Source>,
    key: Key,
    reactor: Arc<Reactor>,
}

impl Registration {
    /// Ends it; nothing happens a second time, except that the system is asked.
    pub(crate) fn end(&self, socket: &impl Pollable) {
        self.forget();
        // A descriptor that is already gone has left the poller with it.
        let _ = self.reactor.poller.delete(socket);
    }

    /// Ends it without a word to the system, whose reports are of nobody from now on.
    pub(crate) fn forget(&self) {
        self.reactor.forget(self.key);
    }

    pub(crate) fn read(&self) -> &Direction {
        &self.source.read
    }

    pub(crate) fn write(&self) -> &Direction {
        &self.source.write
    }
}

impl<S: Pollable> Drop for Registered<S> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// What is known about a registration.
struct Source {
    read: Direction,
    write: Direction,
}

/// One direction of a socket: its readiness and the task that waits for it.
pub(crate) struct Direction {
    /// Bit 0 ready, bit 1 closed, bit 2 urgent, and above them the number of
    /// events seen, which makes clearing conditional on having seen them all.
    word: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

pub(crate) const READY: usize = 1;
pub(crate) const CLOSED: usize = 2;
pub(crate) const PRIORITY: usize = 4;
const TICK: usize = 8;

/// What an event says of a direction: whoever finds it closed finds it ready.
fn flags(ready: bool, closed: bool) -> usize {
    match (ready, closed) {
        (_, true) => READY | CLOSED,
        (true, false) => READY,
        (false, false) => 0,
    }
}

impl Direction {
    fn new(known: usize) -> Self {
        Direction {
            word: AtomicUsize::new(known),
            waker: Mutex::new(None),
        }
    }

    /// Notes an event and hands out who waits for it.
    fn mark(&self, flags: usize) -> Option<Waker> {
        let marked = |word: usize| Some((word | flags).wrapping_add(TICK));
        let _ = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, marked);
        lock(&self.waker).take()
    }

    /// What is known.
    #[cfg(unix)]
    pub(crate) fn seen(&self) -> usize {
        self.word.load(Ordering::Acquire)
    }

    /// Ready once an event said one of the `wanted` bits; what is known then.
    #[inline]
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        let seen = self.word.load(Ordering::Acquire);
        if seen & wanted != 0 {
            return Poll::Ready(seen);
        }
        self.poll_next(cx, wanted)
    }

    /// As [`Direction::poll_ready`], of what is not ready as far as it is known.
    fn poll_next(&self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        self.remember(cx.waker());
        // An event between the load and the registration has found no waker to
        // take, so it is looked for again.
        let seen = self.word.load(Ordering::Acquire);
        if seen & wanted == 0 {
            return Poll::Pending;
        }
        Poll::Ready(seen)
    }

    /// Runs a non-blocking operation until it does something other than block.
    ///
    /// `drained` tells from a success whether the next operation would block;
    /// saying `false` costs a system call, saying `true` wrongly costs a hang.
    pub(crate) fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<T>,
        drained: impl FnOnce(&T) -> bool,
    ) -> Poll<io::Result<T>> {
        loop {
            let seen = ready!(self.poll_ready(cx, READY));
            match operation() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.clear(seen, READY),
                // Each retry needs another signal, so this does not spin.
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(done) => {
                    // After the end of a direction no further edge will come.
                    if system::SHORT_MEANS_DRAINED && seen & CLOSED == 0 && drained(&done) {
                        self.clear(seen, READY);
                    }
                    return Poll::Ready(Ok(done));
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Clears these bits unless an event came after `seen`.
    pub(crate) fn clear(&self, seen: usize, bits: usize) {
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let _ = self
            .word
            .compare_exchange(seen, seen & !bits, success, failure);
    }

    fn remember(&self, waker: &Waker) {
        if lock(&self.waker)
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            return;
        }
        let fresh = waker.clone();
        let stale = lock(&self.waker).replace(fresh);
        drop(stale);
    }
}

/// Nothing that can panic runs under these locks, so a poisoned one is intact.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
