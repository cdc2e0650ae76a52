use tokio::sync::mpsc;

fn queues() {
    let (tx, rx) = mpsc::unbounded_channel::<u32>(); //~ AS601
    let (out, back) = std::sync::mpsc::channel::<u32>(); //~ AS601
    let bounded = mpsc::channel::<u32>(8);
    let sync = std::sync::mpsc::sync_channel::<u32>(8);
    let once = tokio::sync::oneshot::channel::<u32>();
    drop((tx, rx, out, back, bounded, sync, once));
}
