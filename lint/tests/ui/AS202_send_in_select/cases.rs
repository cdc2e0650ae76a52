use tokio::sync::{broadcast, mpsc, watch};

async fn lost(tx: mpsc::Sender<u32>, mut stop: mpsc::Receiver<()>) {
    loop {
        tokio::select! {
            _ = tx.send(1) => {} //~ AS202
            _ = stop.recv() => break,
        }
    }
}

async fn kept(tx: mpsc::Sender<u32>, mut stop: mpsc::Receiver<()>) {
    let sending = tx.send(1);
    tokio::pin!(sending);
    tokio::select! {
        _ = &mut sending => {}
        _ = stop.recv() => tx.send(2).await.unwrap(), //~ AS206
    }
    if let Some(()) = stop.recv().await {
        tx.send(3).await.unwrap();
    }
}

async fn not_a_future(tx: broadcast::Sender<u32>, state: watch::Sender<u32>, out: mpsc::UnboundedSender<u32>) {
    tokio::select! {
        _ = async { tx.send(1) } => {}
        _ = async { state.send(1) } => {}
        _ = async { out.send(1) } => {}
    }
}
