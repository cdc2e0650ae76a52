//! AM052: datagrams.

use super::{Family, Form, Rule, Safety, associated, form, kept, path, plain, with_cx};

const F: Family = Family::Io;

const OPTION: &str =
    "options come by `UdpSocket::from_std`: set them on the standard library's socket";

pub(super) const RULE: Rule = Rule {
    code: "AM052",
    title: "`UdpSocket`",
    safety: Safety::Safe,
    before: "
let socket = UdpSocket::bind(\"0.0.0.0:0\").await?;
let (length, from) = socket.recv_from(&mut buffer).await?;
socket.send_to(&buffer[..length], from).await?;",
    after: "
let socket = UdpSocket::bind(cx, \"0.0.0.0:0\").await?;
let (length, from) = socket.recv_from(cx, &mut buffer).await?;
socket.send_to(cx, &buffer[..length], from).await?;",
    why: "
Every operation that may wait takes the `Cx`, and loses no datagram when it is cancelled. A datagram is sent to one `SocketAddr`: where
the code names a host, resolve it first.",
    items: &[
        path("tokio::net::UdpSocket", F, "asupersync::net::UdpSocket"),
        associated("tokio::net::UdpSocket::bind", F, true),
        associated("tokio::net::UdpSocket::from_std", F, true),
        with_cx("tokio::net::UdpSocket::connect", F),
        with_cx("tokio::net::UdpSocket::send", F),
        form("tokio::net::UdpSocket::send_to", F, Form::SendTo),
        with_cx("tokio::net::UdpSocket::recv", F),
        with_cx("tokio::net::UdpSocket::recv_from", F),
        with_cx("tokio::net::UdpSocket::peek", F),
        with_cx("tokio::net::UdpSocket::peek_from", F),
        with_cx("tokio::net::UdpSocket::readable", F),
        plain("tokio::net::UdpSocket::try_send", F),
        plain("tokio::net::UdpSocket::try_recv", F),
        plain("tokio::net::UdpSocket::try_recv_from", F),
        plain("tokio::net::UdpSocket::local_addr", F),
        plain("tokio::net::UdpSocket::peer_addr", F),
        plain("tokio::net::UdpSocket::take_error", F),
        plain("tokio::net::UdpSocket::into_std", F),
        kept("tokio::net::UdpSocket::set_broadcast", F, OPTION),
        kept("tokio::net::UdpSocket::set_ttl", F, OPTION),
        kept("tokio::net::UdpSocket::set_multicast_loop_v4", F, OPTION),
        kept("tokio::net::UdpSocket::set_multicast_ttl_v4", F, OPTION),
        kept("tokio::net::UdpSocket::join_multicast_v4", F, OPTION),
        kept("tokio::net::UdpSocket::join_multicast_v6", F, OPTION),
        kept("tokio::net::UdpSocket::leave_multicast_v4", F, OPTION),
        kept("tokio::net::UdpSocket::leave_multicast_v6", F, OPTION),
        kept(
            "tokio::net::lookup_host",
            F,
            "`net::resolve` takes a host and a port, and gives all addresses; `bind` and `connect` resolve names themselves",
        ),
    ],
};
