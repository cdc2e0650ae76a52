//! What an async block has done so far is lost when it is dropped.

use asupersync::{Cx, select};
use std::time::Duration;

async fn wait(cx: &Cx) {
    select! {
        () = async { cx.yield_now().await.unwrap() } => {}
        _ = cx.sleep(Duration::from_secs(1)) => {}
    }
}

fn main() {
    let _ = wait;
}
