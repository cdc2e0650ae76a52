use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const STEP: Duration = Duration::from_millis(10);

struct Queue(Vec<u32>);

impl Queue {
    fn is_ready(&self) -> bool {
        self.0.len() > 1
    }

    fn work(&mut self) {}
}

async fn polls(ready: &AtomicBool, queue: &Queue) {
    while !ready.load(Ordering::Acquire) {
        sleep(STEP).await; //~ AS303
    }
    let mut rounds = 0;
    loop {
        if queue.is_ready() {
            break;
        }
        rounds += 1;
        println!("waiting since {rounds}");
        sleep(STEP).await; //~ AS303
    }
}

fn blocking(ready: &AtomicBool) {
    while !ready.load(Ordering::Acquire) {
        std::thread::sleep(STEP); //~ AS303
    }
}

async fn attempt() -> Result<u32, ()> {
    Ok(1)
}

async fn works(ready: &AtomicBool, queue: &mut Queue, until: Instant) {
    while !ready.load(Ordering::Acquire) {
        queue.work();
        sleep(STEP).await;
    }
    loop {
        match attempt().await {
            Ok(_) => break,
            Err(()) => sleep(STEP).await,
        }
    }
    while Instant::now() < until {
        sleep(STEP).await;
    }
    for _ in 0..3 {
        if queue.is_ready() {
            break;
        }
        sleep(STEP).await;
    }
    loop {
        sleep(STEP).await;
        queue.work();
    }
}

async fn of_others(mut child: std::process::Child, path: &std::path::Path) {
    while child.try_wait().unwrap().is_none() {
        sleep(STEP).await;
    }
    while !path.exists() {
        sleep(STEP).await;
    }
}
