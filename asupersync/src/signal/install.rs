//! From a signal handler to the wish to stop.
//!
//! A handler may do almost nothing, so it writes one byte to a socket; a
//! thread that does nothing else reads it and makes the request.

#[cfg(unix)]
pub use unix::Installed;

/// Delivers SIGTERM and SIGINT to `shutdown` until the value is dropped. After the
/// last of them they do again what they did before the first.
///
/// # Errors
/// The system's, when it refuses a socket, a handler or a thread.
#[cfg(unix)]
pub fn install(world: &std::sync::Arc<dyn crate::world::World>) -> std::io::Result<Installed> {
    Installed::new(std::sync::Arc::clone(world))
}

#[cfg(unix)]
mod unix {
    use crate::signal::handler::{Listener, RAISED};
    use crate::world::World;
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::thread::JoinHandle;

    /// What ends the thread.
    const END: u8 = 0;

    /// Signals are delivered while it lives.
    #[derive(Debug)]
    pub struct Installed {
        /// `None` once the handler writes no more: before the socket is closed.
        listener: Option<Listener>,
        end: UnixStream,
        thread: Option<JoinHandle<()>>,
    }

    impl Installed {
        pub(super) fn new(world: Arc<dyn World>) -> io::Result<Self> {
            let (mut receiver, end) = UnixStream::pair()?;
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
            let mut installed = Installed {
                listener: None,
                end,
                thread: Some(thread),
            };
            installed.listener = Some(Listener::new(installed.end.as_raw_fd())?);
            Ok(installed)
        }
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            self.listener = None;
            // The thread reads all the time, so there is room for one byte soon.
            let _ = self.end.write_all(&[END]);
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
