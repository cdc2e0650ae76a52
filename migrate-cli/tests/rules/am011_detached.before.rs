//! Tasks that nobody waits for.

use std::sync::Arc;
use tokio::sync::mpsc;

struct State;

impl State {
    async fn run(self: Arc<Self>, name: String, tx: mpsc::Sender<u32>) {
        let _ = tx.send(name.len() as u32).await;
    }
}

async fn serve(tx: mpsc::Sender<u32>, state: Arc<State>) {
    let name = String::from("one");
    tokio::spawn(Arc::clone(&state).run(name.clone(), tx.clone()));
    let _ = tokio::spawn(async move {
        let _ = tx.send(2).await;
    });
    tokio::spawn(std::future::ready(name));
    // asupersync-migrate: skip
    tokio::spawn(async {});
}

#[tokio::main]
async fn main() {
    let (tx, mut rx) = mpsc::channel(1);
    serve(tx, Arc::new(State)).await;
    println!("{:?}", rx.recv().await);
}
