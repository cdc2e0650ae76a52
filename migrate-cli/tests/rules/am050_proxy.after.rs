//! A proxy: bytes both ways between two streams, and one way from a buffer.

use std::io;
use asupersync::Cx;
use asupersync::io::{BufReader, ReadExt, WriteExt, copy_bidirectional};
use asupersync::net::{TcpListener, TcpStream};

async fn proxy(cx: &Cx, mut client: TcpStream, mut upstream: TcpStream) -> io::Result<u64> {
    let (up, down) = copy_bidirectional(cx, &mut client, &mut upstream).await?;
    Ok(up + down)
}

async fn collect(cx: &Cx, stream: TcpStream) -> io::Result<TcpStream> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    asupersync::io::copy(cx, &mut read, &mut write).await?;
    write.shutdown(cx).await?;
    read.into_inner().reunite(write).map_err(io::Error::other)
}

// Decoy: the copy of the standard library.
fn decoy() -> io::Result<u64> {
    io::copy(&mut &b"decoy"[..], &mut io::sink())
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) -> io::Result<()> {
    decoy()?;
    let front = TcpListener::bind(cx, "127.0.0.1:0").await?;
    let back = TcpListener::bind(cx, "127.0.0.1:0").await?;
    let (front_address, back_address) = (front.local_addr()?, back.local_addr()?);
    let proxied = cx.spawn(async move |cx| {
        let (client, _) = front.accept(&cx).await?;
        proxy(&cx, client, TcpStream::connect(&cx, back_address).await?).await
    });
    let mut client = TcpStream::connect(cx, front_address).await?;
    let (upstream, _) = back.accept(cx).await?;
    client.write_all(cx, b"both ways").await?;
    client.shutdown(cx).await?;
    drop(collect(cx, upstream).await?);
    let mut text = String::new();
    client.read_to_string(cx, &mut text).await?;
    println!("{text} {:?}", proxied.await.into_result().map(|count| count.ok()));
    Ok(())
}
