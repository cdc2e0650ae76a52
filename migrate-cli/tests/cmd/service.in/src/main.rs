use std::time::Duration;

#[tokio::main]
async fn main() {
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::spawn(async {});
}
