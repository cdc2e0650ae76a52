//! A permit is good for one value.

use asupersync::Cx;
use asupersync::channel::mpsc::Sender;

async fn wait(cx: &Cx, tx: &Sender<u8>) {
    let permit = tx.reserve(cx).await.unwrap();
    permit.send(1).unwrap();
    permit.send(2).unwrap();
}

fn main() {
    let _ = wait;
}
