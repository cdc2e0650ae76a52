//! A local trait is coloured with its implementations; a foreign one cannot be.

use asupersync::Cx;
use std::time::Duration;

trait Job {
    async fn run(&self, cx: &Cx) -> u32;
}

struct Slow;
struct Quick;

impl Job for Slow {
    async fn run(&self, cx: &Cx) -> u32 {
        let _ = cx.cleanup().sleep(Duration::from_millis(1)).await;
        1
    }
}

impl Job for Quick {
    async fn run(&self, _cx: &Cx) -> u32 {
        2
    }
}

struct Noisy;

impl Drop for Noisy {
    fn drop(&mut self) {
        // asupersync-migrate: AM011: no Cx can reach it: `drop` cannot take one: it implements `std::ops::Drop`
        tokio::spawn(async { println!("dropped") });
    }
}

/// The name is taken, so another is used.
async fn taken(acx: &Cx, cx: &str) -> usize {
    let _ = acx.cleanup().yield_now().await;
    cx.len()
}

fn main() -> std::process::ExitCode {
    asupersync_compat::run_main(async |cx| {
        let cx = &cx;
        let _noisy = Noisy;
        println!("{} {} {}", Slow.run(cx).await, Quick.run(cx).await, taken(cx, "x").await);
    })
}
