//@check-pass
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, mpsc};

async fn other_lock(one: &Mutex<u32>, other: &Mutex<u32>, late: &Notify) {
    let first = async {
        *one.lock().await += 1;
    };
    tokio::pin!(first);
    tokio::select! {
        _ = &mut first => {}
        _ = late.notified() => *other.lock().await += 1,
    }
}

async fn given_by_value(state: &Mutex<u32>, late: &Notify) {
    let first = async {
        *state.lock().await += 1;
    };
    tokio::select! {
        _ = first => {}
        _ = late.notified() => *state.lock().await += 1,
    }
}

async fn a_task_of_its_own(state: Arc<Mutex<u32>>, late: &Notify) {
    let theirs = state.clone();
    let mut first = tokio::spawn(async move {
        *theirs.lock().await += 1;
    });
    tokio::select! {
        _ = &mut first => {}
        _ = late.notified() => *state.lock().await += 1,
    }
}

async fn in_the_same_branch(state: &Mutex<u32>, late: &Notify) {
    let first = async {
        *state.lock().await += 1;
    };
    tokio::pin!(first);
    tokio::select! {
        _ = &mut first => *state.lock().await += 1,
        _ = late.notified() => {}
    }
}

async fn no_queue(tx: mpsc::Sender<u32>, out: mpsc::UnboundedSender<u32>, late: &Notify) {
    let sending = async { out.send(1) };
    tokio::pin!(sending);
    tokio::select! {
        _ = &mut sending => {}
        _ = late.notified() => {
            let _ = out.send(2);
            let _ = tx.send(1).await;
        }
    }
}

async fn spawned_there(state: Arc<Mutex<u32>>, late: &Notify) {
    let theirs = state.clone();
    let first = async move {
        *theirs.lock().await += 1;
    };
    tokio::pin!(first);
    let mut tasks = tokio::task::JoinSet::new();
    tokio::select! {
        _ = &mut first => {}
        _ = late.notified() => {
            tasks.spawn(async move { *state.lock().await += 1 });
        }
    }
}
