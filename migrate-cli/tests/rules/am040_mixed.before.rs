//! A channel that flows into something without a rule stays, with all that it is connected to; another one moves.

use tokio::sync::mpsc;

struct Held {
    rx: mpsc::Receiver<u32>,
}

impl Held {
    fn size(&self) -> usize {
        self.rx.max_capacity()
    }
}

#[tokio::main]
async fn main() {
    let (tx, rx) = mpsc::channel::<u32>(3);
    let held = Held { rx };
    tx.send(1).await.ok();
    let (other, mut moved) = mpsc::channel::<String>(1);
    other.send(String::from("x")).await.ok();
    println!("{} {:?}", held.size(), moved.recv().await);
}
