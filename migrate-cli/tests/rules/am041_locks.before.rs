//! Locks: waits with a way out and without, guards that are kept, parts and downgrades, owned guards, tries, blocking.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

static COUNT: Mutex<u32> = Mutex::const_new(0);

struct Table {
    entries: RwLock<HashMap<u32, String>>,
    names: Arc<Mutex<Vec<String>>>,
}

impl Table {
    fn new() -> Table {
        Table {
            entries: RwLock::new(HashMap::new()),
            names: Arc::default(),
        }
    }

    async fn put(&self, key: u32, value: &str) -> io::Result<usize> {
        self.names.lock().await.push(value.to_owned());
        let mut entries = self.entries.write().await;
        entries.insert(key, value.to_owned());
        let entries = entries.downgrade();
        Ok(entries.len())
    }

    async fn get(&self, key: u32) -> Option<String> {
        *COUNT.lock().await += 1;
        self.entries.read().await.get(&key).cloned()
    }

    async fn lengthen(&self, key: u32) {
        let entries = self.entries.write().await;
        if let Ok(mut entry) = RwLockWriteGuard::try_map(entries, |entries| entries.get_mut(&key)) {
            entry.push('!');
        }
    }

    async fn first(&self) -> Result<String, Box<dyn std::error::Error>> {
        let names = self.names.clone().lock_owned().await;
        let first = OwnedMutexGuard::map(names, |names| &mut names[0]);
        Ok(first.clone())
    }

    async fn length(&self, key: u32) -> usize {
        let entries: RwLockReadGuard<'_, HashMap<u32, String>> = self.entries.read().await;
        RwLockReadGuard::map(entries, |entries| &entries[&key]).len()
    }

    fn is_busy(&self) -> bool {
        self.entries.try_write().is_err() || self.names.try_lock().is_err()
    }

    fn take(&mut self) -> HashMap<u32, String> {
        std::mem::take(self.entries.get_mut())
    }
}

async fn either(left: &Mutex<u32>, right: &Mutex<u32>) -> u32 {
    tokio::select! {
        left = left.lock() => *left,
        right = right.lock() => *right + 1,
    }
}

fn outside(limit: &RwLock<u32>) -> u32 {
    *limit.blocking_write() += 1;
    *limit.blocking_read() + *COUNT.blocking_lock()
}

// Decoys: the locks of the standard library.
fn decoy(lock: &std::sync::RwLock<u32>, mutex: &std::sync::Mutex<u32>) -> u32 {
    *lock.write().unwrap() += 1;
    *lock.read().unwrap() + *mutex.lock().unwrap()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = Arc::new(Table::new());
    println!("{}", table.put(1, "one").await?);
    let shared = table.clone();
    let task = tokio::spawn(async move {
        shared.lengthen(1).await;
        shared.names.lock().await.push("two".to_owned());
        shared.get(1).await
    });
    println!("{:?} {}", task.await?, table.length(1).await);
    println!("{} {}", table.first().await?, table.is_busy());
    let table = Arc::into_inner(table).map(|mut table| table.take());
    println!("{table:?} {}", either(&Mutex::new(1), &Mutex::new(0)).await);
    println!("{}", std::thread::spawn(|| outside(&RwLock::new(1))).join().unwrap());
    println!("{}", decoy(&Default::default(), &Default::default()));
    Ok(())
}
