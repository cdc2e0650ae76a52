//! Signals: a stream in a loop, in a `select!`, and one that is looked at.

use std::io;
use asupersync::Cx;
use asupersync::signal::{Signal, SignalKind};

async fn reload(cx: &Cx, mut hangup: Signal, mut count: u32) -> io::Result<u32> {
    while count > 0 {
        hangup.recv(cx).await?;
        count -= 1;
    }
    Ok(count)
}

async fn stop(cx: &Cx) -> io::Result<&'static str> {
    let mut quit = asupersync::signal::unix(cx, SignalKind::quit())?;
    let mut alarm = asupersync::signal::unix(cx, SignalKind::alarm())?;
    let name = asupersync::select! {
        Ok(_) = quit.recv(cx) => "quit",
        Ok(()) = alarm.recv(cx) => "alarm",
        cancelled = cx.cancelled() => return Err(cancelled.into()),
    };
    Ok(name)
}

async fn heard(cx: &Cx, stream: &mut Signal) -> bool {
    stream.recv(cx).await.is_ok()
}

#[asupersync::main]
async fn main(cx: &Cx) -> io::Result<()> {
    let mut user = asupersync::signal::unix(cx, SignalKind::user_defined1())?;
    let hangup = asupersync::signal::unix(cx, SignalKind::hangup())?;
    if std::env::args().nth(1).is_some() {
        println!("{} {}", heard(cx, &mut user).await, stop(cx).await?);
    }
    println!("{}", reload(cx, hangup, 0).await?);
    Ok(())
}
