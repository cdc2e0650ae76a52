use std::sync::Arc;
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, mpsc};

struct Server {
    state: Mutex<u32>,
    table: RwLock<u32>,
    room: Arc<Semaphore>,
}

async fn update(state: &Mutex<u32>) {
    *state.lock().await += 1;
}

async fn shared_reference(state: Arc<Mutex<u32>>, late: &Notify) {
    let mut first = Box::pin(update(&state));
    tokio::select! {
        _ = &mut first => {}
        _ = late.notified() => {
            update(&state).await; //~ AS206
        }
    }
}

async fn through_a_clone(state: Arc<Mutex<u32>>, late: &Notify) {
    let theirs = Arc::clone(&state);
    let ours = state.clone();
    let first = async move {
        *theirs.lock().await += 1;
    };
    tokio::pin!(first);
    loop {
        tokio::select! {
            _ = &mut first => break,
            _ = late.notified() => *ours.lock().await += 1, //~ AS206
        }
    }
}

impl Server {
    async fn fields(&self, late: &Notify) {
        let mut first = std::pin::pin!(async {
            let _one = self.room.acquire().await;
            *self.table.write().await += 1;
        });
        tokio::select! {
            _ = first.as_mut() => {}
            _ = late.notified() => {
                let now = *self.table.read().await; //~ AS206
                let _two = self.room.acquire().await; //~ AS206
                *self.state.lock().await += now;
            }
        }
    }
}

async fn full_channel(tx: mpsc::Sender<u32>, late: &Notify) {
    let sending = tx.send(1);
    tokio::pin!(sending);
    tokio::select! {
        _ = &mut sending => {}
        _ = late.notified() => {
            let _ = tx.send(2).await; //~ AS206
        }
    }
}
