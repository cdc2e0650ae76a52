//! Work on the blocking pool.

fn work() -> u32 {
    7
}

#[tokio::main]
async fn main() {
    let base = 1;
    let sum = tokio::task::spawn_blocking(move || base + 1).await.unwrap();
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => println!("{}", value + sum),
        Err(error) => println!("{error}"),
    }
}
