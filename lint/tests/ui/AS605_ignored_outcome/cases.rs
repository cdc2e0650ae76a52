use asupersync::{Cx, TaskHandle};
use tokio::task::JoinHandle;

struct Owner {
    task: JoinHandle<()>,
}

async fn ignored(task: JoinHandle<()>, mut other: JoinHandle<u32>, cx: &Cx, own: TaskHandle<u32>) {
    let _ = task.await; //~ AS605
    let _ = (&mut other).await; //~ AS605
    let _ = tokio::spawn(async {}).await; //~ AS605
    tokio::spawn(async {}).await.ok(); //~ AS605
    let _ = own.join(cx).await; //~ AS605
    let started = cx.spawn(async |_| 1);
    let _ = started.await; //~ AS605
}

impl Owner {
    async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn finish(self) {
        let _ = self.task.await; //~ AS605
    }
}

async fn looked_at(task: JoinHandle<()>, other: JoinHandle<u32>, cx: &Cx, own: TaskHandle<u32>) -> u32 {
    if let Err(error) = task.await {
        println!("{error}");
    }
    let asked = tokio::spawn(async {});
    asked.abort();
    let _ = asked.await;
    own.cancel("no longer wanted");
    let _ = own.join(cx).await;
    other.await.unwrap_or(0)
}
