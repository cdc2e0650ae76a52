//! What has no counterpart keeps a tokio runtime around everything.

use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let text = r"two
lines";
    println!("{text} {}", tokio::net::lookup_host("127.0.0.1:0").await?.count());
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}
