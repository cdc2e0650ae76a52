//! A channel that flows into something without a rule stays, with all that it is connected to; another one moves.

use asupersync::Cx;
use tokio::sync::mpsc;

struct Held {
    rx: mpsc::Receiver<u32>,
}

impl Held {
    fn size(&self) -> usize {
        self.rx.max_capacity()
    }
}

#[asupersync::main]
async fn main(cx: &Cx) {
    let (tx, rx) = mpsc::channel::<u32>(3);
    let held = Held { rx };
    tx.send(1).await.ok();
    let (other, mut moved) = asupersync::channel::mpsc::channel::<String>(1);
    other.send(cx, String::from("x")).await.ok();
    println!("{} {:?}", held.size(), moved.recv(cx).await.ok());
}
