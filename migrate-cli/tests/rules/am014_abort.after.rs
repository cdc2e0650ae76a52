//! Stopping a task.

use asupersync::Cx;
use std::time::Duration;

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) {
    let task = cx.spawn(async move |cx| {
        if cx.sleep(Duration::from_secs(60)).await.is_err() {
            return;
        }
    });
    task.cancel(asupersync::CancelKind::User);
    println!("{}", task.await.into_result().is_err());
}
