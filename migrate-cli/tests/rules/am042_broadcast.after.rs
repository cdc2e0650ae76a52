//! Broadcast channels: what a receive is matched against, tries, late subscribers, an arm of a `select!`.

use asupersync::Cx;
use asupersync::channel::broadcast::{RecvError, TryRecvError};
use asupersync::channel::broadcast;
use asupersync::channel::broadcast::Receiver;

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

async fn listen(cx: &Cx, mut notices: Receiver<String>) -> (usize, u64) {
    let (mut heard, mut missed) = (0, 0);
    loop {
        match notices.recv(cx).await {
            Ok(_) => heard += 1,
            Err(RecvError::Lagged(count)) => missed += count,
            Err(RecvError::Closed | RecvError::Cancelled(_)) => return (heard, missed),
        }
    }
}

async fn last(cx: &Cx, notices: &mut broadcast::Receiver<String>) -> Result<String, broadcast::RecvError> {
    match notices.recv(cx).await {
        Err(broadcast::RecvError::Closed | broadcast::RecvError::Cancelled(_)) => Ok("nobody".to_owned()),
        other => other,
    }
}

async fn stop(cx: &Cx, mut stopped: broadcast::Receiver<bool>, mut numbers: asupersync::channel::mpsc::Receiver<u32>) -> u32 {
    let mut sum = 0;
    loop {
        asupersync::select! {
            _ = stopped.recv(cx) => return sum,
            Ok(number) = numbers.recv(cx) => sum += number,
        }
    }
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) {
    let (notices, first) = broadcast::channel(4);
    let hub = Hub { notices };
    let mut late = hub.join();
    for text in ["a", "b", "c", "d", "e"] {
        hub.say(text);
    }
    println!("{:?}", late.try_recv());
    println!("{:?} {}", last(cx, &mut late).await.ok(), late.resubscribe().is_empty());
    println!("{}", late.try_recv() == Err(TryRecvError::Closed));
    drop(hub);
    println!("{:?}", listen(cx, first).await);

    let (tell, stopped) = broadcast::channel(1);
    let (numbers, received) = asupersync::channel::mpsc::channel(4);
    let sum = cx.spawn(async move |cx| stop(&cx, stopped, received).await);
    numbers.send(cx, 3).await.ok();
    tell.send(true).ok();
    println!("{}", sum.await.into_result().is_ok());
}
