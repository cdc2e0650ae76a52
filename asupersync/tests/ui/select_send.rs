//! A value on its way is lost with its `send`: reserve first.

use asupersync::channel::mpsc::Sender;
use asupersync::{Cx, select};

async fn wait(cx: &Cx, tx: &Sender<u8>) {
    select! {
        sent = tx.send(cx, 1) => sent.unwrap(),
    }
}

fn main() {
    let _ = wait;
}
