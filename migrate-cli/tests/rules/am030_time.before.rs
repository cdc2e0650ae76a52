//! Sleeping, ticking and telling the time, in functions that leave in different ways.

use std::collections::BTreeMap;
use std::io;
use tokio::time::{self, Duration, Instant};

struct Entry {
    at: Instant,
}

async fn unit() {
    time::sleep(Duration::from_millis(1)).await;
    println!("slept");
}

async fn fallible() -> io::Result<()> {
    time::sleep(Duration::from_millis(1)).await;
    time::sleep_until(Instant::now() + Duration::from_millis(1)).await;
    Ok(())
}

async fn value() -> u32 {
    // There is no way to say that the sleep was cut short.
    time::sleep(Duration::from_millis(1)).await;
    1
}

async fn tail() {
    time::sleep(Duration::from_millis(1)).await
}

async fn ticking(rounds: u32) -> io::Result<Duration> {
    let started = Instant::now();
    let mut ticks = time::interval(Duration::from_millis(1));
    for _ in 0..rounds {
        ticks.tick().await;
    }
    Ok(started.elapsed())
}

fn oldest(entries: &BTreeMap<u32, Entry>) -> Option<Duration> {
    let now = Instant::now();
    entries.values().map(|entry| now.duration_since(entry.at)).max()
}

// Decoys: the standard library's clock, and a sleep that blocks.
fn decoys() -> Duration {
    std::thread::sleep(Duration::ZERO);
    std::time::Instant::now().elapsed()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    unit().await;
    fallible().await?;
    tail().await;
    let mut entries = BTreeMap::new();
    entries.insert(value().await, Entry { at: Instant::now() });
    println!("{:?} {:?} {:?}", ticking(2).await?, oldest(&entries), decoys());
    Ok(())
}
