//! Locks that stay: what has no counterpart keeps its lock, and a wait that is not awaited where it stands keeps its own.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, RwLock};

struct Few {
    lock: RwLock<u32>,
}

async fn patience(lock: &Mutex<u32>) -> Option<u32> {
    let guard = tokio::time::timeout(Duration::from_secs(1), lock.lock()).await;
    guard.ok().map(|guard| *guard)
}

async fn moved(lock: Arc<RwLock<u32>>) -> u32 {
    *lock.read_owned().await
}

#[tokio::main]
async fn main() {
    let few = Few {
        lock: RwLock::with_max_readers(1, 2),
    };
    println!("{} {:?}", *few.lock.read().await, patience(&Mutex::new(3)).await);
    println!("{}", moved(Arc::new(RwLock::new(5))).await);
}
