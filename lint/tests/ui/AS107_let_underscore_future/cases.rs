use futures::SinkExt;
use tokio::sync::mpsc;

async fn flush() {}

struct Log;

impl Log {
    async fn write(&self) {}
    fn count(&self) -> u32 {
        1
    }
}

async fn dropped(log: &Log, tx: mpsc::Sender<u32>) {
    let _ = flush(); //~ AS107
    let _ = log.write(); //~ AS107
    let _ = tx.send(1); //~ AS107
}

fn not_even_async() {
    let _ = flush(); //~ AS107
}

async fn meant(log: &Log, tx: mpsc::Sender<u32>, out: mpsc::UnboundedSender<u32>) {
    let _ = flush().await;
    let _ = log.count();
    let _ = tx.try_send(1);
    let _ = out.send(1);
    let _ = unknown().send(1);
    let later = flush();
    let _ = later;
    let kept = log.write();
    kept.await;
}

/// The sender of `futures` sends at once, whatever sinks are in scope.
fn at_once(sender: Option<futures::channel::oneshot::Sender<u32>>) {
    if let Some(sender) = sender {
        let _ = sender.send(1);
    }
}

fn stop(log: &Log) -> impl Future<Output = ()> {
    log.count();
    async {}
}

/// What the function does at once is done.
fn asked_to_stop(log: &Log) {
    let _ = stop(log);
}
