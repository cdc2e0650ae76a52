use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

async fn half_done(mut stream: TcpStream, tx: mpsc::Sender<u32>, second: Duration) {
    let mut buffer = [0; 4];
    let _ = timeout(second, stream.read_exact(&mut buffer)).await; //~ AS204
    let _ = timeout(second, tx.send(1)).await; //~ AS204
    let _ = timeout(second, async {
        stream.write_all(b"x").await //~ AS204
    })
    .await;
}

async fn safe(mut stream: TcpStream, second: Duration) {
    let mut buffer = bytes::BytesMut::new();
    let _ = timeout(second, stream.read_buf(&mut buffer)).await;
    let _ = timeout(second, tokio::spawn(async move { stream.write_all(b"x").await })).await;
    //~^ AS105
}

async fn given_up(address: &str) {
    let second = Duration::from_secs(1);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let _ = timeout(second, stream.write_all(b"x")).await;
    println!("what is lost goes with it");
}

async fn used_again(address: &str) {
    let second = Duration::from_secs(1);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let _ = timeout(second, stream.write_all(b"x")).await; //~ AS204
    let _ = stream.shutdown().await;
}

async fn the_next_lap_has_it(address: &str) {
    let second = Duration::from_secs(1);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    loop {
        let _ = timeout(second, stream.write_all(b"x")).await; //~ AS204
    }
}
