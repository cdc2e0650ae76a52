use std::sync::Arc;
use tokio::sync::{Mutex, Notify, Semaphore, mpsc};

async fn each_round(lock: &Mutex<u32>, limit: Arc<Semaphore>, wake: &Notify, mut work: mpsc::Receiver<()>) {
    loop {
        tokio::select! {
            _ = lock.lock() => {} //~ AS203
            _permit = limit.acquire() => {} //~ AS203
            _ = limit.acquire() => break,
            _ = wake.notified() => {} //~ AS203
            _ = work.recv() => break,
        }
    }
}

fn everybody(wake: &Notify) {
    wake.notify_waiters();
}

async fn once(lock: &Mutex<u32>, wake: &Notify, mut work: mpsc::Receiver<()>) {
    tokio::select! {
        _ = lock.lock() => {}
        _ = work.recv() => {}
    }
    let notified = wake.notified();
    tokio::pin!(notified);
    loop {
        tokio::select! {
            _ = &mut notified => break,
            _ = work.recv() => {
                *lock.lock().await += 1;
            }
        }
    }
}
