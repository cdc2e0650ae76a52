//! Datagrams: both ways, in a `select!`, through a reference and behind a generic address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use asupersync::Cx;
use asupersync::net::{ToAddrs, UdpSocket};

struct Peer {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
}

impl Peer {
    async fn open<A: ToAddrs>(cx: &Cx, address: A) -> io::Result<Peer> {
        let socket = UdpSocket::bind(cx, address).await?;
        let address = socket.local_addr()?;
        Ok(Peer {
            socket: Arc::new(socket),
            address,
        })
    }

    async fn tell(&self, cx: &Cx, to: &Peer, text: &str) -> io::Result<usize> {
        self.socket.send_to(cx, text.as_bytes(), to.address).await
    }
}

async fn echo(cx: &Cx, socket: Arc<UdpSocket>) -> io::Result<()> {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(cx, &mut buffer).await?;
    socket.send_to(cx, &buffer[..length], from).await?;
    Ok(())
}

async fn first(cx: &Cx, left: &UdpSocket, right: &UdpSocket) -> io::Result<usize> {
    let (mut one, mut other) = ([0; 8], [0; 8]);
    asupersync::select! {
        length = left.recv(cx, &mut one) => length,
        length = right.recv(cx, &mut other) => length,
    }
}

// Decoy: the socket of the standard library.
fn decoy() -> io::Result<SocketAddr> {
    std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) -> io::Result<()> {
    decoy()?;
    let server = Peer::open(cx, "127.0.0.1:0").await?;
    let client = Peer::open(cx, ("127.0.0.1", 0)).await?;
    let echoed = cx.spawn({
        let socket = server.socket.clone();
        async move |cx| echo(&cx, socket).await
    });
    println!("{}", client.tell(cx, &server, "hello").await?);
    let other = UdpSocket::bind(cx, "127.0.0.1:0").await?;
    other.connect(cx, client.address).await?;
    println!("{} {:?}", first(cx, &other, &client.socket).await?, echoed.await.into_result().is_ok());
    println!("{}", other.send(cx, b"bye").await?);
    let mut buffer = [0; 8];
    client.socket.readable(cx).await?;
    println!("{}", client.socket.try_recv(&mut buffer)?);
    Ok(())
}
