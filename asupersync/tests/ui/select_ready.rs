//! A value that is ready is lost when another arm wins.

use asupersync::select;
use std::future::ready;

async fn wait() -> u8 {
    select! {
        a = ready(1) => a,
        b = ready(2) => b,
    }
}

fn main() {
    let _ = wait;
}
