//! A stream that has no rule for one of its uses stays, with its listener; the other streams move, and moved calls are left alone.

use std::io;
use asupersync::io::{ReadExt, WriteExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

async fn look(mut stream: TcpStream) -> io::Result<usize> {
    stream.write_all(b"first").await?;
    stream.peek(&mut [0; 4]).await
}

fn main() -> std::process::ExitCode {
    asupersync_compat::run_main(async |cx| -> io::Result<()> {
        let cx = &cx;
        let front = asupersync::net::TcpListener::bind(cx, "127.0.0.1:0").await?;
        let back = TcpListener::bind("127.0.0.1:0").await?;
        let (front_address, back_address) = (front.local_addr()?, back.local_addr()?);
        let served = cx.spawn(async move |cx| {
            let (mut client, _) = front.accept(&cx).await?;
            client.write_all(&cx, b"hello").await?;
            client.shutdown(&cx).await
        });
        let mut client = asupersync::net::TcpStream::connect(cx, front_address).await?;
        client.write_all(cx, b"both ways").await?;
        let mut text = String::new();
        client.read_to_string(cx, &mut text).await?;
        let mut seen = std::net::TcpStream::connect(back_address)?;
        io::Write::write_all(&mut seen, b"seen")?;
        println!("{text} {} {}", look(back.accept().await?.0).await?, served.await.into_result().is_ok());
        Ok(())
    })
}
