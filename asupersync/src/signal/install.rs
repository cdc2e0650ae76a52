//! SIGTERM and SIGINT as wishes to stop.

#[cfg(unix)]
pub use unix::Installed;

/// Delivers SIGTERM and SIGINT to the world's shutdown until the value is dropped. After the
/// last of them they do again what they did before the first.
///
/// # Errors
/// The system's, when it refuses a socket, a handler or a thread.
#[cfg(unix)]
pub fn install(world: &std::sync::Arc<dyn crate::world::World>) -> std::io::Result<Installed> {
    Installed::new(world)
}

#[cfg(unix)]
mod unix {
    use crate::signal::delivery::Subscription;
    use crate::world::World;
    use std::fmt;
    use std::io;
    use std::sync::Arc;

    /// Signals are delivered while it lives.
    pub struct Installed {
        _subscriptions: [Subscription; 2],
    }

    impl Installed {
        pub(super) fn new(world: &Arc<dyn World>) -> io::Result<Self> {
            let stop = |signal| Subscription::to_stop(Arc::clone(world), signal);
            Ok(Installed {
                _subscriptions: [stop(libc::SIGTERM)?, stop(libc::SIGINT)?],
            })
        }
    }

    impl fmt::Debug for Installed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Installed").finish_non_exhaustive()
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
