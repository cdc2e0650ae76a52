//! The two families of sockets, which share all code but their addresses.

use crate::world::{Addr, UnixAddr};
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// What a socket's addresses are like: [`Ip`] or [`Unix`].
pub trait Family: sealed::Narrow + fmt::Debug + Send + Sync + Unpin + 'static {
    /// Its addresses.
    type Addr: Clone + fmt::Debug + fmt::Display + Into<Addr>;
}

/// Sockets of hosts and ports: TCP and UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ip;

/// Sockets of this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unix;

impl Family for Ip {
    type Addr = SocketAddr;
}

impl Family for Unix {
    type Addr = UnixAddr;
}

pub(super) mod sealed {
    use super::*;

    pub trait Narrow {
        /// As reports call a stream, a listener and a datagram socket.
        const NAMES: [&'static str; 3];

        /// An address of this family.
        fn narrow(addr: Addr) -> io::Result<Self::Addr>
        where
            Self: Family;
    }

    impl Narrow for Ip {
        const NAMES: [&'static str; 3] = ["TcpStream", "TcpListener", "UdpSocket"];

        fn narrow(addr: Addr) -> io::Result<SocketAddr> {
            match addr {
                Addr::Ip(addr) => Ok(addr),
                Addr::Unix(_) => Err(foreign("a Unix", "Unix")),
            }
        }
    }

    impl Narrow for Unix {
        const NAMES: [&'static str; 3] = ["UnixStream", "UnixListener", "UnixDatagram"];

        fn narrow(addr: Addr) -> io::Result<UnixAddr> {
            match addr {
                Addr::Unix(addr) => Ok(addr),
                Addr::Ip(_) => Err(foreign("an internet", "Tcp or Udp")),
            }
        }
    }
}

fn foreign(what: &str, types: &str) -> io::Error {
    let message = format!("this is {what} socket; use the {types} types");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
