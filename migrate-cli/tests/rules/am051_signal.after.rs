//! The signal to stop.

use asupersync::Cx;

async fn serve(shutdown: impl Future) {
    asupersync::select! {
        _ = asupersync::combine::drop_ok(shutdown) => println!("stopping"),
        _ = asupersync::combine::drop_ok(std::future::pending::<()>()) => {}
    }
}

#[asupersync::main]
async fn main(cx: &Cx) -> std::io::Result<()> {
    serve(cx.shutdown_signal()).await;
    cx.shutdown_signal().await;
    asupersync::select! {
        _ = cx.shutdown_signal() => {}
    }
    Ok(())
}
