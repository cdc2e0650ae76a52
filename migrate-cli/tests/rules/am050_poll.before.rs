//! A stream of one's own that polls: it has no rule, and what it wraps stays with it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::TcpStream;

struct Counted {
    inner: TcpStream,
    count: usize,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.count += 1;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let inner = TcpStream::connect("127.0.0.1:9").await?;
    let mut counted = Counted { inner, count: 0 };
    let mut byte = [0];
    counted.read_exact(&mut byte).await?;
    Ok(())
}
