//! An echo server that winds down: on SIGTERM it accepts nobody new, answers what it has read, and
//! returns when its last connection has ended.

mod cli;

use asupersync::io::{ReadExt, WriteExt};
use asupersync::net::{TcpListener, TcpStream};
use asupersync::{Cx, Region};
use std::io;

#[asupersync::main]
async fn main(cx: &Cx) -> io::Result<()> {
    let [addr] = cli::args("echo [ADDRESS]", ["127.0.0.1:7007"])?;
    serve(cx, cli::listen(cx, &addr).await?).await
}

pub(crate) async fn serve(cx: &Cx, listener: TcpListener) -> io::Result<()> {
    let body = async |scope: asupersync::Scope| {
        scope.spawn(async move |cx: Cx| {
            while let Ok((stream, _)) = listener.accept(&cx).await {
                cx.spawn(async move |cx: Cx| echo(&cx, stream).await);
            }
        });
        scope.shutdown_signal().await;
        scope.close();
    };
    Ok(Region::open(cx, "server", body).await?)
}

async fn echo(cx: &Cx, mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    // A request to stop ends the wait for more, and what was read is answered all the same.
    while let n @ 1.. = stream.read(cx, &mut bytes).await? {
        stream.write_all(cx.cleanup(), &bytes[..n]).await?;
    }
    Ok(())
}
