//! Broadcast channels: what a receive is matched against, tries, late subscribers, an arm of a `select!`.

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver};

struct Hub {
    notices: broadcast::Sender<String>,
}

impl Hub {
    fn join(&self) -> Receiver<String> {
        self.notices.subscribe()
    }

    fn say(&self, text: &str) -> usize {
        self.notices.send(text.to_owned()).unwrap_or(0)
    }
}

async fn listen(mut notices: Receiver<String>) -> (usize, u64) {
    let (mut heard, mut missed) = (0, 0);
    loop {
        match notices.recv().await {
            Ok(_) => heard += 1,
            Err(RecvError::Lagged(count)) => missed += count,
            Err(RecvError::Closed) => return (heard, missed),
        }
    }
}

async fn last(notices: &mut broadcast::Receiver<String>) -> Result<String, broadcast::error::RecvError> {
    match notices.recv().await {
        Err(broadcast::error::RecvError::Closed) => Ok("nobody".to_owned()),
        other => other,
    }
}

async fn stop(mut stopped: broadcast::Receiver<bool>, mut numbers: tokio::sync::mpsc::Receiver<u32>) -> u32 {
    let mut sum = 0;
    loop {
        tokio::select! {
            _ = stopped.recv() => return sum,
            Some(number) = numbers.recv() => sum += number,
        }
    }
}

#[tokio::main]
async fn main() {
    let (notices, first) = broadcast::channel(4);
    let hub = Hub { notices };
    let mut late = hub.join();
    for text in ["a", "b", "c", "d", "e"] {
        hub.say(text);
    }
    println!("{:?}", late.try_recv());
    println!("{:?} {}", last(&mut late).await.ok(), late.resubscribe().is_empty());
    println!("{}", late.try_recv() == Err(TryRecvError::Closed));
    drop(hub);
    println!("{:?}", listen(first).await);

    let (tell, stopped) = broadcast::channel(1);
    let (numbers, received) = tokio::sync::mpsc::channel(4);
    let sum = tokio::spawn(stop(stopped, received));
    numbers.send(3).await.ok();
    tell.send(true).ok();
    println!("{}", sum.await.is_ok());
}
