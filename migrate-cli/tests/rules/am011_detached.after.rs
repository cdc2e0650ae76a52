//! Tasks that nobody waits for.

use std::sync::Arc;
use asupersync::Cx;
use asupersync::channel::mpsc;

struct State;

impl State {
    async fn run(self: Arc<Self>, cx: &Cx, name: String, tx: mpsc::Sender<u32>) {
        let _ = tx.send(cx, name.len() as u32).await;
    }
}

async fn serve(cx: &Cx, tx: mpsc::Sender<u32>, state: Arc<State>) {
    let name = String::from("one");
    cx.spawn_daemon({
        let name = name.clone();
        let tx = tx.clone();
        async move |cx| Arc::clone(&state).run(&cx, name, tx).await
    });
    let _ = cx.spawn_daemon(async move |cx| {
        let _ = tx.send(&cx, 2).await;
    });
    cx.spawn_daemon({ let task = std::future::ready(name); async move |cx| cx.cancellable(task).await });
    // asupersync-migrate: skip
    tokio::spawn(async {});
}

fn main() -> std::process::ExitCode {
    asupersync_compat::run_main(async |cx| {
        let cx = &cx;
        let (tx, mut rx) = mpsc::channel(1);
        serve(cx, tx, Arc::new(State)).await;
        println!("{:?}", rx.recv(cx).await.ok());
    })
}
