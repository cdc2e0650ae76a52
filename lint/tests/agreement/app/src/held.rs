//! What is held over an await, and what is never awaited.

use parking_lot::Mutex as Fast;
use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::sync::{Arc, Mutex as Lock, MutexGuard, RwLock};
use tokio::sync::{self, mpsc};

pub(crate) struct Shared {
    total: Arc<Lock<u32>>,
    table: RwLock<Vec<u32>>,
    fast: Fast<u32>,
    cell: Rc<RefCell<u32>>,
    state: Arc<sync::Mutex<u32>>,
}

macro_rules! locked {
    ($lock:expr) => {
        $lock.lock().unwrap()
    };
}

async fn wait() -> u32 {
    1
}

fn guard(lock: &Lock<u32>) -> MutexGuard<'_, u32> {
    lock.lock().unwrap()
}

fn poisoned(lock: &Lock<u32>) -> std::sync::LockResult<MutexGuard<'_, u32>> {
    lock.lock()
}

impl Shared {
    pub(crate) async fn fields(&self) {
        let mut total = self.total.lock().unwrap(); //~ AS501
        *total += wait().await;
        drop(total);
        let table = self.table.read().unwrap(); //~ AS501
        wait().await;
        drop(table);
        let mut table = self.table.write().expect("not poisoned"); //~ AS501
        table.push(wait().await);
        drop(table);
        let fast = self.fast.lock(); //~ AS501
        wait().await;
        drop(fast);
    }

    pub(crate) async fn forms(&self) -> u32 {
        let returned = guard(&self.total); //~ AS501
        wait().await;
        drop(returned);
        let expanded = locked!(self.total); //~ AS501 clippy
        wait().await;
        drop(expanded);
        let matched = match poisoned(&self.total) { //~ AS501 clippy
            Ok(guard) => guard,
            Err(error) => error.into_inner(),
        };
        wait().await;
        drop(matched);
        let Ok(or_else) = self.total.lock() else { return 0 }; //~ AS501
        wait().await;
        *or_else
    }

    pub(crate) async fn temporary(&self) {
        if let Some(first) = self.table.read().unwrap().first() { //~ AS501 clippy
            println!("{}", wait().await + first);
        }
    }

    pub(crate) async fn cells(&self) {
        let mut cell = self.cell.borrow_mut(); //~ AS502
        *cell += wait().await;
        drop(cell);
        let cell = self.cell.borrow(); //~ AS502
        wait().await;
        drop(cell);
        let mapped = RefMut::map(self.cell.borrow_mut(), |cell| cell); //~ AS502 clippy
        wait().await;
        drop(mapped);
    }

    pub(crate) async fn idle(&self, tx: &mpsc::Sender<u32>) {
        let mut state = self.state.lock().await; //~ AS503
        *state += 1;
        wait().await;
        let owned = Arc::clone(&self.state).lock_owned().await; //~ AS503 clippy
        println!("{owned}");
        wait().await;
        let place = tx.reserve().await.unwrap(); //~ AS503
        let number = wait().await;
        place.send(number);
    }

    pub(crate) async fn released(&self) -> u32 {
        let copied = *self.total.lock().unwrap();
        wait().await;
        {
            let mut total = self.total.lock().unwrap();
            *total += 1;
        }
        wait().await;
        let total = guard(&self.total);
        drop(total);
        wait().await;
        let mut state = self.state.lock().await;
        *state += wait().await;
        copied + self.cell.borrow().checked_add(1).unwrap_or(0)
    }
}

#[cfg(feature = "extra")]
pub(crate) async fn behind_a_feature(lock: &Lock<u32>, cell: &RefCell<u32>) {
    let guard = lock.lock().unwrap(); //~ AS501 syn
    wait().await;
    drop(guard);
    let borrowed = cell.borrow(); //~ AS502 syn
    wait().await;
    drop(borrowed);
}

pub(crate) async fn never_polled(tx: mpsc::Sender<u32>) {
    use self::wait as pause;
    let _ = wait(); //~ AS107
    let _ = pause(); //~ AS107
    let _ = tx.send(1); //~ AS107
    let _ = helper::exchange_later(); //~ AS107
    let boxed = Box::pin(wait());
    let _ = Some(boxed).unwrap(); //~ AS107 clippy
    let _ = wait().await;
}

pub(crate) async fn promises(tx: mpsc::Sender<u32>, many: &[mpsc::Sender<u32>]) {
    let place = tx.reserve().await.unwrap(); //~ AS604
    let _ = tx.try_reserve(); //~ AS604
    let found = many.iter().fold(None, |_, tx| Some(tx));
    let place = found.unwrap().reserve().await.unwrap(); //~ AS604 clippy
    let owned = tx.clone().reserve_owned().await.unwrap(); //~ AS604
    tx.reserve().await.unwrap().send(1);
    let used = tx.reserve().await.unwrap();
    used.send(1);
}
