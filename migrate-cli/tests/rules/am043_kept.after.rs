//! What stays: a permit that moves into another task, and a notification that is made before it is awaited.

use asupersync::Cx;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

async fn owned(cx: &Cx, limit: Arc<Semaphore>) -> usize {
    // asupersync-migrate: AM043: an owned permit is a lease of its task: acquire it by hand, and `transfer` it where it moves into another
    let permit = limit.clone().acquire_owned().await.unwrap();
    let task = cx.spawn(async move |_cx| { drop(permit) });
    task.await.into_result().ok();
    limit.available_permits()
}

async fn early(changed: &Notify) -> u32 {
    // asupersync-migrate: AM043: the notification is not awaited where it stands
    let notified = changed.notified();
    changed.notify_waiters();
    notified.await;
    1
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) {
    println!("{}", owned(cx, Arc::new(Semaphore::new(1))).await);
    println!("{}", early(&Notify::new()).await);
}
