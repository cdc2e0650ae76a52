async fn only_asked() {
    let task = tokio::spawn(async {}); //~ AS103
    if !task.is_finished() {
        task.abort();
    }
    tokio::spawn(async {}).abort(); //~ AS103
}

async fn waited_for(kept: &mut Vec<tokio::task::AbortHandle>) {
    let task = tokio::spawn(async {});
    task.abort();
    let _ = task.await;
    kept.push(tokio::spawn(async {}).abort_handle());
}
