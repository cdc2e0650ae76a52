//! The idle watch: reminds the hub to look for silent members.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::hub::Event;

const EVERY: Duration = Duration::from_secs(30);

/// Sweeps until the hub is gone.
pub async fn watch(hub: mpsc::Sender<Event>) {
    loop {
        sleep(EVERY).await;
        if hub.send(Event::Sweep).await.is_err() {
            break;
        }
    }
}
