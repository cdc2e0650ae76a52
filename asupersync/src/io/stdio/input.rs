//! Standard input.

use super::allowed;
use crate::cx::Cx;
use crate::types::slots::{Key, Slots};
use futures_io::AsyncRead;
use std::io;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Most bytes that one call of the system is asked for.
const MAX_CHUNK: usize = 64 * 1024;

/// The standard input of this process.
///
/// Input is taken from the system while a reader waits, and then by a thread
/// that no runtime waits for: a region closes, and a program ends, whatever
/// becomes of the input. What arrives for a reader that has been cancelled is
/// kept for the next read of this process. Dropping the value ends the wait, so
/// that a child process that inherits the input gets all that comes later.
///
/// # Errors
/// `Unsupported` in the lab, where a program reads from what its test gives it.
///
/// ```no_run
/// use asupersync::io::{BufReadExt, BufReader, stdin};
/// use asupersync::Cx;
///
/// #[asupersync::main]
/// async fn main(cx: &Cx) -> std::io::Result<()> {
///     let mut lines = BufReader::new(stdin(cx)?).lines();
///     while let Some(line) = lines.next_line(cx).await? {
///         println!("you said {line}");
///     }
///     Ok(())
/// }
/// ```
pub fn stdin(cx: &Cx) -> io::Result<Stdin> {
    allowed(cx)?;
    Ok(Stdin { place: None })
}

/// The standard input of this process; made by [`stdin`].
#[derive(Debug)]
pub struct Stdin {
    place: Option<Key>,
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        INPUT.poll(&mut self.get_mut().place, task, buf)
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        if let Some(key) = self.place.take() {
            INPUT.leave(key);
        }
    }
}

static INPUT: Input = Input {
    state: Mutex::new(State {
        ahead: Vec::new(),
        at: 0,
        over: None,
        waiting: Slots::new(),
        wanted: 0,
        bell: None,
    }),
    wish: Condvar::new(),
};

struct Input {
    state: Mutex<State>,
    /// Somebody waits.
    wish: Condvar,
}

struct State {
    /// What was read and not delivered, from `at` on.
    ahead: Vec<u8>,
    at: usize,
    /// The end, or an error, that nobody was told of yet.
    over: Option<io::Result<()>>,
    waiting: Slots<Waker>,
    /// How many bytes who waits would take.
    wanted: usize,
    /// There once the thread is.
    bell: Option<Bell>,
}

impl State {
    fn is_wanted(&self) -> bool {
        !self.waiting.is_empty() && self.at == self.ahead.len() && self.over.is_none()
    }
}

impl Input {
    fn poll(
        &'static self,
        place: &mut Option<Key>,
        task: &Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let fresh = task.waker().clone();
        let mut state = self.lock();
        let unread = &state.ahead[state.at..];
        let n = buf.len().min(unread.len());
        let told = if n > 0 {
            buf[..n].copy_from_slice(&unread[..n]);
            state.at += n;
            Ok(n)
        } else if let Some(over) = state.over.take() {
            over.map(|()| 0)
        } else {
            if let Err(e) = self.begin(&mut state) {
                return Poll::Ready(Err(e));
            }
            let known = place.and_then(|key| state.waiting.get_mut(key));
            let stale = match known {
                Some(waker) => Some(std::mem::replace(waker, fresh)),
                None => {
                    *place = Some(state.waiting.insert(fresh));
                    None
                }
            };
            state.wanted = buf.len();
            drop(state);
            drop(stale);
            self.wish.notify_one();
            return Poll::Pending;
        };
        let stale = place.take().and_then(|key| state.waiting.remove(key));
        drop(state);
        drop(stale);
        Poll::Ready(told)
    }

    fn leave(&self, key: Key) {
        let mut state = self.lock();
        let stale = state.waiting.remove(key);
        if !state.is_wanted()
            && let Some(bell) = &state.bell
        {
            bell.ring();
        }
        drop(state);
        drop(stale);
    }

    /// Makes the thread, the first time.
    fn begin(&'static self, state: &mut State) -> io::Result<()> {
        if state.bell.is_some() {
            return Ok(());
        }
        let (bell, listener) = Bell::new()?;
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || self.serve(&listener))?;
        state.bell = Some(bell);
        Ok(())
    }

    fn serve(&self, bell: &Listener) {
        loop {
            let wanted = {
                let mut state = self.lock();
                while !state.is_wanted() {
                    let woken = self.wish.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                state.wanted.min(MAX_CHUNK)
            };
            let Some(read) = bell.read(wanted) else {
                // Whether anybody still waits is looked at again.
                continue;
            };
            let waiting = {
                let mut state = self.lock();
                match read {
                    Ok(chunk) if chunk.is_empty() => state.over = Some(Ok(())),
                    Ok(chunk) => {
                        state.ahead = chunk;
                        state.at = 0;
                    }
                    Err(e) => state.over = Some(Err(e)),
                }
                state.waiting.drain()
            };
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Wakers are cloned and dropped outside, so nothing can panic inside.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
use unix::{Bell, Listener};

#[cfg(unix)]
mod unix {
    use super::super::ready;
    use std::io::{self, Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    /// Ends the wait for input.
    pub(super) struct Bell(UnixStream);

    /// Waits for input or the bell.
    pub(super) struct Listener(UnixStream);

    impl Bell {
        pub(super) fn new() -> io::Result<(Bell, Listener)> {
            let (bell, listener) = UnixStream::pair()?;
            bell.set_nonblocking(true)?;
            listener.set_nonblocking(true)?;
            Ok((Bell(bell), Listener(listener)))
        }

        pub(super) fn ring(&self) {
            // If it is full of rings, one more says nothing new.
            let _ = (&self.0).write(&[1]);
        }
    }

    impl Listener {
        /// Some bytes, none at the end; `None` if the bell has rung before there were any.
        pub(super) fn read(&self, most: usize) -> Option<io::Result<Vec<u8>>> {
            let mut input = match ready::own(io::stdin()) {
                Ok(Some(input)) => input,
                Ok(None) => return Some(Ok(Vec::new())),
                Err(e) => return Some(Err(e)),
            };
            loop {
                match ready::wait([
                    (input.as_fd(), libc::POLLIN),
                    (self.0.as_fd(), libc::POLLIN),
                ]) {
                    // Also when there is input: it may have come after the reader had gone.
                    Ok([_, true]) => {
                        while (&self.0).read(&mut [0; 64]).is_ok_and(|n| n > 0) {}
                        return None;
                    }
                    Ok([_, false]) => {}
                    Err(e) => return Some(Err(e)),
                }
                let mut chunk = vec![0; most];
                match input.read(&mut chunk) {
                    Ok(n) => {
                        chunk.truncate(n);
                        return Some(Ok(chunk));
                    }
                    // Somebody else was faster, on a descriptor that does not block.
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Some(Err(e)),
                }
            }
        }
    }
}

#[cfg(not(unix))]
use other::{Bell, Listener};

/// Where the wait for input cannot be ended: bytes that come after a reader has
/// gone are taken, and kept for the next.
#[cfg(not(unix))]
mod other {
    use std::io::{self, Read};

    pub(super) struct Bell;
    pub(super) struct Listener;

    impl Bell {
        pub(super) fn new() -> io::Result<(Bell, Listener)> {
            Ok((Bell, Listener))
        }

        pub(super) fn ring(&self) {}
    }

    impl Listener {
        pub(super) fn read(&self, most: usize) -> Option<io::Result<Vec<u8>>> {
            let mut chunk = vec![0; most];
            Some(io::stdin().read(&mut chunk).map(|n| {
                chunk.truncate(n);
                chunk
            }))
        }
    }
}
