//! Sleeping, ticking and telling the time, in functions that leave in different ways.

use std::collections::BTreeMap;
use std::io;
use asupersync::{Cx, Time};
use std::time::Duration;

struct Entry {
    at: Time,
}

async fn unit(cx: &Cx) {
    if cx.sleep(Duration::from_millis(1)).await.is_err() {
        return;
    }
    println!("slept");
}

async fn fallible(cx: &Cx) -> io::Result<()> {
    cx.sleep(Duration::from_millis(1)).await?;
    cx.sleep_until(cx.now() + Duration::from_millis(1)).await?;
    Ok(())
}

async fn value(cx: &Cx) -> u32 {
    // There is no way to say that the sleep was cut short.
    let _ = cx.cleanup().sleep(Duration::from_millis(1)).await;
    1
}

async fn tail(cx: &Cx) {
    if cx.sleep(Duration::from_millis(1)).await.is_err() { return; }
}

async fn ticking(cx: &Cx, rounds: u32) -> io::Result<Duration> {
    let started = cx.now();
    let mut ticks = cx.interval(Duration::from_millis(1), asupersync::Missed::Burst);
    for _ in 0..rounds {
        ticks.tick(cx).await?;
    }
    Ok(cx.now().since(started))
}

fn oldest(cx: &Cx, entries: &BTreeMap<u32, Entry>) -> Option<Duration> {
    let now = cx.now();
    entries.values().map(|entry| now.since(entry.at)).max()
}

// Decoys: the standard library's clock, and a sleep that blocks.
fn decoys() -> Duration {
    std::thread::sleep(Duration::ZERO);
    std::time::Instant::now().elapsed()
}

#[asupersync::main]
async fn main(cx: &Cx) -> io::Result<()> {
    unit(cx).await;
    fallible(cx).await?;
    tail(cx).await;
    let mut entries = BTreeMap::new();
    entries.insert(value(cx).await, Entry { at: cx.now() });
    println!("{:?} {:?} {:?}", ticking(cx, 2).await?, oldest(cx, &entries), decoys());
    Ok(())
}
