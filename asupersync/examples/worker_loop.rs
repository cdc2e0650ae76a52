//! A worker that reserves before it takes: it is cancelled at any point, and loses no job.

use asupersync::channel::mpsc::{self, Receiver, Sender};
use asupersync::{Cx, RegionError};

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), RegionError> {
    println!("{:?}", squares(cx, 5).await?);
    Ok(())
}

/// The squares of the numbers from 1 on, by a worker between two channels.
pub(crate) async fn squares(cx: &Cx, upto: u64) -> Result<Vec<u64>, RegionError> {
    let (jobs, todo) = mpsc::channel(2);
    let (results, mut done) = mpsc::channel(2);
    cx.region(async |scope| {
        scope.spawn(async move |cx: Cx| {
            for n in 1..=upto {
                if jobs.send(&cx, n).await.is_err() {
                    break;
                }
            }
        });
        scope.spawn(async move |cx: Cx| work(&cx, todo, results).await);
        let mut all = Vec::new();
        while let Ok(square) = done.recv(&scope).await {
            all.push(square);
        }
        all
    })
    .await
}

/// Answers every job that it takes.
pub(crate) async fn work(cx: &Cx, mut todo: Receiver<u64>, results: Sender<u64>) {
    // Room for the answer first. Both waits may end early, and neither has taken anything then.
    while let Ok(room) = results.reserve(cx).await {
        let Ok(n) = todo.recv(cx).await else {
            return room.abort();
        };
        // From taking the job to giving the answer there is no wait, and sending cannot fail to
        // find room; an error says that nobody wants the answers any more.
        if room.send(n * n).is_err() {
            return;
        }
    }
}
