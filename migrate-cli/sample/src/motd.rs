//! The message of the day, printed when the server starts.

use std::io;

use tokio::task;

/// Reads the file without holding up the other tasks.
pub async fn load(path: String) -> io::Result<String> {
    match task::spawn_blocking(move || std::fs::read_to_string(path)).await {
        Ok(text) => text,
        Err(err) => Err(io::Error::other(err)),
    }
}
