//! What awaiting a task gives.

use tokio::task::JoinHandle;

async fn twice(task: JoinHandle<u32>) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Ok(task.await? * 2)
}

#[tokio::main]
async fn main() {
    let task = tokio::spawn(async { 1 });
    println!("{:?}", twice(task).await.ok());
    let mut tasks = Vec::new();
    for n in 0..3 {
        tasks.push(tokio::spawn(async move { n }));
    }
    for task in tasks {
        match task.await {
            Ok(value) => println!("{value}"),
            Err(_) => break,
        }
    }
}
