use std::time::Duration;
use tokio::time::sleep;

async fn for_ever() {
    sleep(Duration::MAX).await; //~ AS305
    //~^ AS301
    sleep(Duration::from_secs(u64::MAX)).await; //~ AS305
    //~^ AS301
    sleep(Duration::from_secs(60 * 60 * 24 * 365)).await; //~ AS305
    //~^ AS301
    sleep(Duration::from_millis(90_000_000)).await; //~ AS305
    //~^ AS301
}

async fn for_a_while(length: Duration) {
    sleep(length).await; //~ AS301
    sleep(Duration::from_secs(24 * 60 * 60)).await; //~ AS301
    sleep(Duration::from_millis(1000)).await; //~ AS301
    let _ = Duration::MAX;
}
