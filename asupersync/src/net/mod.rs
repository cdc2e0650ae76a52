//! TCP and UDP over the world's network: real sockets in production, virtual ones in the lab.
//!
//! The types are the same in both worlds, and so is every line of code between
//! them and the port. Invariants:
//!
//! 1. one task waits per direction of a stream, which `&mut self` enforces;
//!    operations through `&self` wait in a list, and an event reaches all of it;
//! 2. a connection is either in the listener's queue or returned: a cancelled
//!    or dropped `accept` loses none;
//! 3. dropping the last part of a stream closes it.
//!
//! Cancel classes are in [`CANCEL_CLASS`]; those of reading and writing streams
//! in that of [`io`](crate::io::CANCEL_CLASS).

mod addrs;
mod connect;
mod listener;
mod stream;
mod udp;
mod waiters;

pub use addrs::{ToAddrs, resolve};
pub use listener::{Accept, TcpListener};
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf};
pub use udp::{Recv, RecvFrom, Send, UdpSocket};

use crate::io::CancelClass;

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("resolve", CancelClass::Safe),
    ("TcpListener::bind", CancelClass::Safe),
    ("TcpListener::accept", CancelClass::Safe),
    ("TcpStream::connect", CancelClass::Lossy),
    ("UdpSocket::bind", CancelClass::Safe),
    ("UdpSocket::connect", CancelClass::Safe),
    ("UdpSocket::send", CancelClass::Safe),
    ("UdpSocket::send_to", CancelClass::Safe),
    ("UdpSocket::recv", CancelClass::Safe),
    ("UdpSocket::recv_from", CancelClass::Safe),
];
