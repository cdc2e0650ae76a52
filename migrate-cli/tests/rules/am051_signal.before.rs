//! The signal to stop.

use tokio::signal;

async fn serve(shutdown: impl Future) {
    tokio::select! {
        _ = shutdown => println!("stopping"),
        _ = std::future::pending::<()>() => {}
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    serve(signal::ctrl_c()).await;
    signal::ctrl_c().await?;
    tokio::select! {
        _ = signal::ctrl_c() => {}
    }
    Ok(())
}
