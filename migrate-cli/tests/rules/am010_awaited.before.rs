//! Tasks that somebody waits for.

use tokio::task::JoinHandle;

async fn double(n: u64) -> u64 {
    tokio::task::yield_now().await;
    n * 2
}

fn start(n: u64) -> JoinHandle<u64> {
    tokio::spawn(double(n + 1))
}

#[tokio::main]
async fn main() {
    let one = tokio::spawn(async move { double(1).await });
    let two = start(2);
    println!("{:?} {}", one.await.ok(), two.await.unwrap());
    let quick = tokio::spawn(async { 3 });
    if let Ok(three) = quick.await {
        println!("{three}");
    }
    // Decoy: another `spawn`.
    std::thread::spawn(|| ()).join().unwrap();
}
