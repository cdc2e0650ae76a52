//! Locks that stay: what has no counterpart keeps its lock, and a wait that is not awaited where it stands keeps its own.

use asupersync::Cx;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, RwLock};

struct Few {
    lock: RwLock<u32>,
}

async fn patience(cx: &Cx, lock: &Mutex<u32>) -> Option<u32> {
    // asupersync-migrate: AM041: it is not awaited where it stands
    let guard = cx.timeout_drop(Duration::from_secs(1), lock.lock()).await;
    guard.ok().map(|guard| *guard)
}

async fn moved(cx: &Cx, lock: Arc<asupersync::sync::RwLock<u32>>) -> u32 {
    *lock.read_owned(cx.cleanup()).await.unwrap()
}

#[asupersync::main]
async fn main(cx: &Cx) {
    // asupersync-migrate: AM041: there is room for as many readers as tokio's default: use `RwLock::new`, and a `Semaphore` before it where readers must be few
    let few = Few {
        lock: RwLock::with_max_readers(1, 2),
    };
    println!("{} {:?}", *few.lock.read().await, patience(cx, &Mutex::new(3)).await);
    println!("{}", moved(cx, Arc::new(asupersync::sync::RwLock::new(5))).await);
}
