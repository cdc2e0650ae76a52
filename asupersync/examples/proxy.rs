//! A TCP proxy: what comes goes on to another address, in both directions, and the end of a
//! direction, too. On SIGTERM it lets nobody new in, gives the connections that are there some time
//! to end, and cuts those that do not; a second SIGTERM cuts them at once.

pub(crate) mod cli;

use asupersync::io::{WriteExt, copy};
use asupersync::net::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};
use asupersync::types::cancel::reason_in;
use asupersync::{Cx, Region};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long connections may take to end once the proxy is asked to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

#[asupersync::main]
async fn main(cx: &Cx) -> io::Result<()> {
    let defaults = ["127.0.0.1:7008", "127.0.0.1:7007"];
    let [addr, target] = cli::args("proxy [ADDRESS [TARGET]]", defaults)?;
    serve(cx, cli::listen(cx, &addr).await?, &target).await
}

/// Lets clients in until it is asked to stop; returns when the last connection has ended.
pub(crate) async fn serve(cx: &Cx, listener: TcpListener, target: &str) -> io::Result<()> {
    let body = async |scope: asupersync::Scope| {
        let mut stop = std::pin::pin!(scope.shutdown_signal());
        loop {
            let (client, peer) = asupersync::select! {
                // In this order: who is asked to cancel has both, and `accept` fails then.
                biased;
                () = &mut stop => break,
                accepted = listener.accept(&scope) => accepted?,
            };
            let target = target.to_owned();
            scope.spawn(async move |cx: Cx| connection(&cx, client, peer, &target).await);
        }
        drop(listener);
        // It ends with the connections, or ends them.
        let connections = scope.clone();
        scope.spawn_daemon(async move |cx: Cx| {
            if cx.sleep(GRACE).await.is_ok() {
                connections.close();
            }
        });
        Ok(())
    };
    Region::open(cx, "proxy", body).await?
}

async fn connection(cx: &Cx, client: TcpStream, peer: SocketAddr, target: &str) {
    match pass(cx, client, target).await {
        Err(e) if reason_in(&e).is_none() => eprintln!("proxy: {peer}: {e}"),
        _ => {}
    }
}

/// Connects a client with the target until both directions have ended.
async fn pass(cx: &Cx, client: TcpStream, target: &str) -> io::Result<()> {
    let server = TcpStream::connect(cx, target).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // When one direction fails the other is asked to stop, and has ended when this returns.
    asupersync::try_join!(cx, |cx| pump(cx, from_client, to_server), |cx| pump(
        cx,
        from_server,
        to_client
    ),)
    .await?;
    Ok(())
}

/// Copies one direction, and ends the other side's when it ends.
async fn pump(cx: &Cx, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    copy(cx, &mut from, &mut to).await?;
    to.shutdown(cx).await
}
