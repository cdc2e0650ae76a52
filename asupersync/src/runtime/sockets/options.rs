//! Options of the system's sockets.

use crate::world::net::{Choice, Group, Keepalive, Setting};
use socket2::{Socket, TcpKeepalive};
use std::io;

pub(super) fn set(socket: &Socket, setting: Setting) -> io::Result<()> {
    match setting {
        Setting::NoDelay(on) => socket.set_tcp_nodelay(on),
        Setting::Keepalive(None) => socket.set_keepalive(false),
        Setting::Keepalive(Some(keepalive)) => set_keepalive(socket, keepalive),
        Setting::Linger(linger) => socket.set_linger(linger),
        Setting::Ttl(hops) if is_v6(socket)? => socket.set_unicast_hops_v6(hops),
        Setting::Ttl(hops) => socket.set_ttl_v4(hops),
        Setting::TrafficClass(class) if is_v6(socket)? => socket.set_tclass_v6(class),
        Setting::TrafficClass(class) => socket.set_tos_v4(class),
        Setting::QuickAck(on) => linux::set_quickack(socket, on),
        Setting::Device(device) => linux::bind_device(socket, device),
        Setting::SendBuffer(bytes) => socket.set_send_buffer_size(bytes),
        Setting::RecvBuffer(bytes) => socket.set_recv_buffer_size(bytes),
        Setting::ReuseAddress(on) => socket.set_reuse_address(on),
        Setting::ReusePort(on) => set_reuse_port(socket, on),
        Setting::OnlyV6(on) => socket.set_only_v6(on),
        Setting::Broadcast(on) => socket.set_broadcast(on),
        Setting::MulticastLoop(on) if is_v6(socket)? => socket.set_multicast_loop_v6(on),
        Setting::MulticastLoop(on) => socket.set_multicast_loop_v4(on),
        Setting::MulticastTtl(hops) if is_v6(socket)? => socket.set_multicast_hops_v6(hops),
        Setting::MulticastTtl(hops) => socket.set_multicast_ttl_v4(hops),
        Setting::Join(Group::V4(group, at)) => socket.join_multicast_v4(&group, &at),
        Setting::Join(Group::V6(group, at)) => socket.join_multicast_v6(&group, at),
        Setting::Leave(Group::V4(group, at)) => socket.leave_multicast_v4(&group, &at),
        Setting::Leave(Group::V6(group, at)) => socket.leave_multicast_v6(&group, at),
    }
}

pub(super) fn ask(socket: &Socket, choice: Choice) -> io::Result<Setting> {
    Ok(match choice {
        Choice::NoDelay => Setting::NoDelay(socket.tcp_nodelay()?),
        Choice::Keepalive if !socket.keepalive()? => Setting::Keepalive(None),
        Choice::Keepalive => Setting::Keepalive(Some(keepalive(socket)?)),
        Choice::Linger => Setting::Linger(socket.linger()?),
        Choice::Ttl if is_v6(socket)? => Setting::Ttl(socket.unicast_hops_v6()?),
        Choice::Ttl => Setting::Ttl(socket.ttl_v4()?),
        Choice::TrafficClass if is_v6(socket)? => Setting::TrafficClass(socket.tclass_v6()?),
        Choice::TrafficClass => Setting::TrafficClass(socket.tos_v4()?),
        Choice::QuickAck => Setting::QuickAck(linux::quickack(socket)?),
        Choice::Device => Setting::Device(linux::device(socket)?),
        Choice::SendBuffer => Setting::SendBuffer(socket.send_buffer_size()?),
        Choice::RecvBuffer => Setting::RecvBuffer(socket.recv_buffer_size()?),
        Choice::ReuseAddress => Setting::ReuseAddress(socket.reuse_address()?),
        Choice::ReusePort => Setting::ReusePort(reuse_port(socket)?),
        Choice::OnlyV6 => Setting::OnlyV6(socket.only_v6()?),
        Choice::Broadcast => Setting::Broadcast(socket.broadcast()?),
        Choice::MulticastLoop if is_v6(socket)? => {
            Setting::MulticastLoop(socket.multicast_loop_v6()?)
        }
        Choice::MulticastLoop => Setting::MulticastLoop(socket.multicast_loop_v4()?),
        Choice::MulticastTtl if is_v6(socket)? => {
            Setting::MulticastTtl(socket.multicast_hops_v6()?)
        }
        Choice::MulticastTtl => Setting::MulticastTtl(socket.multicast_ttl_v4()?),
        Choice::Join | Choice::Leave => {
            let message = "the groups of a socket cannot be asked for";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
    })
}

fn is_v6(socket: &Socket) -> io::Result<bool> {
    Ok(socket.local_addr()?.is_ipv6())
}

/// What only Linux has.
#[cfg(target_os = "linux")]
mod linux {
    use crate::world::net::Device;
    use socket2::Socket;
    use std::io;

    pub(super) fn set_quickack(socket: &Socket, on: bool) -> io::Result<()> {
        socket.set_tcp_quickack(on)
    }

    pub(super) fn quickack(socket: &Socket) -> io::Result<bool> {
        socket.tcp_quickack()
    }

    pub(super) fn bind_device(socket: &Socket, device: Option<Device>) -> io::Result<()> {
        socket.bind_device(device.as_ref().map(Device::name))
    }

    pub(super) fn device(socket: &Socket) -> io::Result<Option<Device>> {
        let name = socket.device()?;
        Ok(name.map(|name| Device::new(&String::from_utf8_lossy(&name))))
    }
}

/// What only Linux has.
#[cfg(not(target_os = "linux"))]
mod linux {
    use crate::world::net::Device;
    use socket2::Socket;
    use std::io;

    fn unsupported<T>() -> io::Result<T> {
        let message = "this option is implemented for Linux only";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    pub(super) fn set_quickack(_: &Socket, _: bool) -> io::Result<()> {
        unsupported()
    }

    pub(super) fn quickack(_: &Socket) -> io::Result<bool> {
        unsupported()
    }

    pub(super) fn bind_device(_: &Socket, _: Option<Device>) -> io::Result<()> {
        unsupported()
    }

    pub(super) fn device(_: &Socket) -> io::Result<Option<Device>> {
        Ok(None)
    }
}

fn set_keepalive(socket: &Socket, keepalive: Keepalive) -> io::Result<()> {
    let mut params = TcpKeepalive::new();
    if let Some(time) = keepalive.time {
        params = params.with_time(time);
    }
    if let Some(interval) = keepalive.interval {
        params = params.with_interval(interval);
    }
    if let Some(retries) = keepalive.retries {
        params = params.with_retries(retries);
    }
    socket.set_tcp_keepalive(&params)
}

#[cfg(unix)]
fn keepalive(socket: &Socket) -> io::Result<Keepalive> {
    Ok(Keepalive {
        time: Some(socket.tcp_keepalive_time()?),
        interval: Some(socket.tcp_keepalive_interval()?),
        retries: Some(socket.tcp_keepalive_retries()?),
    })
}

#[cfg(not(unix))]
fn keepalive(_: &Socket) -> io::Result<Keepalive> {
    Ok(Keepalive::new())
}

#[cfg(unix)]
fn set_reuse_port(socket: &Socket, on: bool) -> io::Result<()> {
    socket.set_reuse_port(on)
}

#[cfg(unix)]
fn reuse_port(socket: &Socket) -> io::Result<bool> {
    socket.reuse_port()
}

#[cfg(not(unix))]
fn set_reuse_port(_: &Socket, _: bool) -> io::Result<()> {
    let message = "this system does not share ports among sockets";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

#[cfg(not(unix))]
fn reuse_port(_: &Socket) -> io::Result<bool> {
    Ok(false)
}
