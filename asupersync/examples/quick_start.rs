//! A region and two workers: when the region has returned, nothing of it runs any more.

use asupersync::{Cx, RegionError};
use std::time::Duration;

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), RegionError> {
    println!("{} words", count(cx, "one two three", "four five").await?);
    Ok(())
}

/// Counts the words of two texts, each in a task of its own.
pub(crate) async fn count(cx: &Cx, a: &'static str, b: &'static str) -> Result<usize, RegionError> {
    cx.region(async |scope| {
        let a = scope.spawn(async move |cx: Cx| words(&cx, a).await);
        let b = scope.spawn(async move |cx: Cx| words(&cx, b).await);
        // The region would wait for both, also if nobody asked for their outcome.
        a.await.into_result().unwrap_or(0) + b.await.into_result().unwrap_or(0)
    })
    .await
}

async fn words(cx: &Cx, text: &str) -> usize {
    let mut words = 0;
    for _word in text.split_whitespace() {
        // A wait is where the task can be stopped; what is counted so far is its answer then.
        if cx.sleep(Duration::from_millis(1)).await.is_err() {
            break;
        }
        words += 1;
    }
    words
}
