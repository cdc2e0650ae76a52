//! TCP, UDP and Unix sockets over the world's network: real sockets in production, virtual ones in the lab.
//!
//! The types are the same in both worlds, and so is every line of code between
//! them and the port. Those of TCP and UDP and those of Unix sockets are one
//! type each for streams, listeners and datagrams, with a [`Family`] of
//! addresses. Invariants:
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
mod back_off;
mod connect;
mod datagrams;
mod family;
mod listener;
mod settings;
mod stream;
mod tcp;
mod udp;
mod unix;

pub use crate::world::net::{Credentials, Keepalive, UnixAddr};
pub use addrs::{ToAddrs, resolve};
pub use datagrams::{DatagramSocket, Receivable, Recv, RecvFrom, Send};
pub use family::{Family, Ip, Unix};
pub use listener::{Accept, SocketListener};
pub use stream::{
    OwnedReadHalf, OwnedWriteHalf, Peek, ReadHalf, Readable, ReuniteError, SocketStream, Writable,
    WriteHalf,
};
pub use tcp::{TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream, remove_socket_file};

use crate::io::CancelClass;

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("resolve", CancelClass::Safe),
    ("TcpListener::bind", CancelClass::Safe),
    ("TcpListener::accept", CancelClass::Safe),
    ("TcpSocket::listen", CancelClass::Safe),
    ("TcpSocket::connect", CancelClass::Lossy),
    ("TcpStream::connect", CancelClass::Lossy),
    ("TcpStream::peek", CancelClass::Safe),
    ("TcpStream::readable", CancelClass::Safe),
    ("TcpStream::writable", CancelClass::Safe),
    ("UdpSocket::bind", CancelClass::Safe),
    ("UdpSocket::connect", CancelClass::Safe),
    ("UdpSocket::send", CancelClass::Safe),
    ("UdpSocket::send_to", CancelClass::Safe),
    ("UdpSocket::recv", CancelClass::Safe),
    ("UdpSocket::recv_from", CancelClass::Safe),
    ("UdpSocket::readable", CancelClass::Safe),
    ("UdpSocket::peek", CancelClass::Safe),
    ("UdpSocket::peek_from", CancelClass::Safe),
    ("UnixListener::bind", CancelClass::Safe),
    ("UnixListener::accept", CancelClass::Safe),
    ("UnixSocket::listen", CancelClass::Safe),
    ("UnixSocket::connect", CancelClass::Lossy),
    ("UnixSocket::datagram", CancelClass::Safe),
    ("UnixStream::connect", CancelClass::Lossy),
    ("UnixStream::peek", CancelClass::Safe),
    ("UnixStream::readable", CancelClass::Safe),
    ("UnixStream::writable", CancelClass::Safe),
    ("UnixDatagram::bind", CancelClass::Safe),
    ("UnixDatagram::connect", CancelClass::Safe),
    ("UnixDatagram::send", CancelClass::Safe),
    ("UnixDatagram::send_to", CancelClass::Safe),
    ("UnixDatagram::recv", CancelClass::Safe),
    ("UnixDatagram::recv_from", CancelClass::Safe),
    ("UnixDatagram::readable", CancelClass::Safe),
    ("UnixDatagram::peek", CancelClass::Safe),
    ("UnixDatagram::peek_from", CancelClass::Safe),
    ("remove_socket_file", CancelClass::Lossy),
];
