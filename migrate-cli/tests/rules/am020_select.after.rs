//! Arms that lose nothing.

use std::time::Duration;
use asupersync::Cx;
use asupersync::net::TcpListener;
use asupersync::select;
use asupersync::channel::{mpsc, oneshot};

async fn serve(cx: &Cx, listener: TcpListener, mut jobs: mpsc::Receiver<u32>, mut stop: oneshot::Receiver<()>) {
    let mut total = 0;
    loop {
        select! {
            biased;
            _ = stop.recv(cx) => break,
            Ok(job) = jobs.recv(cx), if total < 100 => {
                total += job;
            }
            accepted = listener.accept(cx) => match accepted {
                Ok((_, peer)) => println!("{peer}"),
                Err(error) => println!("{error}"),
            },
            Ok(_) = cx.sleep(Duration::from_secs(1)) => println!("idle"),
            _ = cx.cancelled() => return,
        }
    }
    // The arm's value is looked at.
    asupersync::select! {
        job = jobs.recv(cx) => {
            let job = job.ok();
            println!("{job:?}");
        }
        else => println!("none"),
    }
}

#[asupersync::main]
async fn main(cx: &Cx) -> std::io::Result<()> {
    let listener = TcpListener::bind(cx, "127.0.0.1:0").await?;
    let (tx, jobs) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel();
    tx.send(cx, 1).await.ok();
    stop.send(()).ok();
    drop(tx);
    serve(cx, listener, jobs, stopped).await;
    Ok(())
}
