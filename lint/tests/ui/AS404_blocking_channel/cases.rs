use std::sync::mpsc;

async fn in_async(queue: mpsc::Receiver<u32>, mut other: tokio::sync::mpsc::Receiver<u32>) {
    queue.recv().unwrap(); //~ AS404
    std::thread::spawn(|| 1).join().unwrap(); //~ AS404
    other.recv().await.unwrap();
    queue.try_recv().unwrap();
    tokio::task::spawn_blocking(move || queue.recv()).await.unwrap().unwrap();
}

fn in_sync(queue: mpsc::Receiver<u32>) {
    queue.recv().unwrap();
}
