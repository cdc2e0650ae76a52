use std::sync::{Arc, Mutex, RwLock};

async fn fetch() -> u32 {
    1
}

struct Totals {
    plain: Mutex<u32>,
    shared: Arc<RwLock<u32>>,
    fast: parking_lot::Mutex<u32>,
}

impl Totals {
    async fn held(&self) {
        let mut guard = self.plain.lock().unwrap(); //~ AS501
        *guard += fetch().await;
    }

    async fn read(&self) -> u32 {
        let guard = self.shared.read().unwrap(); //~ AS501
        let more = fetch().await;
        *guard + more
    }

    async fn parking_lot(&self) {
        let guard = self.fast.lock(); //~ AS501
        fetch().await;
        drop(guard);
    }

    async fn or_else(&self) {
        let Ok(guard) = self.plain.lock() else { return }; //~ AS501
        tokio::select! {
            _ = fetch() => println!("{guard}"),
        }
    }
}

async fn unknown_receiver(lock: impl std::ops::Deref<Target = Mutex<u32>>) {
    let _guard = lock.lock().unwrap(); //~ AS501
    fetch().await;
}

async fn released(totals: &Totals) {
    {
        let mut guard = totals.plain.lock().unwrap();
        *guard += 1;
    }
    fetch().await;
    let guard = totals.plain.lock().unwrap();
    drop(guard);
    fetch().await;
    let copied = *totals.plain.lock().unwrap();
    fetch().await;
    let guard = totals.fast.lock();
    let later = async { fetch().await };
    println!("{guard}");
    drop(guard);
    later.await;
    drop(copied);
}

fn moved_out(guard: std::sync::MutexGuard<'_, u32>) -> u32 {
    *guard
}

async fn moved(totals: &Totals) -> u32 {
    let guard = totals.plain.lock().unwrap();
    let value = moved_out(guard);
    value + fetch().await
}

async fn an_async_lock(lock: &tokio::sync::Mutex<u32>) {
    let mut guard = lock.lock().await;
    *guard += fetch().await;
}

fn synchronous(lock: &Mutex<u32>) {
    let guard = lock.lock().unwrap();
    let later = async { fetch().await };
    drop((guard, later));
}

async fn a_copy(lock: &RwLock<Vec<u32>>) -> usize {
    let copy = lock.read().unwrap().clone();
    fetch().await;
    copy.len()
}
