//! What stays: a permit that moves into another task, and a notification that is made before it is awaited.

use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

async fn owned(limit: Arc<Semaphore>) -> usize {
    let permit = limit.clone().acquire_owned().await.unwrap();
    let task = tokio::spawn(async move { drop(permit) });
    task.await.ok();
    limit.available_permits()
}

async fn early(changed: &Notify) -> u32 {
    let notified = changed.notified();
    changed.notify_waiters();
    notified.await;
    1
}

#[tokio::main]
async fn main() {
    println!("{}", owned(Arc::new(Semaphore::new(1))).await);
    println!("{}", early(&Notify::new()).await);
}
