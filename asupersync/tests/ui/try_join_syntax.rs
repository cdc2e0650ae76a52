//! What is wrong with an arm of `try_join!` is said at the arm.

use asupersync::{Cx, try_join};

async fn arms(cx: &Cx) {
    let _ = try_join!(cx, async { 1 }).await;
    let _ = try_join!(|s| s.yield_now()).await;
    let _ = try_join!(cx, async |s| s.yield_now()).await;
}

fn main() {}
