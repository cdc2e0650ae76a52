//! Re-exports and macros that the other crates reach tokio through.

pub use tokio;
pub use tokio::task as jobs;

pub mod prelude {
    pub use tokio::time::*;
    pub use tokio::{spawn, spawn as launch};
}

#[macro_export]
macro_rules! fire {
    ($body:expr) => {
        $crate::tokio::spawn($body);
    };
}

#[macro_export]
macro_rules! start {
    ($body:expr) => {
        $crate::tokio::spawn($body)
    };
}

pub async fn exchange(stream: &mut tokio::net::TcpStream) {
    use tokio::io::AsyncReadExt;
    stream.read_exact(&mut [0]).await.unwrap();
}

pub async fn exchange_later() {}

pub fn background() -> tokio::task::JoinHandle<()> {
    tokio::spawn(async {})
}

/// A macro that calls a macro.
#[macro_export]
macro_rules! nested {
    ($body:expr) => {
        $crate::fire!($body);
    };
}
