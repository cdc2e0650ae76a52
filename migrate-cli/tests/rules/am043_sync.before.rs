//! Notifications, permits, values made once and meeting points.

use std::io;
use std::sync::Arc;
use tokio::sync::{Barrier, Notify, OnceCell, Semaphore, TryAcquireError};

static NAME: OnceCell<String> = OnceCell::const_new();

struct Gate {
    changed: Notify,
    limit: Semaphore,
}

async fn name() -> &'static str {
    NAME.get_or_init(|| async { "gate".to_owned() }).await
}

impl Gate {
    async fn pass(&self) -> usize {
        let _permit = self.limit.acquire().await.unwrap();
        self.limit.available_permits()
    }

    async fn pass_all(&self, count: u32) -> io::Result<usize> {
        let permits = self.limit.acquire_many(count).await.map_err(io::Error::other)?;
        self.changed.notify_one();
        Ok(permits.num_permits())
    }

    fn is_full(&self) -> bool {
        self.limit.try_acquire().err() == Some(TryAcquireError::NoPermits)
    }

    async fn wait(&self) {
        self.changed.notified().await;
    }

    async fn either(&self, other: &Notify) -> io::Result<bool> {
        tokio::select! {
            _ = self.changed.notified() => Ok(true),
            _ = other.notified() => Ok(false),
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let gate = Arc::new(Gate {
        changed: Notify::new(),
        limit: Semaphore::new(2),
    });
    println!("{} {} {}", name().await, gate.pass().await, gate.is_full());
    println!("{}", gate.pass_all(2).await?);
    gate.wait().await;
    let other = Notify::new();
    other.notify_one();
    println!("{}", gate.either(&other).await?);
    let barrier = Arc::new(Barrier::new(2));
    let meeting = barrier.clone();
    let task = tokio::spawn(async move { meeting.wait().await.is_leader() });
    let leads = barrier.wait().await.is_leader();
    println!("{}", leads != task.await.unwrap_or(leads));
    Ok(())
}
