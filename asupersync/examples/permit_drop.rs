//! A permit that is dropped gives its place back: here with the task that held it.

use asupersync::channel::{mpsc, oneshot};
use asupersync::{CancelKind, Cx, RegionError};
use std::time::Duration;

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), RegionError> {
    println!("received {:?}", hand_back(cx).await?);
    Ok(())
}

/// A task holds the only place of a channel, and is cancelled before it sends.
pub(crate) async fn hand_back(cx: &Cx) -> Result<Vec<&'static str>, RegionError> {
    let (tx, mut rx) = mpsc::channel(1);
    let (held, mut is_held) = oneshot::channel();
    let first = tx.clone();
    cx.region(async |scope| {
        let holder = scope.spawn(async move |cx: Cx| {
            let Ok(permit) = first.reserve(&cx).await else {
                return;
            };
            let _ = held.send(());
            if cx.sleep(Duration::from_secs(3600)).await.is_ok() {
                let _ = permit.send("from the first");
            }
            // Asked to cancel, the task drops the permit here, and that is in order.
            // A task that changes its mind while it runs says so: `permit.abort()`.
        });
        let _ = is_held.recv(&scope).await;
        assert!(tx.try_reserve(&scope).is_err(), "the only place is taken");
        holder.cancel(CancelKind::User);
        let _ = holder.await;
        let _ = tx.send(&scope, "from the second").await;
        drop(tx);
        let mut received = Vec::new();
        while let Ok(text) = rx.recv(&scope).await {
            received.push(text);
        }
        received
    })
    .await
}
