//! Notifications, permits, values made once and meeting points.

use std::io;
use std::sync::Arc;
use asupersync::Cx;
use asupersync::sync::{Barrier, Notify, OnceCell, Semaphore, TryAcquireError};

static NAME: OnceCell<String> = OnceCell::new();

struct Gate {
    changed: Notify,
    limit: Semaphore,
}

async fn name(cx: &Cx) -> &'static str {
    NAME.get_or_init(cx.cleanup(), || async { "gate".to_owned() }).await.unwrap()
}

impl Gate {
    async fn pass(&self, cx: &Cx) -> usize {
        let _permit = self.limit.acquire(cx.cleanup(), 1).await.unwrap();
        self.limit.available_permits()
    }

    async fn pass_all(&self, cx: &Cx, count: u32) -> io::Result<usize> {
        let permits = self.limit.acquire(cx, (count) as usize).await.map_err(io::Error::other)?;
        self.changed.notify_one();
        Ok(permits.permits())
    }

    fn is_full(&self, cx: &Cx) -> bool {
        self.limit.try_acquire(cx, 1).err() == Some(TryAcquireError::NoPermits)
    }

    async fn wait(&self, cx: &Cx) {
        if self.changed.notified(cx).await.is_err() {
            return;
        }
    }

    async fn either(&self, cx: &Cx, other: &Notify) -> io::Result<bool> {
        asupersync::select! {
            Ok(_) = self.changed.notified(cx) => Ok(true),
            Ok(_) = other.notified(cx) => Ok(false),
            cancelled = cx.cancelled() => return Err(cancelled.into()),
        }
    }
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) -> io::Result<()> {
    let gate = Arc::new(Gate {
        changed: Notify::new(),
        limit: Semaphore::new(2),
    });
    println!("{} {} {}", name(cx).await, gate.pass(cx).await, gate.is_full(cx));
    println!("{}", gate.pass_all(cx, 2).await?);
    gate.wait(cx).await;
    let other = Notify::new();
    other.notify_one();
    println!("{}", gate.either(cx, &other).await?);
    let barrier = Arc::new(Barrier::new(2));
    let meeting = barrier.clone();
    let task = cx.spawn(async move |cx| { meeting.wait(cx.cleanup()).await.unwrap().is_leader() });
    let leads = barrier.wait(cx.cleanup()).await.unwrap().is_leader();
    println!("{}", leads != task.await.into_result().unwrap_or(leads));
    Ok(())
}
