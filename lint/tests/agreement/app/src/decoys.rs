//! What looks like a finding and is none.

use std::time::Duration;

pub(crate) struct Engine;

impl Engine {
    pub(crate) fn spawn(&self, _: u32) -> u32 {
        1
    }
    pub(crate) async fn send(&self, _: u32) {}
    pub(crate) async fn read_exact(&self, _: &mut [u8]) {}
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

mod tokio_like {
    pub(crate) fn spawn(_: u32) {}
    pub(crate) fn sleep(_: std::time::Duration) {}
}

pub(crate) async fn same_names(engine: Engine) {
    engine.spawn(1);
    tokio_like::spawn(1);
    tokio_like::sleep(engine.elapsed());
    use tokio_like::spawn;
    spawn(1);
    tokio::select! {
        _ = engine.send(1) => {}
        _ = engine.read_exact(&mut []) => {}
    }
}

pub(crate) async fn owned() -> tokio::task::JoinHandle<()> {
    let mut set = tokio::task::JoinSet::new();
    set.spawn(async {});
    while set.join_next().await.is_some() {}
    let local = tokio::task::spawn_blocking(|| std::process::id());
    local.await.unwrap();
    tokio::task::spawn_blocking(|| {
        let wait = std::thread::park_timeout;
        wait(Duration::ZERO);
    })
    .await
    .unwrap();
    tokio::spawn(async {})
}
