async fn work() {}

async fn unawaited(handle: tokio::task::JoinHandle<()>) {
    let started = async { tokio::spawn(work()) }; //~ AS106
    let nested = async { work() }; //~ AS106
    let given = async move { handle }; //~ AS106
    drop((started, nested, given));
}

async fn awaited(handle: tokio::task::JoinHandle<()>) {
    let started = async { tokio::spawn(work()).await };
    let nested = async { work().await };
    let plain = async { 1 };
    let given = async move { handle.await };
    drop((started, nested, plain, given));
}
