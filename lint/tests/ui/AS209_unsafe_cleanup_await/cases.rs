use asupersync::channel::mpsc::{Receiver, RecvError, Sender};
use asupersync::{Cancelled, Cx};
use std::time::Duration;

async fn close(_: &Cx) {}

async fn fails(cx: &Cx, rx: &mut Receiver<u32>, tx: &Sender<u32>) -> Result<(), Cancelled> {
    match rx.recv(cx).await {
        Ok(_) => {}
        Err(RecvError::Closed) => close(cx).await,
        Err(RecvError::Cancelled(cancelled)) => {
            let _ = tx.send(cx, 1).await; //~ AS209
            let _ = cx.sleep(Duration::from_secs(1)).await; //~ AS209
            close(&cx).await; //~ AS209
            return Err(cancelled);
        }
    }
    if let Err(cancelled) = cx.sleep(Duration::from_secs(1)).await {
        close(cx).await; //~ AS209
        return Err(cancelled);
    }
    Ok(())
}

async fn goes_on(cx: &Cx, tx: &Sender<u32>) -> Result<(), Cancelled> {
    if let Err(cancelled) = cx.sleep(Duration::from_secs(1)).await {
        let _ = tx.send(cx.cleanup(), 1).await;
        let clean = cx.cleanup();
        close(clean.cleanup()).await;
        let _mask = cx.mask();
        close(cx).await;
        return Err(cancelled);
    }
    close(cx).await;
    Ok(())
}
