//! Timeouts: what loses nothing is dropped, what would is asked to stop.

use std::time::Duration;
use asupersync::Cx;
use asupersync::io::{BufReadExt, BufReader, ReadExt};
use asupersync::net::TcpStream;

const LIMIT: Duration = Duration::from_millis(5);

async fn greet(cx: &Cx, reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match cx.timeout(LIMIT, async |cx| reader.read_line(&cx, &mut line).await).await {
        Ok(Ok(_)) => Some(line),
        _ => None,
    }
}

#[asupersync::main]
async fn main(cx: &Cx) -> std::io::Result<()> {
    let stream = TcpStream::connect(cx, "127.0.0.1:9").await?;
    let mut reader = BufReader::new(stream);
    let mut byte = [0];
    println!("{}", cx.timeout_drop(LIMIT, reader.read(cx, &mut byte)).await.is_err());
    println!("{:?}", greet(cx, &mut reader).await);
    println!("{:?}", cx.timeout_drop(LIMIT, std::future::pending::<()>()).await.is_ok());
    Ok(())
}
