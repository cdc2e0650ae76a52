//! Channels: single receives, loops that drain, what one value is matched against.

use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::sync::oneshot;

type Question = (u32, oneshot::Sender<u32>);

async fn answer(mut questions: mpsc::Receiver<Question>) {
    while let Some((number, reply)) = questions.recv().await {
        let _ = reply.send(number + 1);
    }
}

async fn ask(questions: &mpsc::Sender<Question>, number: u32) -> Option<u32> {
    let (reply, answered) = oneshot::channel();
    questions.send((number, reply)).await.ok()?;
    answered.await.ok()
}

async fn first(numbers: &mut mpsc::UnboundedReceiver<u32>) -> u32 {
    match numbers.recv().await {
        Some(number) => number,
        None => 0,
    }
}

async fn rest(numbers: &mut mpsc::UnboundedReceiver<u32>) -> Vec<u32> {
    let Some(second) = numbers.recv().await else {
        return Vec::new();
    };
    let third = numbers.recv().await.unwrap_or_default();
    let fourth = numbers.recv().await;
    match numbers.try_recv() {
        Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        Ok(more) => println!("{more}"),
    }
    vec![second, third, fourth.unwrap_or(4)]
}

// Decoys: channels of the standard library.
fn decoy() -> Option<u32> {
    let (tx, rx) = std::sync::mpsc::channel();
    tx.send(1).ok()?;
    rx.recv().ok()
}

#[tokio::main]
async fn main() {
    let (tx, rx) = mpsc::channel(1);
    tokio::spawn(answer(rx));
    println!("{:?}", ask(&tx, 1).await);
    let (numbers, mut received) = mpsc::unbounded_channel();
    for number in 0..5 {
        numbers.send(number).unwrap();
    }
    println!("{} {:?} {:?}", first(&mut received).await, rest(&mut received).await, decoy());
}
