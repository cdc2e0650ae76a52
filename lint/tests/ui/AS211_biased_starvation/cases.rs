use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

async fn starved(mut jobs: mpsc::Receiver<u32>, mut shutdown: mpsc::Receiver<()>, token: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            Some(job) = jobs.recv() => println!("{job}"),
            _ = shutdown.recv() => break, //~ AS211
        }
    }
    loop {
        tokio::select! {
            biased;
            Some(job) = jobs.recv() => println!("{job}"),
            _ = token.cancelled() => { //~ AS211
                return;
            }
        }
    }
}

async fn fair(mut jobs: mpsc::Receiver<u32>, mut shutdown: watch::Receiver<bool>, token: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            _ = token.cancelled() => break,
            Some(job) = jobs.recv() => println!("{job}"),
        }
    }
    loop {
        tokio::select! {
            Some(job) = jobs.recv() => println!("{job}"),
            _ = shutdown.changed() => break,
        }
    }
    // Asked once.
    tokio::select! {
        biased;
        Some(job) = jobs.recv() => println!("{job}"),
        _ = shutdown.changed() => {}
    }
    loop {
        tokio::select! {
            biased;
            _ = shutdown.changed() => break,
            Some(job) = jobs.recv() => println!("{job}"),
            _ = token.cancelled() => break,
        }
    }
}
