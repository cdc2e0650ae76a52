//! The latest value: waits for a change and for a wish, looks, changes in place.

use asupersync::Cx;
use asupersync::channel::watch;

struct Settings {
    limit: watch::Receiver<u32>,
}

impl Settings {
    async fn follow(&mut self, cx: &Cx) -> u32 {
        let mut sum = *self.limit.borrow();
        while self.limit.changed(cx).await.is_ok() {
            sum += *self.limit.borrow_and_update();
        }
        sum
    }
}

async fn large(cx: &Cx, mut limit: watch::Receiver<u32>) -> Option<u32> {
    limit.wait_for(cx, |limit| *limit > 2).await.ok().map(|limit| *limit)
}

async fn either(cx: &Cx, left: &mut watch::Receiver<u32>, right: &mut watch::Receiver<bool>) -> bool {
    asupersync::select! {
        changed = left.changed(cx) => changed.is_ok(),
        _ = right.changed(cx) => false,
    }
}

#[asupersync::main]
async fn main(cx: &Cx) {
    let (tell, limit) = watch::channel(1);
    let mut settings = Settings { limit: limit.clone() };
    println!("{}", tell.send(2).is_ok());
    tell.send_modify(|limit| *limit += 1);
    println!("{:?} {}", large(cx, limit).await, *tell.borrow());
    let mut later = tell.subscribe();
    let (_stop, mut stopped) = watch::channel(false);
    tell.send(5).ok();
    println!("{}", either(cx, &mut later, &mut stopped).await);
    drop(tell);
    println!("{}", settings.follow(cx).await);
}
