//! Code of this runtime's own style.

use asupersync::channel::mpsc::{Permit, Receiver, RecvError, ReserveError, Sender};
use asupersync::channel::oneshot;
use asupersync::{Budget, Cancelled, Cx, Scope, Time};
use std::time::Duration;

type Context = Cx;

pub async fn swallowed(cx: &Context, scope: &Scope, rx: &mut Receiver<u32>) -> Result<u32, Cancelled> {
    let _ = cx.checkpoint(); //~ AS210
    let _ = scope.checkpoint(); //~ AS210
    let _ = Cx::checkpoint(cx);
    let many = [cx];
    let found = many.iter().fold(None, |_, cx| Some(cx));
    let _ = found.unwrap().checkpoint(); //~ AS210 clippy
    cx.checkpoint()?;
    match rx.recv(cx).await {
        Err(RecvError::Cancelled(_)) => Ok(0), //~ AS210
        Err(RecvError::Closed) => Ok(1),
        Ok(number) => Ok(number),
    }
}

async fn place<'a>(cx: &'a Cx, tx: &'a Sender<u32>) -> Result<Permit<'a, u32>, ReserveError> {
    tx.reserve(cx).await
}

pub async fn promised(cx: &Cx, tx: &Sender<u32>, reply: oneshot::Sender<u32>) -> Result<(), ReserveError> {
    let taken = tx.reserve(cx).await?; //~ AS604
    let through = place(cx, tx).await?; //~ AS604
    let answer = reply.reserve(cx); //~ AS604
    let used = place(cx, tx).await?;
    let _ = used.send(1);
    tx.reserve(cx).await?.abort();
    Ok(())
}

pub async fn deadlines(cx: &Cx) -> Result<Budget, Cancelled> {
    cx.sleep_until(Time::from_nanos(5)).await?; //~ AS309
    cx.sleep(Duration::from_secs(60 * 60 * 24 * 2)).await?; //~ AS305
    cx.sleep_until(cx.now() + Duration::from_secs(5)).await?;
    Ok(Budget::new().with_deadline(Time::from_nanos(5))) //~ AS309
}
