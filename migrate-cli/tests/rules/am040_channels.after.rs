//! Channels: single receives, loops that drain, what one value is matched against.

use asupersync::Cx;
use asupersync::channel::mpsc;
use asupersync::channel::mpsc::TryRecvError;
use asupersync::channel::oneshot;

type Question = (u32, oneshot::Sender<u32>);

async fn answer(cx: &Cx, mut questions: mpsc::Receiver<Question>) {
    let cx = cx.cleanup();
    while let Ok((number, reply)) = questions.recv(cx).await {
        let _ = reply.send(number + 1);
    }
}

async fn ask(cx: &Cx, questions: &mpsc::Sender<Question>, number: u32) -> Option<u32> {
    let (reply, mut answered) = oneshot::channel();
    questions.send(cx, (number, reply)).await.ok()?;
    answered.recv(cx).await.ok()
}

async fn first(cx: &Cx, numbers: &mut mpsc::UnboundedReceiver<u32>) -> u32 {
    match numbers.recv(cx).await {
        Ok(number) => number,
        Err(_) => 0,
    }
}

async fn rest(cx: &Cx, numbers: &mut mpsc::UnboundedReceiver<u32>) -> Vec<u32> {
    let Ok(second) = numbers.recv(cx).await else {
        return Vec::new();
    };
    let third = numbers.recv(cx).await.ok().unwrap_or_default();
    let fourth = numbers.recv(cx).await.ok();
    match numbers.try_recv() {
        Err(TryRecvError::Empty | TryRecvError::Closed) => {}
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

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) {
    let (tx, rx) = mpsc::channel(1);
    cx.spawn_daemon(async move |cx| answer(&cx, rx).await);
    println!("{:?}", ask(cx, &tx, 1).await);
    let (numbers, mut received) = mpsc::unbounded_channel("senders never wait");
    for number in 0..5 {
        numbers.send(number).unwrap();
    }
    println!("{} {:?} {:?}", first(cx, &mut received).await, rest(cx, &mut received).await, decoy());
}
