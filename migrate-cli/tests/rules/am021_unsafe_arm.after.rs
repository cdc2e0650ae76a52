//! An arm that loses what it has read.

use asupersync::Cx;
use asupersync::io::{BufReadExt, BufReader};
use asupersync::net::TcpStream;
use asupersync::channel::mpsc;
use asupersync::sync::Notify;

async fn talk(cx: &Cx, stream: TcpStream, mut notices: mpsc::Receiver<String>, bell: &Notify) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        asupersync::select! {
            read = asupersync::combine::drop_ok(reader.read_line(cx, &mut line)) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            Ok(notice) = notices.recv(cx) => println!("{notice}"),
            Ok(_) = bell.notified(cx) => println!("ding"),
            cancelled = cx.cancelled() => return Err(cancelled.into()),
        }
    }
}

#[asupersync::main]
async fn main(cx: &Cx) -> std::io::Result<()> {
    let stream = TcpStream::connect(cx, "127.0.0.1:9").await?;
    let (_tx, notices) = mpsc::channel(1);
    talk(cx, stream, notices, &Notify::new()).await
}
