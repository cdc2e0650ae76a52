//! Signals of the process: the wish to stop, as a future, and any other, as a stream.
//!
//! The first SIGTERM or SIGINT resolves every [`ShutdownSignal`]; if nobody
//! waits for one, it cancels the root region. The second cancels it in any case,
//! unless a stream of that signal is open ([`unix`]).

#[cfg(unix)]
mod delivery;
#[cfg(unix)]
mod handler;
mod install;
mod shutdown;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use delivery::Subscription;
#[doc(hidden)]
pub use install::{Installed, install};
pub use shutdown::ShutdownSignal;
#[cfg(unix)]
pub use unix::{CANCEL_CLASS, Recv, Signal, SignalKind, ctrl_c, unix};
