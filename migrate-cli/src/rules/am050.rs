//! AM050: sockets and byte streams.

use super::{Family, Fix, Item, Rule, Safety, associated, function, method, path, plain, with_cx};

const F: Family = Family::Io;

const fn carried(from: &'static str, cx: bool) -> Item {
    method(from, F, cx, Fix::Same, true)
}

pub(super) const RULE: Rule = Rule {
    code: "AM050",
    title: "TCP, byte streams and their wrappers",
    safety: Safety::Safe,
    before: "
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
let (stream, _) = listener.accept().await?;
let (read, mut write) = stream.into_split();
let mut lines = BufReader::new(read).lines();
while let Some(line) = lines.next_line().await? {
    write.write_all(line.as_bytes()).await?;
}",
    after: "
use asupersync::io::{BufReadExt, BufReader, WriteExt};
let (stream, _) = listener.accept(cx).await?;
let (read, mut write) = stream.into_split();
let mut lines = BufReader::new(read).lines();
while let Some(line) = lines.next_line(cx).await? {
    write.write_all(cx, line.as_bytes()).await?;
}",
    why: "
Every operation that may wait takes the `Cx` and fails with an `io::Error` that wraps `Cancelled` when the task is asked to stop.
A stream moves together with everything it flows into; where one of those has no counterpart, all of them stay on tokio.",
    items: &[
        path("tokio::net", F, "asupersync::net"),
        path("tokio::io", F, "asupersync::io"),
        path("tokio::net::TcpListener", F, "asupersync::net::TcpListener"),
        path("tokio::net::TcpStream", F, "asupersync::net::TcpStream"),
        path("tokio::net::ToSocketAddrs", F, "asupersync::net::ToAddrs"),
        path("tokio::net::tcp::OwnedReadHalf", F, "asupersync::net::OwnedReadHalf"),
        path("tokio::net::tcp::OwnedWriteHalf", F, "asupersync::net::OwnedWriteHalf"),
        path("tokio::net::tcp::ReuniteError", F, "asupersync::net::ReuniteError"),
        path("tokio::net::tcp::ReadHalf", F, "asupersync::net::ReadHalf"),
        path("tokio::net::tcp::WriteHalf", F, "asupersync::net::WriteHalf"),
        path("tokio::io::AsyncRead", F, "asupersync::io::AsyncRead"),
        path("tokio::io::AsyncWrite", F, "asupersync::io::AsyncWrite"),
        path("tokio::io::AsyncBufRead", F, "asupersync::io::AsyncBufRead"),
        path("tokio::io::AsyncReadExt", F, "asupersync::io::ReadExt"),
        path("tokio::io::AsyncWriteExt", F, "asupersync::io::WriteExt"),
        path("tokio::io::AsyncBufReadExt", F, "asupersync::io::BufReadExt"),
        path("tokio::io::BufReader", F, "asupersync::io::BufReader"),
        path("tokio::io::BufWriter", F, "asupersync::io::BufWriter"),
        path("tokio::io::Lines", F, "asupersync::io::Lines"),
        path("tokio::io::ReadHalf", F, "asupersync::io::ReadHalf"),
        path("tokio::io::WriteHalf", F, "asupersync::io::WriteHalf"),
        associated("tokio::net::TcpListener::bind", F, true),
        associated("tokio::net::TcpStream::connect", F, true),
        associated("tokio::io::BufReader::new", F, false),
        associated("tokio::io::BufReader::with_capacity", F, false),
        associated("tokio::io::BufWriter::new", F, false),
        associated("tokio::io::BufWriter::with_capacity", F, false),
        function("tokio::io::copy", F, "asupersync::io::copy", true),
        function("tokio::io::copy_buf", F, "asupersync::io::copy", true),
        function("tokio::io::copy_bidirectional", F, "asupersync::io::copy_bidirectional", true),
        function("tokio::io::split", F, "asupersync::io::split", false),
        carried("tokio::net::TcpListener::accept", true),
        plain("tokio::net::TcpListener::local_addr", F),
        plain("tokio::net::TcpStream::local_addr", F),
        plain("tokio::net::TcpStream::peer_addr", F),
        plain("tokio::net::TcpStream::set_nodelay", F),
        carried("tokio::net::TcpStream::into_split", false),
        carried("tokio::net::TcpStream::split", false),
        plain("tokio::net::tcp::OwnedReadHalf::peer_addr", F),
        plain("tokio::net::tcp::OwnedReadHalf::local_addr", F),
        carried("tokio::net::tcp::OwnedReadHalf::reunite", false),
        plain("tokio::net::tcp::OwnedWriteHalf::peer_addr", F),
        plain("tokio::net::tcp::OwnedWriteHalf::local_addr", F),
        carried("tokio::net::tcp::OwnedWriteHalf::reunite", false),
        carried("tokio::io::BufReader::get_ref", false),
        carried("tokio::io::BufReader::get_mut", false),
        carried("tokio::io::BufReader::into_inner", false),
        carried("tokio::io::BufWriter::get_ref", false),
        carried("tokio::io::BufWriter::get_mut", false),
        carried("tokio::io::BufWriter::into_inner", false),
        with_cx("tokio::io::AsyncReadExt::read", F),
        with_cx("tokio::io::AsyncReadExt::read_exact", F),
        with_cx("tokio::io::AsyncReadExt::read_to_end", F),
        with_cx("tokio::io::AsyncReadExt::read_to_string", F),
        with_cx("tokio::io::AsyncReadExt::read_buf", F),
        with_cx("tokio::io::AsyncReadExt::read_u8", F),
        with_cx("tokio::io::AsyncReadExt::read_u16", F),
        with_cx("tokio::io::AsyncReadExt::read_u32", F),
        with_cx("tokio::io::AsyncReadExt::read_u64", F),
        with_cx("tokio::io::AsyncReadExt::read_i32", F),
        with_cx("tokio::io::AsyncReadExt::read_i64", F),
        with_cx("tokio::io::AsyncWriteExt::write", F),
        with_cx("tokio::io::AsyncWriteExt::write_all", F),
        with_cx("tokio::io::AsyncWriteExt::flush", F),
        with_cx("tokio::io::AsyncWriteExt::shutdown", F),
        with_cx("tokio::io::AsyncWriteExt::write_u8", F),
        with_cx("tokio::io::AsyncWriteExt::write_u16", F),
        with_cx("tokio::io::AsyncWriteExt::write_u32", F),
        with_cx("tokio::io::AsyncWriteExt::write_u64", F),
        with_cx("tokio::io::AsyncWriteExt::write_i32", F),
        with_cx("tokio::io::AsyncWriteExt::write_i64", F),
        with_cx("tokio::io::AsyncBufReadExt::read_line", F),
        with_cx("tokio::io::AsyncBufReadExt::read_until", F),
        carried("tokio::io::AsyncBufReadExt::lines", false),
        with_cx("tokio::io::Lines::next_line", F),
    ],
};
