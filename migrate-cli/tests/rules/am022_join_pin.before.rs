//! `join!` and `pin!`.

use std::time::Duration;
use tokio::join;

async fn left() -> u32 {
    tokio::task::yield_now().await;
    1
}

#[tokio::main]
async fn main() {
    let (a, b) = join!(left(), async { 2 });
    let later = tokio::time::sleep(Duration::from_millis(1));
    tokio::pin!(later);
    tokio::select! {
        _ = &mut later => println!("{}", a + b),
    }
    // Decoy: the standard library's.
    let mut ready = std::pin::pin!(std::future::ready(1));
    println!("{}", ready.as_mut().await);
}
