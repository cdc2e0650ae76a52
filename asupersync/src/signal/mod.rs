//! The process's wish to stop, as a future, and the signals that express it.
//!
//! The first SIGTERM or SIGINT resolves every [`ShutdownSignal`]; if nobody
//! waits for one, it cancels the root region. The second cancels it in any case.

#[cfg(unix)]
mod handler;
mod install;
mod shutdown;

#[doc(hidden)]
pub use install::{Installed, install};
pub use shutdown::ShutdownSignal;
