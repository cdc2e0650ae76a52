//! What has no rule keeps a tokio runtime around everything.

use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let text = r"two
lines";
    tokio::fs::write("/dev/null", text).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}
