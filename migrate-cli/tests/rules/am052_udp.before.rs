//! Datagrams: both ways, in a `select!`, through a reference and behind a generic address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{ToSocketAddrs, UdpSocket};

struct Peer {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
}

impl Peer {
    async fn open<A: ToSocketAddrs>(address: A) -> io::Result<Peer> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Peer {
            socket: Arc::new(socket),
            address,
        })
    }

    async fn tell(&self, to: &Peer, text: &str) -> io::Result<usize> {
        self.socket.send_to(text.as_bytes(), &to.address).await
    }
}

async fn echo(socket: Arc<UdpSocket>) -> io::Result<()> {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).await?;
    socket.send_to(&buffer[..length], from).await?;
    Ok(())
}

async fn first(left: &UdpSocket, right: &UdpSocket) -> io::Result<usize> {
    let (mut one, mut other) = ([0; 8], [0; 8]);
    tokio::select! {
        length = left.recv(&mut one) => length,
        length = right.recv(&mut other) => length,
    }
}

// Decoy: the socket of the standard library.
fn decoy() -> io::Result<SocketAddr> {
    std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    decoy()?;
    let server = Peer::open("127.0.0.1:0").await?;
    let client = Peer::open(("127.0.0.1", 0)).await?;
    let echoed = tokio::spawn(echo(server.socket.clone()));
    println!("{}", client.tell(&server, "hello").await?);
    let other = UdpSocket::bind("127.0.0.1:0").await?;
    other.connect(client.address).await?;
    println!("{} {:?}", first(&other, &client.socket).await?, echoed.await.is_ok());
    println!("{}", other.send(b"bye").await?);
    let mut buffer = [0; 8];
    client.socket.readable().await?;
    println!("{}", client.socket.try_recv(&mut buffer)?);
    Ok(())
}
