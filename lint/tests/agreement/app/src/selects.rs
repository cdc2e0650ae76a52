//! Futures that `select!` drops.

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

pub(crate) async fn unsafe_ones<S: io::AsyncRead + io::AsyncWrite + Unpin>(
    mut stream: S,
    tx: mpsc::Sender<u8>,
    mut stop: mpsc::Receiver<()>,
) {
    let mut buffer = [0; 4];
    loop {
        tokio::select! {
            biased;
            Some(()) = stop.recv(), if buffer[0] == 0 => break,
            _ = stream.read_exact(&mut buffer) => {} //~ AS201
        }
        tokio::select! {
            _ = async { io::AsyncWriteExt::write_all(&mut stream, b"x").await } => {} //~ AS201
            _ = stop.recv() => {}
        }
        let sending = tx.send(1); //~ AS202
        tokio::select! {
            _ = sending => {}
            _ = stop.recv() => {}
        }
        let writing = stream.write_u64(1); //~ AS201
        tokio::select! {
            _ = writing => {}
            _ = stop.recv() => tx.send(2).await.unwrap(),
        }
    }
}
