//! Signals: a stream in a loop, in a `select!`, and one that is looked at.

use std::io;
use tokio::signal::unix::{signal, Signal, SignalKind};

async fn reload(mut hangup: Signal, mut count: u32) -> io::Result<u32> {
    while count > 0 {
        hangup.recv().await;
        count -= 1;
    }
    Ok(count)
}

async fn stop() -> io::Result<&'static str> {
    let mut quit = tokio::signal::unix::signal(SignalKind::quit())?;
    let mut alarm = signal(SignalKind::alarm())?;
    let name = tokio::select! {
        _ = quit.recv() => "quit",
        Some(()) = alarm.recv() => "alarm",
    };
    Ok(name)
}

async fn heard(stream: &mut Signal) -> bool {
    stream.recv().await.is_some()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut user = signal(SignalKind::user_defined1())?;
    let hangup = signal(SignalKind::hangup())?;
    if std::env::args().nth(1).is_some() {
        println!("{} {}", heard(&mut user).await, stop().await?);
    }
    println!("{}", reload(hangup, 0).await?);
    Ok(())
}
