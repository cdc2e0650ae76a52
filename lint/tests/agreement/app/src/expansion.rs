//! Calls that macros make, and calls in the arguments of macros.

use std::time::Duration;

macro_rules! background {
    ($($body:tt)*) => {{
        tokio::spawn(async move { $($body)* });
    }};
}

macro_rules! handle_of {
    ($body:expr) => {
        tokio::spawn($body)
    };
}

macro_rules! pause {
    () => {
        std::thread::sleep(std::time::Duration::ZERO)
    };
}

pub(crate) async fn calls() {
    background!(println!("x")); //~ AS101 clippy
    handle_of!(async {}); //~ AS101 clippy
    let _ = handle_of!(async {}); //~ AS101 clippy
    handle_of!(async {}).await.unwrap();
    let kept = handle_of!(async {});
    kept.await.unwrap();
    pause!(); //~ AS401 clippy
    helper::fire!(async {}); //~ AS101 clippy
    helper::start!(async {}); //~ AS101 clippy
    helper::start!(async {}).await.unwrap();
}

pub(crate) async fn arguments() {
    println!("{:?}", std::time::Instant::now()); //~ AS301
    assert!(std::time::Instant::now().elapsed() < Duration::MAX); //~ AS301
    tokio::join!(async { drop(tokio::spawn(async {})) }, tokio::time::sleep(Duration::ZERO)); //~ AS101 AS301
    let _ = format!("{}", { tokio::spawn(async {}); 1 }); //~ AS101
}
