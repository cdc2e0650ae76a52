//! Options of sockets, in every world where the world models them.

mod worlds;

use asupersync::io::{ReadExt, WriteExt};
use asupersync::lab::NetModel;
use asupersync::net::{Keepalive, TcpListener, TcpSocket, TcpStream, UdpSocket};
use asupersync::{Cx, LabConfig, LabRuntime, Scope};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use worlds::{current_thread, everywhere};

const LOCAL: &str = "127.0.0.1:0";

/// A connection made with `socket`, client first.
async fn connected(cx: &Cx, socket: &TcpSocket) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(cx, LOCAL).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let client = socket.connect(cx, addr).await.unwrap();
    let (server, _) = listener.accept(cx).await.unwrap();
    (client, server)
}

#[test]
fn options_are_kept_and_told() {
    everywhere(async |cx: Scope| {
        let probes = Keepalive::new()
            .time(Duration::from_secs(40))
            .interval(Duration::from_secs(5))
            .retries(7);
        let socket = TcpSocket::new()
            .nodelay(true)
            .keepalive(probes)
            .linger(Some(Duration::ZERO))
            .ttl(9)
            .traffic_class(0x10)
            .reuse_address(true)
            .send_buffer_size(32 * 1024)
            .recv_buffer_size(32 * 1024);
        let (client, server) = connected(&cx, &socket).await;
        assert!(client.nodelay().unwrap());
        assert_eq!(client.keepalive().unwrap(), Some(probes));
        assert_eq!(client.linger().unwrap(), Some(Duration::ZERO));
        assert_eq!(client.ttl().unwrap(), 9);
        assert_eq!(client.traffic_class().unwrap(), 0x10);
        assert_eq!(server.traffic_class().unwrap(), 0);
        server.set_traffic_class(0x08).unwrap();
        assert_eq!(server.traffic_class().unwrap(), 0x08);
        assert_eq!(client.device().unwrap(), None);
        // The system may keep more than it was asked to.
        assert!(client.send_buffer_size().unwrap() >= 32 * 1024);
        assert!(client.recv_buffer_size().unwrap() >= 32 * 1024);
        // What was not set is the system's, and can be set afterwards.
        assert!(!server.nodelay().unwrap());
        assert_eq!(server.keepalive().unwrap(), None);
        assert_eq!(server.linger().unwrap(), None);
        server.set_nodelay(true).unwrap();
        server.set_keepalive(Some(probes)).unwrap();
        server.set_ttl(3).unwrap();
        server.set_send_buffer_size(16 * 1024).unwrap();
        server.set_recv_buffer_size(16 * 1024).unwrap();
        assert!(server.nodelay().unwrap());
        assert_eq!(server.keepalive().unwrap(), Some(probes));
        assert_eq!(server.ttl().unwrap(), 3);
        server.set_keepalive(None).unwrap();
        assert_eq!(server.keepalive().unwrap(), None);
        assert!(client.take_error().unwrap().is_none());
    });
}

#[test]
fn a_listener_passes_its_options_on() {
    everywhere(async |cx: Scope| {
        let socket = TcpSocket::new().nodelay(true).ttl(11);
        let listener = socket.listen(&cx, LOCAL).await.unwrap();
        assert!(listener.take_error().unwrap().is_none());
        assert_eq!(listener.ttl().unwrap(), 11);
        let addr = listener.local_addr().unwrap();
        let _client = TcpStream::connect(&cx, addr).await.unwrap();
        let (server, _) = listener.accept(&cx).await.unwrap();
        assert!(server.nodelay().unwrap());
        listener.set_ttl(12).unwrap();
        assert_eq!(listener.ttl().unwrap(), 12);
    });
}

#[test]
fn a_connection_leaves_from_the_address_it_was_bound_to() {
    everywhere(async |cx: Scope| {
        let from: IpAddr = Ipv4Addr::new(127, 0, 0, 2).into();
        let socket = TcpSocket::new().bind(SocketAddr::new(from, 0));
        let (client, server) = connected(&cx, &socket).await;
        assert_eq!(client.local_addr().unwrap().ip(), from);
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        let elsewhere = socket.connect(&cx, "[::1]:9").await.unwrap_err();
        assert!(elsewhere.to_string().contains("[::1]:9"), "{elsewhere}");
        // The port is taken by the connection that has it.
        let taken = TcpSocket::new().bind(client.local_addr().unwrap());
        let other = TcpListener::bind(&cx, client.local_addr().unwrap()).await;
        let taken = taken.connect(&cx, server.local_addr().unwrap()).await;
        assert!(taken.is_err(), "{taken:?}");
        drop(other);
    });
}

#[test]
fn lingering_for_zero_resets_and_longer_is_refused() {
    everywhere(async |cx: Scope| {
        let (client, mut server) = connected(&cx, &TcpSocket::new()).await;
        client.set_linger(Some(Duration::ZERO)).unwrap();
        let refused = client.set_linger(Some(Duration::from_secs(1))).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("shutdown"), "{refused}");
        drop(client);
        let reset = server.read(&cx, &mut [0; 4]).await.unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        let socket = TcpSocket::new().linger(Some(Duration::from_secs(1)));
        let refused = socket.listen(&cx, LOCAL).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_peek_takes_nothing() {
    everywhere(async |cx: Scope| {
        let (mut client, mut server) = connected(&cx, &TcpSocket::new()).await;
        client.write_all(&cx, b"look").await.unwrap();
        let mut buf = [0; 8];
        for _ in 0..2 {
            let n = server.peek(&cx, &mut buf).await.unwrap();
            assert!(n > 0 && b"look".starts_with(&buf[..n]));
        }
        let (mut read, _write) = server.into_split();
        assert!(read.peek(&cx, &mut buf).await.unwrap() > 0);
        read.read_exact(&cx, &mut buf[..4]).await.unwrap();
        assert_eq!(&buf[..4], b"look");
        client.shutdown(&cx).await.unwrap();
        assert_eq!(read.peek(&cx, &mut buf).await.unwrap(), 0);

        let (a, b) = (
            UdpSocket::bind(&cx, LOCAL).await.unwrap(),
            UdpSocket::bind(&cx, LOCAL).await.unwrap(),
        );
        a.send_to(&cx, b"datagram", b.local_addr().unwrap())
            .await
            .unwrap();
        let from = a.local_addr().unwrap();
        assert_eq!(b.peek_from(&cx, &mut buf[..4]).await.unwrap(), (4, from));
        assert_eq!(b.peek(&cx, &mut buf).await.unwrap(), 8);
        assert_eq!(b.recv_from(&cx, &mut buf).await.unwrap(), (8, from));
        assert_eq!(&buf, b"datagram");
    });
}

#[test]
fn options_of_datagram_sockets() {
    everywhere(async |cx: Scope| {
        let socket = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        socket.set_ttl(5).unwrap();
        socket.set_traffic_class(0x20).unwrap();
        assert_eq!(socket.traffic_class().unwrap(), 0x20);
        socket.set_multicast_loop(false).unwrap();
        socket.set_multicast_ttl(6).unwrap();
        socket.set_send_buffer_size(32 * 1024).unwrap();
        socket.set_recv_buffer_size(32 * 1024).unwrap();
        assert!(socket.broadcast().unwrap());
        assert_eq!(socket.ttl().unwrap(), 5);
        assert!(!socket.multicast_loop().unwrap());
        assert_eq!(socket.multicast_ttl().unwrap(), 6);
        assert!(socket.send_buffer_size().unwrap() >= 32 * 1024);
        assert!(socket.recv_buffer_size().unwrap() >= 32 * 1024);
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn broadcast_is_for_those_who_ask_and_groups_are_joined_once() {
    current_thread(async |cx: Scope| {
        let all = UdpSocket::bind(&cx, "0.0.0.0:0").await.unwrap();
        let to: SocketAddr = ([127, 255, 255, 255], all.local_addr().unwrap().port()).into();
        let sender = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        let refused = sender.send_to(&cx, b"all", to).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        sender.set_broadcast(true).unwrap();
        sender.send_to(&cx, b"all", to).await.unwrap();
        assert_eq!(all.recv(&cx, &mut [0; 4]).await.unwrap(), 3);

        let (group, here) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::LOCALHOST);
        all.join_multicast_v4(group, here).unwrap();
        assert!(
            all.join_multicast_v4(group, here).is_err(),
            "it is a member"
        );
        all.leave_multicast_v4(group, here).unwrap();
        assert!(all.leave_multicast_v4(group, here).is_err(), "it is none");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn acknowledgements_are_sent_at_once_if_asked_for() {
    everywhere(async |cx: Scope| {
        let (client, _server) = connected(&cx, &TcpSocket::new()).await;
        for on in [false, true] {
            client.set_quickack(on).unwrap();
            assert_eq!(client.quickack().unwrap(), on);
        }
    });
}

#[test]
fn a_traffic_class_is_that_of_the_family() {
    everywhere(async |cx: Scope| {
        let socket = TcpSocket::new().traffic_class(0x60);
        let listener = match socket.listen(&cx, "[::1]:0").await {
            Ok(listener) => listener,
            Err(e) => return println!("skipped, there is no IPv6 here: {e}"),
        };
        let client = socket
            .connect(&cx, listener.local_addr().unwrap())
            .await
            .unwrap();
        assert_eq!(client.traffic_class().unwrap(), 0x60);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_keeps_to_the_interface_it_is_bound_to() {
    current_thread(async |cx: Scope| {
        let socket = TcpSocket::new().bind_device("lo");
        let listener = match socket.listen(&cx, LOCAL).await {
            Ok(listener) => listener,
            // It was for the superuser alone before Linux 5.7.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return,
            Err(e) => panic!("{e}"),
        };
        assert_eq!(listener.device().unwrap().as_deref(), Some("lo"));
        let client = socket
            .connect(&cx, listener.local_addr().unwrap())
            .await
            .unwrap();
        assert_eq!(client.device().unwrap().as_deref(), Some("lo"));
        let udp = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        assert_eq!(udp.device().unwrap(), None);
        udp.bind_device(Some("lo")).unwrap();
        assert_eq!(udp.device().unwrap().as_deref(), Some("lo"));
        let e = udp.bind_device(Some("no-such-thing")).unwrap_err();
        assert!(e.raw_os_error().is_some(), "{e}");
    });
}

#[test]
fn no_interface_has_such_a_name_and_the_lab_has_none() {
    everywhere(async |cx: Scope| {
        for name in ["", "a-name-of-16-byte", "a-name-of-many-more-bytes"] {
            let socket = TcpSocket::new().bind_device(name);
            let e = socket.listen(&cx, LOCAL).await.unwrap_err();
            assert_eq!(e.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    });
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let e = TcpSocket::new().bind_device("lo").listen(&cx, LOCAL).await;
        assert_eq!(e.unwrap_err().kind(), io::ErrorKind::Unsupported);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_option_without_a_name_is_set_through_the_descriptor() {
    current_thread(async |cx: Scope| {
        let (mut client, mut server) = connected(&cx, &TcpSocket::new()).await;
        let timeout = Duration::from_millis(7500);
        let fd = client.try_as_fd().unwrap();
        let socket = socket2::SockRef::from(&fd);
        socket.set_tcp_user_timeout(Some(timeout)).unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(timeout));
        // It is the socket itself, and goes on as it was.
        let name = socket.local_addr().unwrap().as_socket();
        assert_eq!(name, Some(client.local_addr().unwrap()));
        client.write_all(&cx, b"on").await.unwrap();
        let mut buf = [0; 2];
        server.read_exact(&cx, &mut buf).await.unwrap();
        assert_eq!(&buf, b"on");
        let udp = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        assert!(udp.try_as_fd().is_ok());
    });
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let (client, _server) = connected(&cx, &TcpSocket::new()).await;
        let e = client.try_as_fd().unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::Unsupported);
    });
}

#[cfg(unix)]
#[test]
fn listeners_share_a_port_if_all_say_so() {
    current_thread(async |cx: Scope| {
        let socket = TcpSocket::new().reuse_port(true);
        let first = socket.listen(&cx, LOCAL).await.unwrap();
        let addr = first.local_addr().unwrap();
        let _second = socket.listen(&cx, addr).await.unwrap();
        let refused = TcpListener::bind(&cx, addr).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    });
}

#[test]
fn an_ipv6_listener_takes_ipv4_if_it_is_told_to() {
    current_thread(async |cx: Scope| {
        for only in [false, true] {
            let listener = match TcpSocket::new().only_v6(only).listen(&cx, "[::]:0").await {
                Ok(listener) => listener,
                Err(e) => return println!("skipped, there is no IPv6 here: {e}"),
            };
            let port = listener.local_addr().unwrap().port();
            let over_v4 = TcpStream::connect(&cx, (Ipv4Addr::LOCALHOST, port)).await;
            assert_eq!(over_v4.is_err(), only, "{over_v4:?}");
        }
    });
}

#[test]
fn the_lab_keeps_the_backlog_and_says_what_it_does_not_do() {
    let model = NetModel::default().latency(Duration::ZERO, Duration::ZERO);
    LabRuntime::new(LabConfig::default().network(model)).run(async |cx: Scope| {
        let listener = TcpSocket::new()
            .backlog(1)
            .listen(&cx, LOCAL)
            .await
            .unwrap();
        let addr = listener.local_addr().unwrap();
        let _first = TcpStream::connect(&cx, addr).await.unwrap();
        let start = cx.now();
        let second = TcpStream::connect(&cx, addr).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::TimedOut);
        assert_eq!(cx.now() - start, Duration::from_secs(127));

        let udp = UdpSocket::bind(&cx, LOCAL).await.unwrap();
        let group = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::LOCALHOST);
        let refused = [
            TcpSocket::new()
                .reuse_port(true)
                .listen(&cx, LOCAL)
                .await
                .map(drop),
            TcpSocket::new()
                .only_v6(false)
                .listen(&cx, "[::]:0")
                .await
                .map(drop),
            udp.join_multicast_v4(group.0, group.1),
            udp.leave_multicast_v4(group.0, group.1),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::Unsupported);
        }
    });
}

#[test]
fn sockets_of_the_standard_library_come_and_go() {
    current_thread(async |cx: Scope| {
        let listener = std::net::TcpListener::bind(LOCAL).unwrap();
        let listener = TcpListener::from_std(&cx, listener).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut theirs = std::net::TcpStream::connect(addr).unwrap();
        let (server, _) = listener.accept(&cx).await.unwrap();
        // Out and in again: the registration moves, the connection stays.
        let mut server = TcpStream::from_std(&cx, server.into_std().unwrap()).unwrap();
        io::Write::write_all(&mut theirs, b"hello").unwrap();
        let mut buf = [0; 5];
        server.read_exact(&cx, &mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");
        assert_eq!(listener.into_std().unwrap().local_addr().unwrap(), addr);

        let udp = UdpSocket::from_std(&cx, std::net::UdpSocket::bind(LOCAL).unwrap()).unwrap();
        let to = udp.local_addr().unwrap();
        udp.send_to(&cx, b"self", to).await.unwrap();
        assert_eq!(udp.recv(&cx, &mut buf).await.unwrap(), 4);
        assert_eq!(udp.into_std().unwrap().local_addr().unwrap(), to);
        // A socket of another family is told from the address.
        #[cfg(unix)]
        {
            let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
            let unix = std::net::TcpStream::from(std::os::fd::OwnedFd::from(unix));
            let unix = TcpStream::from_std(&cx, unix).unwrap();
            let foreign = unix.local_addr().unwrap_err();
            assert!(foreign.to_string().contains("Unix"), "{foreign}");
        }
    });
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let foreign = std::net::TcpListener::bind(LOCAL).unwrap();
        let refused = TcpListener::from_std(&cx, foreign).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let ours = TcpListener::bind(&cx, LOCAL).await.unwrap();
        assert_eq!(
            ours.into_std().unwrap_err().kind(),
            io::ErrorKind::Unsupported
        );
    });
}
