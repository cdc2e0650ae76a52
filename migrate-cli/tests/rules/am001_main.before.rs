//! The entry point hands its context down.

use std::time::Duration;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A comment that stays.
    pause().await;
    Ok(())
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
