//! Stopping a task.

use std::time::Duration;

#[tokio::main]
async fn main() {
    let task = tokio::spawn(async {
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    task.abort();
    println!("{}", task.await.is_err());
}
