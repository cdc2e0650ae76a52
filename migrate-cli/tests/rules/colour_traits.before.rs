//! A local trait is coloured with its implementations; a foreign one cannot be.

use std::time::Duration;

trait Job {
    async fn run(&self) -> u32;
}

struct Slow;
struct Quick;

impl Job for Slow {
    async fn run(&self) -> u32 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        1
    }
}

impl Job for Quick {
    async fn run(&self) -> u32 {
        2
    }
}

struct Noisy;

impl Drop for Noisy {
    fn drop(&mut self) {
        tokio::spawn(async { println!("dropped") });
    }
}

/// The name is taken, so another is used.
async fn taken(cx: &str) -> usize {
    tokio::task::yield_now().await;
    cx.len()
}

#[tokio::main]
async fn main() {
    let _noisy = Noisy;
    println!("{} {} {}", Slow.run().await, Quick.run().await, taken("x").await);
}
