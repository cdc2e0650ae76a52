//! Copying a stream to another.

use super::{ReadExt, WriteExt};
use crate::cx::Cx;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;

/// Bytes moved at once.
const CHUNK: usize = 8 * 1024;

/// Copies everything from `reader` to `writer` and flushes; returns how much that was.
///
/// *Cancellation.* Lossy: up to 8 KiB may have been read and not written.
///
/// # Errors
/// Either stream's, or one that wraps [`Cancelled`](crate::Cancelled).
pub async fn copy<R, W>(cx: &Cx, reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    // On the heap: a future that holds it across waits should stay small.
    let mut chunk = vec![0; CHUNK];
    let mut copied = 0;
    loop {
        let n = reader.read(cx, &mut chunk).await?;
        if n == 0 {
            writer.flush(cx).await?;
            return Ok(copied);
        }
        writer.write_all(cx, &chunk[..n]).await?;
        copied += n as u64;
    }
}
