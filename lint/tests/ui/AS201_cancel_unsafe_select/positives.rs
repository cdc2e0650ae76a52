use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, mpsc};

async fn direct(mut stream: TcpStream, mut stop: mpsc::Receiver<()>, barrier: &Barrier) {
    let mut buffer = [0; 4];
    let mut line = String::new();
    let mut all = Vec::new();
    loop {
        tokio::select! {
            _ = stream.read_exact(&mut buffer) => {} //~ AS201
            _ = stop.recv() => break,
        }
        tokio::select! {
            biased;
            _ = stop.recv() => break,
            n = stream.read_u32() => drop(n), //~ AS201
            _ = stream.write_all(b"x"), if line.is_empty() => {} //~ AS201
            _ = stream.read_to_end(&mut all) => {} //~ AS201
            _ = barrier.wait() => {} //~ AS201
        }
        let mut reader = BufReader::new(&mut stream);
        tokio::select! {
            _ = reader.read_line(&mut line) => {} //~ AS201
            _ = stop.recv() => break,
        }
    }
}

async fn wrapped(mut stream: TcpStream, mut stop: mpsc::Receiver<()>) {
    let mut buffer = [0; 4];
    tokio::select! {
        _ = async { stream.read_exact(&mut buffer).await } => {} //~ AS201
        _ = stop.recv() => {}
    }
    let read = stream.read_exact(&mut buffer); //~ AS201
    tokio::select! {
        _ = read => {}
        _ = stop.recv() => {}
    }
    let whole = async {
        stream.write_all(b"head").await?; //~ AS201
        stream.flush().await
    };
    tokio::select! {
        _ = whole => {}
        _ = stop.recv() => {}
    }
}

async fn by_path(stream: &mut TcpStream, stop: &mut mpsc::Receiver<()>) {
    let mut buffer = [0; 4];
    tokio::select! {
        _ = AsyncReadExt::read_exact(stream, &mut buffer) => {} //~ AS201
        _ = stop.recv() => {}
    }
}

async fn out_of_a_buffer(mut stream: tokio::net::TcpStream, mut buffer: bytes::BytesMut, late: &tokio::sync::Notify) {
    tokio::select! {
        _ = stream.write_all(&buffer) => {} //~ AS201
        _ = late.notified() => buffer.clear(),
    }
}

async fn used_again(address: &str, mut stop: mpsc::Receiver<()>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    tokio::select! {
        _ = stream.write_all(b"body") => {} //~ AS201
        _ = stop.recv() => {}
    }
    stream.shutdown().await
}
