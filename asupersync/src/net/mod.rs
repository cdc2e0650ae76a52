//! TCP over the world's network: real sockets in production, virtual ones in the lab.
//!
//! The types are the same in both worlds, and so is every line of code between
//! them and the port. Invariants:
//!
//! 1. one task waits per direction of a stream, which `&mut self` enforces;
//! 2. a connection is either in the listener's queue or returned: a cancelled
//!    or dropped `accept` loses none;
//! 3. dropping the last part of a stream closes it.
//!
//! Cancel classes are in [`CANCEL_CLASS`](crate::io::CANCEL_CLASS).

mod addrs;
mod connect;
mod listener;
mod stream;

pub use addrs::ToAddrs;
pub use listener::{Accept, TcpListener};
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf};
