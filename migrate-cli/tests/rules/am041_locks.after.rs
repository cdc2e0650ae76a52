//! Locks: waits with a way out and without, guards that are kept, parts and downgrades, owned guards, tries, blocking.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use asupersync::Cx;
use asupersync::sync::{Mutex, OwnedMutexGuard, ReadGuard, RwLock, WriteGuard};

static COUNT: Mutex<u32> = Mutex::new(0);

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

    async fn put(&self, cx: &Cx, key: u32, value: &str) -> io::Result<usize> {
        self.names.lock(cx.cleanup()).await.unwrap().push(value.to_owned());
        let mut entries = self.entries.write(cx).await?;
        entries.insert(key, value.to_owned());
        let entries = entries.downgrade();
        Ok(entries.len())
    }

    async fn get(&self, cx: &Cx, key: u32) -> Option<String> {
        *COUNT.lock(cx.cleanup()).await.unwrap() += 1;
        self.entries.read(cx.cleanup()).await.unwrap().get(&key).cloned()
    }

    async fn lengthen(&self, cx: &Cx, key: u32) {
        let entries = self.entries.write(cx.cleanup()).await.unwrap();
        if let Ok(mut entry) = WriteGuard::try_map(entries, |entries| entries.get_mut(&key)) {
            entry.push('!');
        }
    }

    async fn first(&self, cx: &Cx) -> Result<String, Box<dyn std::error::Error>> {
        let names = self.names.clone().lock_owned(cx).await?;
        let first = OwnedMutexGuard::map(names, |names| &mut names[0]);
        Ok(first.clone())
    }

    async fn length(&self, cx: &Cx, key: u32) -> usize {
        let entries: ReadGuard<'_, HashMap<u32, String>> = self.entries.read(cx.cleanup()).await.unwrap();
        ReadGuard::map(entries, |entries| &entries[&key]).len()
    }

    fn is_busy(&self) -> bool {
        self.entries.try_write().is_err() || self.names.try_lock().is_err()
    }

    fn take(&mut self) -> HashMap<u32, String> {
        std::mem::take(self.entries.get_mut())
    }
}

async fn either(cx: &Cx, left: &Mutex<u32>, right: &Mutex<u32>) -> u32 {
    asupersync::select! {
        Ok(left) = left.lock(cx.cleanup()) => *left,
        Ok(right) = right.lock(cx.cleanup()) => *right + 1,
    }
}

fn outside(limit: &RwLock<u32>) -> u32 {
    *limit.blocking_write() += 1;
    *limit.blocking_read() + *COUNT.blocking_lock().unwrap()
}

// Decoys: the locks of the standard library.
fn decoy(lock: &std::sync::RwLock<u32>, mutex: &std::sync::Mutex<u32>) -> u32 {
    *lock.write().unwrap() += 1;
    *lock.read().unwrap() + *mutex.lock().unwrap()
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) -> Result<(), Box<dyn std::error::Error>> {
    let table = Arc::new(Table::new());
    println!("{}", table.put(cx, 1, "one").await?);
    let shared = table.clone();
    let task = cx.spawn(async move |cx| {
        shared.lengthen(&cx, 1).await;
        shared.names.lock(cx.cleanup()).await.unwrap().push("two".to_owned());
        shared.get(&cx, 1).await
    });
    println!("{:?} {}", task.await.into_result()?, table.length(cx, 1).await);
    println!("{} {}", table.first(cx).await?, table.is_busy());
    let table = Arc::into_inner(table).map(|mut table| table.take());
    println!("{table:?} {}", either(cx, &Mutex::new(1), &Mutex::new(0)).await);
    println!("{}", std::thread::spawn(|| outside(&RwLock::new(1))).join().unwrap());
    println!("{}", decoy(&Default::default(), &Default::default()));
    Ok(())
}
