use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

struct Connection {
    stream: BufReader<TcpStream>,
    out: mpsc::Sender<u32>,
}

impl Connection {
    async fn header(&mut self) -> std::io::Result<u32> {
        self.stream.read_u32().await
    }

    async fn frame(&mut self) -> std::io::Result<u32> {
        let length = self.header().await?;
        Ok(length + 1)
    }

    async fn forward(&self) {
        self.out.send(1).await.unwrap();
    }

    async fn fill(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
        self.stream.read_buf(buffer).await
    }

    fn in_a_task(&self) {
        let out = self.out.clone();
        drop(tokio::spawn(async move { out.send(1).await })); //~ AS101
    }

    async fn keeps_on(&mut self) -> tokio::task::JoinHandle<()> {
        let out = self.out.clone();
        tokio::spawn(async move { out.send(1).await.unwrap() })
    }
}

async fn flush(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"x").await
}

async fn last_words(out: mpsc::Sender<u32>) {
    out.send(1).await.unwrap();
}

async fn lost(connection: &mut Connection, stream: &mut TcpStream, late: &Notify) {
    tokio::select! {
        _ = connection.header() => {} //~ AS205
        _ = late.notified() => println!("later"),
    }
    tokio::select! {
        _ = connection.frame() => {} //~ AS205
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = async { connection.forward().await } => {} //~ AS205
        _ = late.notified() => {}
    }
    let flushing = flush(stream); //~ AS205
    tokio::select! {
        _ = flushing => {}
        _ = late.notified() => {}
    }
}

async fn safe(connection: &mut Connection, stream: &mut TcpStream, late: &Notify) {
    let mut buffer = Vec::new();
    tokio::select! {
        _ = connection.fill(&mut buffer) => {}
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = connection.keeps_on() => {}
        _ = late.notified() => connection.in_a_task(),
    }
    let owned = connection.out.clone();
    tokio::select! {
        _ = last_words(owned) => {}
        _ = late.notified() => {}
    }
    let flushing = flush(stream);
    tokio::pin!(flushing);
    tokio::select! {
        _ = &mut flushing => {}
        _ = late.notified() => {}
    }
    // Nothing is read after the other branch has won.
    tokio::select! {
        _ = connection.frame() => {}
        _ = late.notified() => return,
    }
    connection.forward().await;
}
