//! Receivers that stay, with their channels: one that goes on after any error would never end once its task is asked to stop, and
//! what a macro makes may be kept longer than the call.

use tokio::sync::broadcast;

async fn stubborn(mut ticks: broadcast::Receiver<u32>) -> u32 {
    let mut count = 0;
    while count < 2 {
        // asupersync-migrate: AM042: an arm goes on after any error, which it would do for ever once the task is asked to stop: leave for `RecvError::Closed`
        match ticks.recv().await {
            Ok(number) => count += number,
            Err(_) => println!("again"),
        }
    }
    count
}

macro_rules! later {
    ($($body:tt)*) => {
        async move { $($body)* }
    };
}

async fn keep(kept: &mut Vec<std::pin::Pin<Box<dyn Future<Output = Option<u32>>>>>, from: &broadcast::Sender<u32>) {
    let mut rx = from.subscribe();
    kept.push(Box::pin(later! {
        // asupersync-migrate: AM042: no Cx can reach it: what the macro around it makes may be kept longer than the call
        let first = rx.recv().await;
        first.ok()
    }));
}

#[asupersync::main]
async fn main() {
    let (ticks, ticked) = broadcast::channel(2);
    ticks.send(1).ok();
    ticks.send(1).ok();
    println!("{}", stubborn(ticked).await);
    let (numbers, _) = broadcast::channel(2);
    let mut kept = Vec::new();
    keep(&mut kept, &numbers).await;
    numbers.send(7).ok();
    println!("{:?}", kept.remove(0).await);
}
