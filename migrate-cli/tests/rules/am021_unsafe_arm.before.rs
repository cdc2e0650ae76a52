//! An arm that loses what it has read.

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, Notify};

async fn talk(stream: TcpStream, mut notices: mpsc::Receiver<String>, bell: &Notify) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        tokio::select! {
            read = reader.read_line(&mut line) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            Some(notice) = notices.recv() => println!("{notice}"),
            _ = bell.notified() => println!("ding"),
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let stream = TcpStream::connect("127.0.0.1:9").await?;
    let (_tx, notices) = mpsc::channel(1);
    talk(stream, notices, &Notify::new()).await
}
