//! A `write_all` that is dropped has written nobody knows how much.

use asupersync::io::WriteExt;
use asupersync::net::TcpStream;
use asupersync::{Cx, select};
use std::time::Duration;

async fn wait(cx: &Cx, stream: &mut TcpStream) {
    select! {
        written = stream.write_all(cx, b"hello") => written.unwrap(),
        _ = cx.sleep(Duration::from_secs(1)) => {}
    }
}

fn main() {
    let _ = wait;
}
