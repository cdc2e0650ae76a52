//! Arms that lose nothing.

use std::time::Duration;
use tokio::net::TcpListener;
use tokio::select;
use tokio::sync::{mpsc, oneshot};

async fn serve(listener: TcpListener, mut jobs: mpsc::Receiver<u32>, mut stop: oneshot::Receiver<()>) {
    let mut total = 0;
    loop {
        select! {
            biased;
            _ = &mut stop => break,
            Some(job) = jobs.recv(), if total < 100 => {
                total += job;
            }
            accepted = listener.accept() => match accepted {
                Ok((_, peer)) => println!("{peer}"),
                Err(error) => println!("{error}"),
            },
            _ = tokio::time::sleep(Duration::from_secs(1)) => println!("idle"),
        }
    }
    // The arm's value is looked at.
    tokio::select! {
        job = jobs.recv() => {
            println!("{job:?}");
        }
        else => println!("none"),
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (tx, jobs) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel();
    tx.send(1).await.ok();
    stop.send(()).ok();
    drop(tx);
    serve(listener, jobs, stopped).await;
    Ok(())
}
