//! What has no counterpart keeps a tokio runtime around everything.

use std::time::Duration;

fn main() -> std::process::ExitCode {
    asupersync_compat::Program::new().current_thread().run_main(async |cx| -> std::io::Result<()> {
        let cx = &cx;
        let text = r"two
lines";
        // asupersync-migrate: AM052: `net::resolve` takes a host and a port, and gives all addresses; `bind` and `connect` resolve names themselves
        println!("{text} {}", tokio::net::lookup_host("127.0.0.1:0").await?.count());
        cx.sleep(Duration::from_millis(1)).await?;
        Ok(())
    })
}
