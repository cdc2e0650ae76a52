//! Code that is not trusted gets a context that can do less, and so does all that it starts.

use asupersync::net::TcpStream;
use asupersync::{CapSet, Capability, Cx, RegionError};
use std::io;
use std::time::Duration;

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), RegionError> {
    for line in audit(cx).await? {
        println!("{line}");
    }
    Ok(())
}

/// Lets a plugin run with the clock and tasks of its own, and nothing else.
pub(crate) async fn audit(cx: &Cx) -> Result<Vec<String>, RegionError> {
    cx.region(async |scope| {
        let plugin = scope.task().caps(CapSet::TIME.with(CapSet::SPAWN));
        plugin.spawn(plugin_main).await.into_result()
    })
    .await
    .map(|said| said.unwrap_or_default())
}

/// Says what it was able to do.
async fn plugin_main(cx: Cx) -> Vec<String> {
    let mut said = Vec::new();
    let slept = cx.sleep(Duration::from_millis(1)).await;
    said.push(format!("sleep: {}", slept.is_ok()));
    let connected = TcpStream::connect(&cx, "127.0.0.1:80").await;
    let denied = connected.is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
    said.push(format!("connect denied: {denied}"));
    // What it starts may do no more, however it asks.
    let child = cx.task().caps(CapSet::ALL).spawn(async |cx: Cx| cx.caps());
    let caps = child.await.into_result();
    let has_net = caps.is_ok_and(|caps| caps.contains(Capability::Net));
    said.push(format!("its child may connect: {has_net}"));
    said
}
