use std::time::Duration;
use tokio::time::sleep;

async fn sleeps(pause: Duration) {
    sleep(Duration::ZERO).await; //~ AS304
    sleep(Duration::from_millis(0)).await; //~ AS304
    sleep(Duration::from_millis(1)).await;
    sleep(pause).await;
}
