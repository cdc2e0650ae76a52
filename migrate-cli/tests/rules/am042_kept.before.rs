//! A receiver that goes on after any error would never end once its task is asked to stop: its channel stays.

use tokio::sync::broadcast;

async fn stubborn(mut ticks: broadcast::Receiver<u32>) -> u32 {
    let mut count = 0;
    while count < 2 {
        match ticks.recv().await {
            Ok(number) => count += number,
            Err(_) => println!("again"),
        }
    }
    count
}

#[tokio::main]
async fn main() {
    let (ticks, ticked) = broadcast::channel(2);
    ticks.send(1).ok();
    ticks.send(1).ok();
    println!("{}", stubborn(ticked).await);
}
