use std::time::Duration;
use tokio::time::sleep;

async fn for_ever() {
    sleep(Duration::MAX).await; //~ AS305
    sleep(Duration::from_secs(u64::MAX)).await; //~ AS305
    sleep(Duration::from_secs(60 * 60 * 24 * 365)).await; //~ AS305
    sleep(Duration::from_millis(90_000_000)).await; //~ AS305
}

async fn for_a_while(length: Duration) {
    sleep(length).await;
    sleep(Duration::from_secs(24 * 60 * 60)).await;
    sleep(Duration::from_millis(1000)).await;
    let _ = Duration::MAX;
}
