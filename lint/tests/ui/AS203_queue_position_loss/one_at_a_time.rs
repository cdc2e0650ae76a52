//@check-pass
use tokio::sync::{Notify, mpsc};

/// `notify_one` leaves its permit for whoever comes next, so a wait that starts anew misses nothing.
async fn next(wake: &Notify, mut work: mpsc::Receiver<()>) {
    loop {
        tokio::select! {
            _ = wake.notified() => {}
            _ = work.recv() => wake.notify_one(),
        }
    }
}
