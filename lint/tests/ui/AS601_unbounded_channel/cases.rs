use tokio::sync::mpsc;

fn queues() {
    let (tx, rx) = mpsc::unbounded_channel::<u32>(); //~ AS601
    let (out, back) = std::sync::mpsc::channel::<u32>();
    let bounded = mpsc::channel::<u32>(8);
    let sync = std::sync::mpsc::sync_channel::<u32>(8);
    let once = tokio::sync::oneshot::channel::<u32>();
    drop((tx, rx, out, back, bounded, sync, once));
}

async fn work(_: tokio::net::TcpStream) {}

async fn a_crowd(listener: tokio::net::TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        println!("one more");
        let _ = socket;
    }
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(work(socket)); //~ AS601
        //~^ AS101
    }
}

async fn limited(listener: tokio::net::TcpListener, room: std::sync::Arc<tokio::sync::Semaphore>) {
    loop {
        let place = room.clone().acquire_owned().await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(async move { //~ AS101
            work(socket).await;
            drop(place);
        });
    }
}

async fn a_fixed_number() {
    for _ in 0..4 {
        tokio::spawn(async {}); //~ AS101
    }
}

async fn threads_and_tasks() {
    let (tx, rx) = std::sync::mpsc::channel::<u32>(); //~ AS601
    let feeding = std::thread::spawn(move || tx.send(1).is_ok());
    while let Ok(number) = rx.try_recv() {
        println!("{number}");
    }
    drop(feeding);
}

fn signals() {
    let (shutdown_tx, shutdown_rx) = mpsc::unbounded_channel::<String>();
    let (tx, rx) = mpsc::unbounded_channel::<()>();
    drop((shutdown_tx, shutdown_rx, tx, rx));
}

async fn an_answer() -> Option<u32> {
    let (tx, mut rx) = mpsc::unbounded_channel::<u32>();
    let _ = tx.send(1);
    rx.recv().await
}

async fn a_stream_of_answers() {
    let (tx, mut rx) = mpsc::unbounded_channel::<u32>(); //~ AS601
    let _ = tx.send(1);
    while let Some(number) = rx.recv().await {
        println!("{number}");
    }
}

async fn one_at_a_time(listener: tokio::net::TcpListener) {
    let mut current = None;
    loop {
        let (socket, address) = listener.accept().await.unwrap();
        if current.is_none() {
            tokio::spawn(work(socket)); //~ AS101
            current = Some(address);
        }
    }
}
