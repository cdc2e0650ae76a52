//! What has no rule keeps a tokio runtime around everything.

use std::time::Duration;

fn main() -> std::process::ExitCode {
    asupersync_compat::Program::new().current_thread().run_main(async |cx| -> std::io::Result<()> {
        let cx = &cx;
        let text = r"two
lines";
        tokio::fs::write("/dev/null", text).await?;
        cx.sleep(Duration::from_millis(1)).await?;
        Ok(())
    })
}
