use std::thread;
use std::time::Duration;

async fn in_async() {
    thread::sleep(Duration::from_secs(1)); //~ AS401
    (0..3).for_each(|_| thread::sleep(Duration::from_secs(1))); //~ AS401
    let pause = || thread::sleep(Duration::from_secs(1)); //~ AS401
    pause();
    let block = async {
        thread::sleep(Duration::from_secs(1)); //~ AS401
    };
    block.await;
    tokio::spawn(async move {
        thread::sleep(Duration::from_secs(1)); //~ AS401
    })
    .await
    .unwrap();
}

async fn elsewhere() {
    tokio::task::spawn_blocking(|| thread::sleep(Duration::from_secs(1)))
        .await
        .unwrap();
    tokio::task::block_in_place(|| thread::sleep(Duration::from_secs(1)));
    thread::spawn(|| thread::sleep(Duration::from_secs(1)));
    let pause = || thread::sleep(Duration::from_secs(1));
    tokio::task::spawn_blocking(pause).await.unwrap();
    fn helper() {
        thread::sleep(Duration::from_secs(1));
    }
    helper();
}
