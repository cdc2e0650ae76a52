//! tokio under another name in the manifest.

use rt::sync::mpsc;

pub async fn renamed(mut stop: mpsc::Receiver<()>, tx: mpsc::Sender<u32>) {
    rt::spawn(async {}); //~ AS101
    rt::time::sleep(std::time::Duration::ZERO).await; //~ AS301
    rt::select! {
        _ = tx.send(1) => {} //~ AS202
        _ = stop.recv() => {}
    }
    let kept = rt::spawn(async {});
    kept.await.unwrap();
}

extern crate rt as other;

pub fn twice_renamed(handle: &other::runtime::Handle) {
    handle.spawn(async {}); //~ AS101
    other::task::spawn_blocking(|| ()); //~ AS101
}
