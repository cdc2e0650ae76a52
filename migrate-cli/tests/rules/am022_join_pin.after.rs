//! `join!` and `pin!`.

use std::time::Duration;
use asupersync::{Cx, join};

async fn left(cx: &Cx) -> u32 {
    let _ = cx.cleanup().yield_now().await;
    1
}

#[asupersync::main]
async fn main(cx: &Cx) {
    let (a, b) = join!(left(cx), async { 2 });
    let later = cx.sleep(Duration::from_millis(1));
    let mut later = std::pin::pin!(later);
    asupersync::select! {
        _ = &mut later => println!("{}", a + b),
    }
    // Decoy: the standard library's.
    let mut ready = std::pin::pin!(std::future::ready(1));
    println!("{}", ready.as_mut().await);
}
