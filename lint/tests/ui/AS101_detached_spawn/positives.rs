use tokio::runtime::{Handle, Runtime};
use tokio::task;

async fn statements(handle: Handle, runtime: &Runtime) {
    tokio::spawn(async {}); //~ AS101
    let _ = tokio::spawn(async {}); //~ AS101
    _ = tokio::spawn(async {}); //~ AS101
    drop(tokio::spawn(async {})); //~ AS101
    std::mem::forget(tokio::spawn(async {})); //~ AS101
    task::spawn_blocking(|| 1); //~ AS101
    task::spawn_local(async {}); //~ AS101
    handle.spawn(async {}); //~ AS101
    runtime.spawn_blocking(|| 1); //~ AS101
    tokio::spawn(async {}).is_finished(); //~ AS101
    let (_, kept) = (tokio::spawn(async {}), 1); //~ AS101
    let later = tokio::spawn(async {}); //~ AS101
    drop(later);
    drop(kept);
}

fn values_nobody_uses(flag: bool, numbers: Vec<u32>) {
    if flag {
        tokio::spawn(async {}) //~ AS101
    } else {
        tokio::spawn(async { /* the same */ }) //~ AS101
    };
    match flag {
        true => drop(tokio::spawn(async {})), //~ AS101
        false => (),
    }
    numbers.into_iter().for_each(|_| {
        tokio::spawn(async {}); //~ AS101
    });
    vec![async {}].into_iter().for_each(tokio::spawn); //~ AS101
}

async fn inside_macros(mut stop: tokio::sync::mpsc::Receiver<()>) {
    tokio::select! {
        _ = stop.recv() => {
            tokio::spawn(async {}); //~ AS101
        }
        else => {
            let _ = tokio::spawn(async {}); //~ AS101
        }
    }
    tokio::join!(async {
        tokio::spawn(async {}); //~ AS101
    });
    println!("{:?}", {
        tokio::spawn(async {}); //~ AS101
    });
}

async fn with_a_context(cx: &asupersync::Cx) {
    tokio::spawn(async move { println!("block") }); //~ AS101
    tokio::spawn(statements_of(1)); //~ AS101
}

async fn statements_of(_: u32) {}

struct Guard(Handle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.spawn(async {}); //~ AS101
    }
}

trait Start {
    fn start(&self, name: String);
}

impl Start for () {
    fn start(&self, name: String) {
        tokio::spawn(async move { drop(name) }); //~ AS101
    }
}

fn of_no_trait<F: Future<Output = ()> + Send + 'static>(future: F) {
    tokio::spawn(future); //~ AS101
}

async fn somebody_else_is_heard(other: u32) -> Option<u32> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let _ = answer.send(1);
    tokio::spawn(async move { drop(other) }); //~ AS101
    answered.await.ok()
}

struct Session;

impl Drop for Session {
    fn drop(&mut self) {
        tokio::spawn(async {}); //~ AS101
    }
}
