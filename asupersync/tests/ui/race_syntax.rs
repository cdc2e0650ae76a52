use asupersync::{Cx, race};
use std::future::ready;

async fn wait(cx: &Cx) {
    let _ = race!().await;
    let _ = race!(|_s| ready(1)).await;
    let _ = race!(cx, ready(1)).await;
    let _ = race!(cx, || ready(1)).await;
    let _ = race!(cx, async |_s| 1).await;
    let _ = race!(cx, move |_s| ready(1)).await;
    let _ = race!(cx, |_s| ready(1), |_s| ready("1")).await;
    let _ = race!(cx, |_s| 1).await;
}

fn main() {
    let _ = wait;
}
