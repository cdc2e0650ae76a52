//@check-pass
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

async fn cancel_safe(mut stream: TcpStream, mut stop: mpsc::Receiver<()>) {
    let mut buffer = bytes::BytesMut::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            _ = stream.read_buf(&mut buffer) => {}
            _ = stop.recv() => break,
            _ = lines.next_line() => {}
        }
    }
}

async fn in_the_handler(mut stream: TcpStream, mut stop: mpsc::Receiver<()>) {
    let mut buffer = [0; 4];
    tokio::select! {
        _ = stop.recv() => {
            stream.read_exact(&mut buffer).await.unwrap();
            stream.write_all(&buffer).await.unwrap();
        }
        else => drop(stream.write_all(b"bye").await),
    }
}

async fn pinned_outside(mut stream: TcpStream, mut stop: mpsc::Receiver<()>) {
    let mut buffer = [0; 4];
    let read = stream.read_exact(&mut buffer);
    tokio::pin!(read);
    loop {
        tokio::select! {
            _ = &mut read => break,
            _ = stop.recv() => {}
        }
    }
}

async fn in_a_task_of_its_own(mut stream: TcpStream, mut stop: mpsc::Receiver<()>) {
    tokio::select! {
        _ = tokio::spawn(async move { stream.write_all(b"x").await }) => {}
        _ = stop.recv() => {}
    }
}

async fn outside(mut stream: TcpStream) {
    let mut buffer = [0; 4];
    stream.read_exact(&mut buffer).await.unwrap();
    stream.write_all(&buffer).await.unwrap();
}

struct Connection;

impl Connection {
    async fn read_exact(&mut self, _: &mut [u8]) {}
}

async fn another_method_of_that_name(mut own: Connection, mut stop: mpsc::Receiver<()>) {
    tokio::select! {
        _ = own.read_exact(&mut []) => {}
        _ = stop.recv() => {}
    }
}

async fn given_up(address: &str, mut stop: tokio::sync::mpsc::Receiver<()>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let feeding = async {
        for _ in 0..3 {
            stream.write_all(b"x").await.unwrap();
        }
    };
    tokio::select! {
        _ = feeding => {}
        _ = stop.recv() => println!("what is lost goes with it"),
    }
}

async fn must_win(barrier: &tokio::sync::Barrier, mut other: tokio::sync::mpsc::Receiver<()>) {
    tokio::select! {
        _ = barrier.wait() => {}
        _ = other.recv() => panic!("too early"),
    }
}
