//! From a signal handler to the wish to stop.
//!
//! A handler may do almost nothing, so it writes one byte to a socket; a
//! thread that does nothing else reads it and makes the request.

#[cfg(unix)]
pub use unix::Installed;

/// Delivers SIGTERM and SIGINT to `shutdown` until the value is dropped.
///
/// # Errors
/// The system's, when it refuses a socket, a handler or a thread.
#[cfg(unix)]
pub fn install(world: &std::sync::Arc<dyn crate::world::World>) -> std::io::Result<Installed> {
    Installed::new(std::sync::Arc::clone(world))
}

#[cfg(unix)]
mod unix {
    use crate::world::World;
    use signal_hook_registry::{SigId, register, unregister};
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::thread::JoinHandle;

    const SIGNALS: [i32; 2] = [libc::SIGTERM, libc::SIGINT];
    /// What the handler writes, and what ends the thread.
    const RAISED: u8 = 1;
    const END: u8 = 0;

    /// Signals are delivered while it lives.
    #[derive(Debug)]
    pub struct Installed {
        /// Declared first: handlers are gone before the socket they write to is closed.
        handlers: Vec<SigId>,
        end: Arc<UnixStream>,
        thread: Option<JoinHandle<()>>,
    }

    impl Installed {
        pub(super) fn new(world: Arc<dyn World>) -> io::Result<Self> {
            let (mut receiver, sender) = UnixStream::pair()?;
            // A handler must not wait, whatever happens on the other side.
            sender.set_nonblocking(true)?;
            let deliver = move || {
                let mut byte = [END];
                // Closed, or told to: either way nothing more will come.
                while receiver.read_exact(&mut byte).is_ok() && byte[0] == RAISED {
                    world.shutdown().request();
                }
            };
            let thread = std::thread::Builder::new()
                .name("signals".into())
                .spawn(deliver)?;
            let end = Arc::new(sender);
            let mut installed = Installed {
                handlers: Vec::new(),
                end,
                thread: Some(thread),
            };
            for signal in SIGNALS {
                let sender = Arc::clone(&installed.end);
                let write = move || {
                    let byte = [RAISED];
                    // SAFETY: `send` is async-signal-safe, the descriptor is kept
                    // open by `sender`, and the buffer lives on this stack. With a
                    // full socket the signal was raised often enough already.
                    unsafe {
                        libc::send(
                            sender.as_raw_fd(),
                            byte.as_ptr().cast(),
                            1,
                            libc::MSG_DONTWAIT,
                        )
                    };
                };
                // SAFETY: the action calls one async-signal-safe function, and
                // keeps the thread's `errno` only as far as `send` changes it,
                // which the registry restores.
                installed.handlers.push(unsafe { register(signal, write) }?);
            }
            Ok(installed)
        }
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            for handler in self.handlers.drain(..) {
                unregister(handler);
            }
            // The socket is empty enough for one byte: the thread reads it all the time.
            let _ = self.end.set_nonblocking(false);
            let _ = (&*self.end).write_all(&[END]);
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    /// Signals are delivered while it lives; here there are none.
    #[derive(Debug)]
    pub struct Installed(());

    /// Does nothing on this system, where interrupting the program ends it.
    ///
    /// # Errors
    /// None.
    pub fn install(_: &std::sync::Arc<dyn crate::world::World>) -> std::io::Result<Installed> {
        Ok(Installed(()))
    }
}

#[cfg(not(unix))]
pub use other::{Installed, install};
