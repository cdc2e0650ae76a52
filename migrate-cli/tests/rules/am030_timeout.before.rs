//! Timeouts: what loses nothing is dropped, what would is asked to stop.

use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_millis(5);

async fn greet(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match timeout(LIMIT, reader.read_line(&mut line)).await {
        Ok(Ok(_)) => Some(line),
        _ => None,
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let stream = TcpStream::connect("127.0.0.1:9").await?;
    let mut reader = BufReader::new(stream);
    let mut byte = [0];
    println!("{}", timeout(LIMIT, reader.read(&mut byte)).await.is_err());
    println!("{:?}", greet(&mut reader).await);
    println!("{:?}", timeout(LIMIT, std::future::pending::<()>()).await.is_ok());
    Ok(())
}
