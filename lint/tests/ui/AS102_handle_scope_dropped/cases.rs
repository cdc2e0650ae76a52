async fn bound_and_forgotten() {
    let worker = tokio::spawn(async {}); //~ AS102
    let _named = tokio::spawn(async {}); //~ AS102
    let watched = tokio::spawn(async {}); //~ AS102
    while !watched.is_finished() {} //~ AS308
    println!("started");
}

async fn given_away(out: &mut Vec<tokio::task::JoinHandle<()>>) {
    let worker = tokio::spawn(async {});
    out.push(worker);
    let aborted = tokio::spawn(async {}); //~ AS103
    aborted.abort();
    let awaited = tokio::spawn(async {});
    tokio::select! {
        _ = awaited => {}
        else => {}
    }
    let captured = tokio::spawn(async {});
    let wait = async move { captured.await };
    drop(wait.await);
}
