use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

async fn half_done(mut stream: TcpStream, tx: mpsc::Sender<u32>, second: Duration) {
    let mut buffer = [0; 4];
    let _ = timeout(second, stream.read_exact(&mut buffer)).await; //~ AS204
    //~^ AS301
    let _ = timeout(second, tx.send(1)).await; //~ AS204
    //~^ AS301
    let _ = timeout(second, async { //~ AS301
        stream.write_all(b"x").await //~ AS204
    })
    .await;
}

async fn safe(mut stream: TcpStream, second: Duration) {
    let mut buffer = bytes::BytesMut::new();
    let _ = timeout(second, stream.read_buf(&mut buffer)).await; //~ AS301
    let _ = timeout(second, tokio::spawn(async move { stream.write_all(b"x").await })).await;
    //~^ AS301
    //~| AS105
}
