use std::process::Command;

async fn in_async() -> std::io::Result<()> {
    Command::new("ls").arg("-l").output()?; //~ AS403
    let mut child = Command::new("ls").spawn()?;
    child.wait()?; //~ AS403
    tokio::process::Command::new("ls").status().await?;
    tokio::task::spawn_blocking(|| Command::new("ls").status()).await??;
    Ok(())
}

fn in_sync() -> std::io::Result<std::process::Output> {
    Command::new("ls").output()
}
