//! A proxy: bytes both ways between two streams, and one way from a buffer.

use std::io;
use tokio::io::{copy_bidirectional, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

async fn proxy(mut client: TcpStream, mut upstream: TcpStream) -> io::Result<u64> {
    let (up, down) = copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(up + down)
}

async fn collect(stream: TcpStream) -> io::Result<TcpStream> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    tokio::io::copy_buf(&mut read, &mut write).await?;
    write.shutdown().await?;
    read.into_inner().reunite(write).map_err(io::Error::other)
}

// Decoy: the copy of the standard library.
fn decoy() -> io::Result<u64> {
    io::copy(&mut &b"decoy"[..], &mut io::sink())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    decoy()?;
    let front = TcpListener::bind("127.0.0.1:0").await?;
    let back = TcpListener::bind("127.0.0.1:0").await?;
    let (front_address, back_address) = (front.local_addr()?, back.local_addr()?);
    let proxied = tokio::spawn(async move {
        let (client, _) = front.accept().await?;
        proxy(client, TcpStream::connect(back_address).await?).await
    });
    let mut client = TcpStream::connect(front_address).await?;
    let (upstream, _) = back.accept().await?;
    client.write_all(b"both ways").await?;
    client.shutdown().await?;
    drop(collect(upstream).await?);
    let mut text = String::new();
    client.read_to_string(&mut text).await?;
    println!("{text} {:?}", proxied.await.map(|count| count.ok()));
    Ok(())
}
