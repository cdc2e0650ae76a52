//! A stream that has no rule for one of its uses stays, with its listener; the other streams move, and moved calls are left alone.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn look(mut stream: TcpStream) -> io::Result<usize> {
    stream.write_all(b"first").await?;
    stream.peek(&mut [0; 4]).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let front = TcpListener::bind("127.0.0.1:0").await?;
    let back = TcpListener::bind("127.0.0.1:0").await?;
    let (front_address, back_address) = (front.local_addr()?, back.local_addr()?);
    let served = tokio::spawn(async move {
        let (mut client, _) = front.accept().await?;
        client.write_all(b"hello").await?;
        client.shutdown().await
    });
    let mut client = TcpStream::connect(front_address).await?;
    client.write_all(b"both ways").await?;
    let mut text = String::new();
    client.read_to_string(&mut text).await?;
    let mut seen = std::net::TcpStream::connect(back_address)?;
    io::Write::write_all(&mut seen, b"seen")?;
    println!("{text} {} {}", look(back.accept().await?.0).await?, served.await.is_ok());
    Ok(())
}
