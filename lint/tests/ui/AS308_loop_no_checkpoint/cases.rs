use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

async fn step() {}

async fn endless(count: &AtomicU32) {
    loop { //~ AS308
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn busy(ready: &AtomicBool, cx: &asupersync::Cx) {
    while !ready.load(Ordering::Acquire) {} //~ AS308
    'wait: while !ready.load(Ordering::Acquire) { //~ AS308
        std::thread::yield_now();
    }
    drop(async {
        loop { //~ AS308
            std::hint::spin_loop();
        }
    });
    drop(cx);
}

async fn gives_way(ready: &AtomicBool, cx: &asupersync::Cx, text: &str) -> Result<(), asupersync::Cancelled> {
    while !ready.load(Ordering::Acquire) {
        step().await;
    }
    let mut letters = text.chars();
    loop {
        match letters.next() {
            Some(letter) => println!("{letter}"),
            None => break,
        }
    }
    while letters.next().is_some() {}
    if ready.load(Ordering::Relaxed) {
        loop {
            futures::pending!();
        }
    }
    loop {
        tokio::select! {
            _ = step() => {}
        }
        cx.checkpoint()?;
    }
}

fn on_its_own_thread(ready: &AtomicBool) {
    std::thread::spawn(|| loop {
        std::hint::spin_loop();
    });
    while !ready.load(Ordering::Acquire) {}
}
