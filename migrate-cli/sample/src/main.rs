//! `chat [ADDRESS] [MOTD-FILE]`: serves the chat on ADDRESS (default `127.0.0.1:0`).

use std::{env, io};

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_string());
    if let Some(path) = env::args().nth(2) {
        println!("{}", chat::motd::load(path).await?.trim_end());
    }

    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);

    chat::serve(listener).await
}
