use std::time::Duration;
use tokio::time::timeout;

async fn outlives(handle: tokio::task::JoinHandle<u32>, second: Duration) {
    let _ = timeout(second, handle).await; //~ AS105
    let _ = timeout(second, tokio::spawn(async {})).await; //~ AS105
}

async fn owned(mut handle: tokio::task::JoinHandle<u32>, second: Duration) {
    if timeout(second, &mut handle).await.is_err() {
        handle.abort();
    }
    let _ = timeout(second, async { 1 }).await;
    //~^ AS307
}
