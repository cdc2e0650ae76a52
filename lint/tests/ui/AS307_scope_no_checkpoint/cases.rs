use asupersync::Cx;
use std::time::Duration;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

async fn wait() {}

async fn never_wait(cx: &Cx, numbers: &[u64]) {
    let _ = timeout(SECOND, async { numbers.iter().sum::<u64>() }).await; //~ AS307
    //~^ AS301
    let _ = cx.timeout(SECOND, async |_cx| numbers.len()).await; //~ AS307
    let _ = cx.region(async |_scope| numbers.len()).await; //~ AS307
}

async fn wait_somewhere(cx: &Cx, numbers: &[u64]) {
    let _ = timeout(SECOND, async { wait().await }).await; //~ AS301
    let _ = timeout(SECOND, wait()).await; //~ AS301
    let _ = timeout(SECOND, async { tokio::join!(wait(), wait()) }).await; //~ AS301
    let _ = cx.region(async |scope| {
        scope.spawn(async |_| wait().await);
    }).await;
    let _ = cx.timeout(SECOND, async |cx| {
        for number in numbers {
            println!("{number}");
            cx.checkpoint()?;
        }
        Ok::<(), asupersync::Cancelled>(())
    }).await;
}

async fn asks_something_of_the_region(cx: &Cx) {
    let _ = cx.region(async |scope: asupersync::Scope| {
        scope.close();
    }).await;
}
