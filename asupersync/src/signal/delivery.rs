//! From the signal handlers to the worlds that listen.
//!
//! A handler may do almost nothing, so it sets a bit and writes one byte to a
//! socket; a thread that does nothing else reads it and tells the worlds. There
//! is one such thread in the process while anybody listens, and none otherwise.

use super::handler::{self, Hearable, Installation, RAISED};
use crate::types::slots::{Key, Slots};
use crate::world::World;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What ends the thread.
const END: u8 = 0;

/// A signal comes to a world until the value is dropped.
pub(crate) struct Subscription {
    key: Key,
    signal: Hearable,
}

struct Subscriber {
    signal: Hearable,
    world: Arc<dyn World>,
    /// Whether the signal is a wish to stop.
    stops: bool,
}

/// Who listens in this process.
struct Hub {
    subscribers: Slots<Subscriber>,
    installed: Installation,
    /// While there are subscribers.
    delivery: Option<Delivery>,
}

fn hub() -> MutexGuard<'static, Hub> {
    static HUB: Mutex<Hub> = Mutex::new(Hub {
        subscribers: Slots::new(),
        installed: Installation::new(),
        delivery: None,
    });
    // No foreign code runs under the lock.
    HUB.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Subscription {
    /// To those who listen to it in this world.
    pub(crate) fn new(world: Arc<dyn World>, signal: i32) -> io::Result<Self> {
        Subscription::add(world, signal, false)
    }

    /// As a wish to stop, too.
    pub(super) fn to_stop(world: Arc<dyn World>, signal: i32) -> io::Result<Self> {
        Subscription::add(world, signal, true)
    }

    fn add(world: Arc<dyn World>, signal: i32, stops: bool) -> io::Result<Self> {
        let signal = Hearable::new(signal)?;
        let mut hub = hub();
        if hub.delivery.is_none() {
            hub.delivery = Some(Delivery::start()?);
        }
        // Before the handler is there: no signal is missed in between.
        let key = hub.subscribers.insert(Subscriber {
            signal,
            world,
            stops,
        });
        let subscription = Subscription { key, signal };
        let installed = hub.installed.install(signal);
        drop(hub);
        installed.map(|()| subscription)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut hub = hub();
        let gone = hub.subscribers.remove(self.key);
        if !hub.subscribers.iter().any(|s| s.signal == self.signal) {
            hub.installed.restore(self.signal);
        }
        let over = hub.subscribers.is_empty();
        let over = over.then(|| hub.delivery.take()).flatten();
        if over.is_some() {
            handler::disconnect();
        }
        drop(hub);
        drop(gone);
        if let Some(delivery) = over {
            delivery.end();
        }
    }
}

/// The thread, and the socket by which it is told.
struct Delivery {
    socket: UnixStream,
    thread: JoinHandle<()>,
}

impl Delivery {
    fn start() -> io::Result<Self> {
        let (mut receiver, socket) = UnixStream::pair()?;
        let listen = move || {
            let mut byte = [END];
            // Closed, or told to: either way nothing more will come.
            while receiver.read_exact(&mut byte).is_ok() && byte[0] == RAISED {
                handler::take().for_each(deliver);
            }
        };
        let thread = std::thread::Builder::new()
            .name("signals".into())
            .spawn(listen)?;
        // What nobody was there to take any more is not for those who come now.
        handler::take().for_each(drop);
        handler::connect(socket.as_raw_fd());
        Ok(Delivery { socket, thread })
    }

    /// Once no handler writes to the socket any more.
    fn end(mut self) {
        // The thread reads all the time, so there is room for one byte soon.
        let _ = self.socket.write_all(&[END]);
        // It may have been the one that dropped the last listener, with a waker.
        if self.thread.thread().id() != std::thread::current().id() {
            let _ = self.thread.join();
        }
    }
}

/// Tells each world once, however many in it listen: whether anybody did decides
/// what becomes of the wish to stop.
fn deliver(signal: i32) {
    let mut worlds: Vec<(Arc<dyn World>, bool)> = Vec::new();
    for s in hub().subscribers.iter() {
        if s.signal.number() != signal {
            continue;
        }
        let same = |w: &Arc<dyn World>| std::ptr::addr_eq(Arc::as_ptr(w), Arc::as_ptr(&s.world));
        match worlds.iter_mut().find(|(w, _)| same(w)) {
            Some((_, stops)) => *stops |= s.stops,
            None => worlds.push((Arc::clone(&s.world), s.stops)),
        }
    }
    for (world, stops) in worlds {
        let heard = world.signals().raise(signal);
        if stops {
            world.shutdown().signalled(heard);
        }
    }
}
