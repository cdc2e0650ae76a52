use asupersync::Cx;
use asupersync::channel::{mpsc, oneshot};
use tokio::sync::mpsc as theirs;

async fn forgotten(cx: &Cx, tx: &mpsc::Sender<u32>, reply: oneshot::Sender<u32>) -> Result<(), mpsc::ReserveError> {
    let permit = tx.reserve(cx).await?; //~ AS604
    tx.reserve(cx).await?; //~ AS604
    let _ = tx.try_reserve(cx); //~ AS604
    let answer = reply.reserve(cx); //~ AS604
    let Ok(other) = tx.try_reserve(cx) else { return Ok(()) }; //~ AS604
    Ok(())
}

async fn several(cx: &Cx, tx: &mpsc::Sender<u32>) -> Result<(), mpsc::ReserveManyError> {
    let permits = tx.reserve_many(cx, 2).await?; //~ AS604
    let _ = tx.try_reserve_many(cx, 2); //~ AS604
    Ok(())
}

async fn several_sent(cx: &Cx, tx: &mpsc::Sender<u32>) -> Result<(), mpsc::ReserveManyError> {
    for permit in tx.reserve_many(cx, 2).await? {
        let _ = permit.send(1);
    }
    Ok(())
}

async fn several_of_tokio(tx: &theirs::Sender<u32>) {
    let permits = tx.reserve_many(2).await.unwrap(); //~ AS604
}

async fn of_tokio(tx: theirs::Sender<u32>) {
    let _permit = tx.reserve().await.unwrap(); //~ AS604
    let owned = tx.reserve_owned().await.unwrap(); //~ AS604
}

async fn place<'a>(cx: &'a Cx, tx: &'a mpsc::Sender<u32>) -> Result<mpsc::Permit<'a, u32>, mpsc::ReserveError> {
    tx.reserve(cx).await
}

async fn through_a_function(cx: &Cx, tx: &mpsc::Sender<u32>) -> Result<(), mpsc::ReserveError> {
    let permit = place(cx, tx).await?; //~ AS604
    let used = place(cx, tx).await?;
    let _ = used.send(1);
    Ok(())
}

struct Kept<'a> {
    permit: Option<mpsc::Permit<'a, u32>>,
}

async fn resolved<'a>(cx: &'a Cx, tx: &'a mpsc::Sender<u32>, reply: oneshot::Sender<u32>) -> Result<Kept<'a>, mpsc::ReserveError> {
    let permit = tx.reserve(cx).await?;
    let _ = permit.send(1);
    tx.reserve(cx).await?.abort();
    let given_up = tx.reserve(cx).await?;
    drop(given_up);
    let _ = reply.reserve(cx).send(1);
    if let Ok(permit) = tx.try_reserve(cx) {
        let _ = permit.send(2);
    }
    let kept = tx.reserve(cx).await?;
    Ok(Kept { permit: Some(kept) })
}
