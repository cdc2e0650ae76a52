use std::time::Duration;

pub async fn run() {
    std::thread::sleep(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
}
