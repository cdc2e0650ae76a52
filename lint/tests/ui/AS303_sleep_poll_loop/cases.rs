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
        //~^ AS301
    }
    let mut rounds = 0;
    loop {
        if queue.is_ready() {
            break;
        }
        rounds += 1;
        println!("waiting since {rounds}");
        sleep(STEP).await; //~ AS303
        //~^ AS301
    }
}

fn blocking(ready: &AtomicBool) {
    while !ready.load(Ordering::Acquire) {
        std::thread::sleep(STEP); //~ AS303
        //~^ AS301
    }
}

async fn attempt() -> Result<u32, ()> {
    Ok(1)
}

async fn works(ready: &AtomicBool, queue: &mut Queue, until: Instant) {
    while !ready.load(Ordering::Acquire) {
        queue.work();
        sleep(STEP).await; //~ AS301
    }
    loop {
        match attempt().await {
            Ok(_) => break,
            Err(()) => sleep(STEP).await, //~ AS301
        }
    }
    while Instant::now() < until { //~ AS301
        sleep(STEP).await; //~ AS301
    }
    for _ in 0..3 {
        if queue.is_ready() {
            break;
        }
        sleep(STEP).await; //~ AS301
    }
    loop {
        sleep(STEP).await; //~ AS301
        queue.work();
    }
}

async fn of_others(mut child: std::process::Child, path: &std::path::Path) {
    while child.try_wait().unwrap().is_none() {
        sleep(STEP).await; //~ AS301
    }
    while !path.exists() {
        sleep(STEP).await; //~ AS301
    }
}
