//! The entry point hands its context down.

use asupersync::Cx;
use std::time::Duration;

#[asupersync::main(worker_threads = 2)]
async fn main(cx: &Cx) -> Result<(), Box<dyn std::error::Error>> {
    // A comment that stays.
    pause(cx).await;
    Ok(())
}

async fn pause(cx: &Cx) {
    if cx.sleep(Duration::from_millis(1)).await.is_err() {
        return;
    }
}
