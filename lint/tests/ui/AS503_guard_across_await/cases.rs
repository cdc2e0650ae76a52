use tokio::sync::{Mutex, RwLock, Semaphore, mpsc};
use tracing::info_span;

async fn fetch() -> u32 {
    1
}

async fn idle(lock: &Mutex<u32>, table: &RwLock<u32>) {
    let mut guard = lock.lock().await; //~ AS503
    *guard += 1;
    fetch().await;
    let read = table.read().await; //~ AS503
    println!("{read}");
    tokio::select! {
        _ = fetch() => {}
    }
}

async fn permit(tx: mpsc::Sender<u32>) {
    let permit = tx.reserve().await.unwrap(); //~ AS503
    let number = fetch().await;
    permit.send(number);
}

struct Peer;

impl Peer {
    async fn close(&self) {}
}

async fn used_by_what_is_awaited(peers: &Mutex<Vec<Peer>>, one: &Mutex<Option<Peer>>, other: &Mutex<u32>) {
    {
        let open = peers.lock().await;
        for peer in open.iter() {
            peer.close().await;
        }
    }
    {
        let last = one.lock().await;
        if let Some(peer) = last.as_ref() {
            peer.close().await;
        }
    }
    // Both at once, in this order.
    let mut first = one.lock().await;
    *first = None;
    let mut second = other.lock().await;
    *second += 1;
}

async fn spans() {
    let span = info_span!("work");
    let _entered = span.enter(); //~ AS503
    fetch().await;
}

async fn needed(lock: &Mutex<u32>, tx: mpsc::Sender<u32>, room: &Semaphore) {
    let mut guard = lock.lock().await;
    *guard += fetch().await;
    drop(guard);
    let _exclusive = lock.lock().await;
    fetch().await;
    let _place = room.acquire().await;
    fetch().await;
    let number = fetch().await;
    let permit = tx.reserve().await.unwrap();
    permit.send(number);
    fetch().await;
    let one = tx.reserve().await.unwrap();
    let two = tx.reserve().await.unwrap();
    one.send(number);
    two.send(number);
    let span = info_span!("work");
    span.in_scope(|| println!("inside"));
    fetch().await;
}
