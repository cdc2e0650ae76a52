//! Work on the blocking pool.

use asupersync::Cx;

fn work() -> u32 {
    7
}

#[asupersync::main]
async fn main(cx: &Cx) {
    let base = 1;
    let sum = cx.spawn_blocking(move |_cx| base + 1).await.into_result().unwrap();
    match cx.spawn_blocking(move |_cx| work()).await.into_result() {
        Ok(value) => println!("{}", value + sum),
        Err(error) => println!("{error}"),
    }
}
