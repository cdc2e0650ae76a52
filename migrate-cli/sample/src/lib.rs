//! A multi-user chat over TCP.
//!
//! The first line a client sends is its nick. Every further line is a message; once the hub has
//! taken it, the server answers `ok <n>` (the sender's n-th message) and everybody who is logged
//! in receives `<nick>: <text>`. `/who` lists the nicks and `/quit` leaves.

use std::io;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub mod hub;
mod idle;
pub mod motd;
mod session;

/// How many events may wait for the hub before the sessions have to wait.
const HUB_BACKLOG: usize = 256;

/// Accepts clients until accepting fails.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let (hub, events) = mpsc::channel(HUB_BACKLOG);
    tokio::spawn(hub::run(events));
    tokio::spawn(idle::watch(hub.clone()));

    loop {
        let (stream, peer) = listener.accept().await?;
        let hub = hub.clone();
        tokio::spawn(async move {
            if let Err(err) = session::run(stream, hub).await {
                eprintln!("{peer}: {err}");
            }
        });
    }
}
