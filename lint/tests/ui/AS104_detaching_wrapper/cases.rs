use tokio::task::JoinHandle;

type Task = JoinHandle<()>;

fn background() -> JoinHandle<()> {
    tokio::spawn(async {})
}

struct Pool;

impl Pool {
    fn start(&self) -> Task {
        background()
    }

    fn restart(&self) {
        self.start(); //~ AS104
        let _ = self.start(); //~ AS104
    }
}

async fn calls(pool: &Pool) {
    background(); //~ AS104
    drop(pool.start()); //~ AS104
    background().await.unwrap();
    let kept = pool.start();
    kept.await.unwrap();
    let both = [background(), pool.start()];
    for task in both {
        task.await.unwrap();
    }
}

impl Pool {
    fn detach(self) -> Task {
        background()
    }
}

fn says_so(pool: Pool) {
    drop(pool.detach());
}
