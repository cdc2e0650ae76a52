//@check-pass
use std::collections::HashMap;
use tokio::task::{JoinHandle, JoinSet};

struct Owner {
    tasks: Vec<JoinHandle<()>>,
    one: Option<JoinHandle<()>>,
    named: HashMap<u32, JoinHandle<()>>,
}

fn returned() -> JoinHandle<()> {
    tokio::spawn(async {})
}

fn returned_in_arm(flag: bool) -> Option<JoinHandle<()>> {
    match flag {
        true => Some(tokio::spawn(async {})),
        false => None,
    }
}

fn returned_early(flag: bool) -> JoinHandle<()> {
    if flag {
        return tokio::spawn(async {});
    }
    let handle = tokio::spawn(async {});
    handle
}

async fn awaited() {
    tokio::spawn(async {}).await.unwrap();
    let _ended = tokio::spawn(async {}).await;
    let handle = tokio::spawn(async {});
    handle.await.unwrap();
    let (a, b) = (tokio::spawn(async {}), tokio::spawn(async {}));
    let _ = tokio::join!(a, b);
    let _ = tokio::try_join!(tokio::spawn(async {}), tokio::spawn(async {}));
    let both = vec![tokio::spawn(async {}), tokio::spawn(async {})];
    for handle in both {
        handle.await.unwrap();
    }
    let mut polled = tokio::spawn(async {});
    tokio::select! {
        _ = &mut polled => {}
        else => {}
    }
}

impl Owner {
    fn stored(&mut self) {
        self.tasks.push(tokio::spawn(async {}));
        self.one = Some(tokio::spawn(async {}));
        self.named.insert(1, tokio::spawn(async {}));
        let two = tokio::spawn(async {});
        self.named.insert(2, two);
    }
}

fn built() -> Owner {
    Owner {
        tasks: (0..3).map(|_| tokio::spawn(async {})).collect(),
        one: Some(tokio::spawn(async {})),
        named: HashMap::new(),
    }
}

async fn owned_by_a_set() {
    let mut set = JoinSet::new();
    set.spawn(async {});
    set.spawn_blocking(|| ());
    while set.join_next().await.is_some() {}
}

fn spawn(_: u32) {}

struct Engine;

impl Engine {
    fn spawn(&self, _: u32) {}
}

fn other_things_of_that_name(engine: &Engine) {
    spawn(1);
    engine.spawn(1);
    std::thread::spawn(|| ());
}

fn before_a_statement_behind_a_cfg(fast: bool) -> JoinHandle<()> {
    #[cfg(not(windows))]
    if fast {
        tokio::spawn(async {})
    } else {
        tokio::spawn(async { tokio::task::yield_now().await })
    }
    #[cfg(windows)]
    tokio::spawn(async {})
}

trait Executor<F> {
    fn execute(&self, future: F);
}

struct OnTokio;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for OnTokio {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

struct OnTokioInSpan;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for OnTokioInSpan {
    fn execute(&self, future: F) {
        tokio::spawn(future.in_current_span());
    }
}

fn lasts_as_long_as_the_process(stop: tokio::sync::watch::Sender<bool>) {
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stop.send_replace(true);
    });
}

async fn its_end_is_heard() -> Option<u32> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let _ = answer.send(1);
    });
    answered.await.ok()
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn ends_with_its_runtime() {
        tokio::spawn(async {});
    }
}
