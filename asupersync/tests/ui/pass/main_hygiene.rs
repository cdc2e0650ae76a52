//! A program whose names are those that a careless macro would use.

use asupersync::channel::mpsc;
use asupersync::{Cx, join, race, select};

#[derive(Debug)]
enum Option {}
#[allow(dead_code)]
struct Poll(Option);

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), mpsc::RecvError> {
    let scope = 1;
    let _0 = 2;
    let task = cx;
    let (tx, mut rx) = mpsc::channel(1);
    let (sent, got) = join!(tx.send(task, scope + _0), async {
        select! { biased; v = rx.recv(task) => v }
    });
    sent.unwrap();
    let won = race!(cx, |s| async { (got.is_ok(), s.region_id() != cx.region_id()) });
    let won = won.await.unwrap();
    assert_eq!(won.value, (true, true));
    assert_eq!(got?, 3);
    Ok(())
}
