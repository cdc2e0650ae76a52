//! Sockets and streams.

use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: BufWriter<OwnedWriteHalf>,
}

impl Connection {
    async fn open<A: ToSocketAddrs>(address: A) -> io::Result<Connection> {
        Ok(Connection::new(TcpStream::connect(address).await?))
    }

    fn new(stream: TcpStream) -> Connection {
        let (reader, writer) = stream.into_split();
        Connection {
            reader: BufReader::new(reader),
            writer: BufWriter::new(writer),
        }
    }

    async fn echo(mut self) -> io::Result<u64> {
        let mut lines = self.reader.lines();
        let mut count = 0;
        while let Some(line) = lines.next_line().await? {
            say(&mut self.writer, &line).await?;
            count += 1;
        }
        self.writer.shutdown().await?;
        Ok(count)
    }
}

async fn say<W: AsyncWrite + Unpin>(writer: &mut W, text: &str) -> io::Result<()> {
    writer
        .write_all(
            text.as_bytes(),
        )
        .await?;
    writer.write_u8(b'\n').await?;
    writer.flush().await
}

// Decoys: the blocking traits.
fn decoy(mut out: impl io::Write) -> io::Result<()> {
    out.write_all(b"x")?;
    out.flush()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    decoy(io::sink())?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        Connection::new(stream).echo().await
    });
    let mut connection = Connection::open(address).await?;
    say(&mut connection.writer, "hello").await?;
    connection.writer.shutdown().await?;
    let mut text = String::new();
    connection.reader.read_to_string(&mut text).await?;
    println!("{text} {:?}", server.await.map(|count| count.is_ok()));
    Ok(())
}
