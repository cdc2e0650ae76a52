//! Sockets and streams.

use std::io;
use asupersync::Cx;
use asupersync::io::{AsyncWrite, BufReadExt, BufReader, BufWriter, ReadExt, WriteExt};
use asupersync::net::{OwnedReadHalf, OwnedWriteHalf};
use asupersync::net::{TcpListener, TcpStream, ToAddrs};

struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: BufWriter<OwnedWriteHalf>,
}

impl Connection {
    async fn open<A: ToAddrs>(cx: &Cx, address: A) -> io::Result<Connection> {
        Ok(Connection::new(TcpStream::connect(cx, address).await?))
    }

    fn new(stream: TcpStream) -> Connection {
        let (reader, writer) = stream.into_split();
        Connection {
            reader: BufReader::new(reader),
            writer: BufWriter::new(writer),
        }
    }

    async fn echo(mut self, cx: &Cx) -> io::Result<u64> {
        let mut lines = self.reader.lines();
        let mut count = 0;
        while let Some(line) = lines.next_line(cx).await? {
            say(cx, &mut self.writer, &line).await?;
            count += 1;
        }
        self.writer.shutdown(cx).await?;
        Ok(count)
    }
}

async fn say<W: AsyncWrite + Unpin>(cx: &Cx, writer: &mut W, text: &str) -> io::Result<()> {
    writer
        .write_all(
            cx,
            text.as_bytes(),
        )
        .await?;
    writer.write_u8(cx, b'\n').await?;
    writer.flush(cx).await
}

// Decoys: the blocking traits.
fn decoy(mut out: impl io::Write) -> io::Result<()> {
    out.write_all(b"x")?;
    out.flush()
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) -> io::Result<()> {
    decoy(io::sink())?;
    let listener = TcpListener::bind(cx, ("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let server = cx.spawn(async move |cx| {
        let (stream, _) = listener.accept(&cx).await?;
        Connection::new(stream).echo(&cx).await
    });
    let mut connection = Connection::open(cx, address).await?;
    say(cx, &mut connection.writer, "hello").await?;
    connection.writer.shutdown(cx).await?;
    let mut text = String::new();
    connection.reader.read_to_string(cx, &mut text).await?;
    println!("{text} {:?}", server.await.into_result().map(|count| count.is_ok()));
    Ok(())
}
