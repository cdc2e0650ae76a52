//! Tasks that somebody waits for.

use asupersync::{Cx, TaskHandle};

async fn double(cx: &Cx, n: u64) -> u64 {
    let _ = cx.cleanup().yield_now().await;
    n * 2
}

fn start(cx: &Cx, n: u64) -> TaskHandle<u64> {
    cx.spawn({
        let argument = n + 1;
        async move |cx| double(&cx, argument).await
    })
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) {
    let one = cx.spawn(async move |cx| { double(&cx, 1).await });
    let two = start(cx, 2);
    println!("{:?} {}", one.await.into_result().ok(), two.await.into_result().unwrap());
    let quick = cx.spawn(async move |_cx| { 3 });
    if let Ok(three) = quick.await.into_result() {
        println!("{three}");
    }
    // Decoy: another `spawn`.
    std::thread::spawn(|| ()).join().unwrap();
}
