//! The latest value: waits for a change and for a wish, looks, changes in place.

use tokio::sync::watch;

struct Settings {
    limit: watch::Receiver<u32>,
}

impl Settings {
    async fn follow(&mut self) -> u32 {
        let mut sum = *self.limit.borrow();
        while self.limit.changed().await.is_ok() {
            sum += *self.limit.borrow_and_update();
        }
        sum
    }
}

async fn large(mut limit: watch::Receiver<u32>) -> Option<u32> {
    limit.wait_for(|limit| *limit > 2).await.ok().map(|limit| *limit)
}

async fn either(left: &mut watch::Receiver<u32>, right: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        changed = left.changed() => changed.is_ok(),
        _ = right.changed() => false,
    }
}

#[tokio::main]
async fn main() {
    let (tell, limit) = watch::channel(1);
    let mut settings = Settings { limit: limit.clone() };
    println!("{}", tell.send(2).is_ok());
    tell.send_modify(|limit| *limit += 1);
    println!("{:?} {}", large(limit).await, *tell.borrow());
    let mut later = tell.subscribe();
    let (_stop, mut stopped) = watch::channel(false);
    tell.send(5).ok();
    println!("{}", either(&mut later, &mut stopped).await);
    drop(tell);
    println!("{}", settings.follow().await);
}
