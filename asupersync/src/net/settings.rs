//! Options of sockets that exist.

use super::datagrams::DatagramSocket;
#[cfg(unix)]
use super::family::Family;
use super::family::Ip;
use super::listener::SocketListener;
use super::stream::SocketStream;
use crate::world::Endpoint;
use crate::world::net::{Choice, Device, Group, Keepalive, Setting};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A method that sets and one that asks per option.
macro_rules! settings {
    ($t:ty: $($what:literal, $set:ident, $get:ident, $choice:ident($value:ty);)*) => {
        impl $t {$(
            #[doc = concat!("Sets ", $what)]
            ///
            /// # Errors
            /// The system's; in the lab, see [`TcpSocket`](super::TcpSocket).
            pub fn $set(&self, value: $value) -> io::Result<()> {
                set(&*self.inner, Setting::$choice(value))
            }

            #[doc = concat!("Tells ", $what)]
            ///
            /// # Errors
            /// The system's.
            pub fn $get(&self) -> io::Result<$value> {
                match self.inner.ask(Choice::$choice)? {
                    Setting::$choice(value) => Ok(value),
                    other => unreachable!("asked for {:?}, told {other:?}", Choice::$choice),
                }
            }
        )*}
    };
}

settings! { SocketStream<Ip>:
    "what is asked of the network for what is sent: the TOS byte of IPv4 (`set_tos` and `set_tos_v4` in tokio), the traffic class of IPv6.", set_traffic_class, traffic_class, TrafficClass(u32);
    "whether what arrives is acknowledged at once. The system changes it as the connection goes on, so it is set again and again. Linux only.", set_quickack, quickack, QuickAck(bool);
    "whether small writes go out at once instead of waiting for more.", set_nodelay, nodelay, NoDelay(bool);
    "how an idle connection is probed, if at all.", set_keepalive, keepalive, Keepalive(Option<Keepalive>);
    "what closing does: zero resets the connection, `None` sends what is left. Longer times are refused, because they block the thread that closes.", set_linger, linger, Linger(Option<Duration>);
    "how many hops packets may take.", set_ttl, ttl, Ttl(u32);
    "how many bytes the system keeps until they are sent.", set_send_buffer_size, send_buffer_size, SendBuffer(usize);
    "how many bytes the system keeps until they are read.", set_recv_buffer_size, recv_buffer_size, RecvBuffer(usize);
}

settings! { SocketListener<Ip>:
    "how many hops packets may take.", set_ttl, ttl, Ttl(u32);
}

settings! { DatagramSocket<Ip>:
    "what is asked of the network for what is sent: the TOS byte of IPv4 (`set_tos` and `set_tos_v4` in tokio), the traffic class of IPv6.", set_traffic_class, traffic_class, TrafficClass(u32);
    "whether datagrams may go to broadcast addresses.", set_broadcast, broadcast, Broadcast(bool);
    "how many hops datagrams may take.", set_ttl, ttl, Ttl(u32);
    "whether datagrams to groups come back to this host.", set_multicast_loop, multicast_loop, MulticastLoop(bool);
    "how many hops datagrams to groups may take.", set_multicast_ttl, multicast_ttl, MulticastTtl(u32);
    "how many bytes the system keeps until they are sent.", set_send_buffer_size, send_buffer_size, SendBuffer(usize);
    "how many bytes the system keeps until they are received.", set_recv_buffer_size, recv_buffer_size, RecvBuffer(usize);
}

/// The system's descriptor of a socket, whatever its family.
macro_rules! descriptor {
    ($t:ident) => {
        #[cfg(unix)]
        impl<F: Family> $t<F> {
            /// The system's descriptor, for what has no name here: an option that a
            /// platform has, or a call that passes descriptors on.
            ///
            /// It stays non-blocking and registered; whoever makes it blocking keeps a
            /// worker. It is not `AsFd`, since not every world has descriptors.
            ///
            /// # Errors
            /// `Unsupported` in the lab.
            pub fn try_as_fd(&self) -> io::Result<BorrowedFd<'_>> {
                self.inner.descriptor()
            }
        }
    };
}
descriptor!(SocketStream);
descriptor!(SocketListener);
descriptor!(DatagramSocket);

macro_rules! device {
    ($t:ty) => {
        impl $t {
            /// The interface that its traffic goes through, if it was bound to one.
            ///
            /// # Errors
            /// The system's.
            pub fn device(&self) -> io::Result<Option<String>> {
                match self.inner.ask(Choice::Device)? {
                    Setting::Device(device) => {
                        Ok(device.map(|d| String::from_utf8_lossy(d.name()).into_owned()))
                    }
                    other => unreachable!("asked for the device, told {other:?}"),
                }
            }
        }
    };
}
device!(SocketStream<Ip>);
device!(SocketListener<Ip>);
device!(DatagramSocket<Ip>);

impl DatagramSocket<Ip> {
    /// Lets its traffic go through this interface alone, or through any again.
    /// Linux only.
    ///
    /// # Errors
    /// The system's: `PermissionDenied` if the process may not, or may not any
    /// more; `Unsupported` in the lab.
    pub fn bind_device(&self, interface: Option<&str>) -> io::Result<()> {
        set(&*self.inner, Setting::Device(interface.map(Device::new)))
    }
}

/// Membership of groups; the lab has none.
impl DatagramSocket<Ip> {
    /// Receives what is sent to a group, on the interface with the address
    /// `interface`; 0.0.0.0 lets the system choose.
    ///
    /// # Errors
    /// The system's; `Unsupported` in the lab.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.inner.set(Setting::Join(Group::V4(group, interface)))
    }

    /// Ends what [`DatagramSocket::join_multicast_v4`] began.
    ///
    /// # Errors
    /// The system's; `Unsupported` in the lab.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.inner.set(Setting::Leave(Group::V4(group, interface)))
    }

    /// Receives what is sent to a group, on the interface with the index
    /// `interface`; 0 lets the system choose.
    ///
    /// # Errors
    /// The system's; `Unsupported` in the lab.
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.set(Setting::Join(Group::V6(group, interface)))
    }

    /// Ends what [`DatagramSocket::join_multicast_v6`] began.
    ///
    /// # Errors
    /// The system's; `Unsupported` in the lab.
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.set(Setting::Leave(Group::V6(group, interface)))
    }
}

/// Sets an option that may be set.
fn set<E: Endpoint + ?Sized>(socket: &E, setting: Setting) -> io::Result<()> {
    check(setting)?;
    socket.set(setting)
}

/// Whether an option may be set: closing must not block, not even a socket whose
/// other operations do not, and names must be some.
pub(super) fn check(setting: Setting) -> io::Result<()> {
    match setting {
        Setting::Linger(Some(linger)) if !linger.is_zero() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "closing would block a worker; linger for zero to reset, or await the peer's end of the stream after `shutdown`",
        )),
        Setting::Device(Some(device)) if !device.is_valid() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name of an interface has 1 to 15 bytes; `lo` is one",
        )),
        _ => Ok(()),
    }
}
