//! What awaiting a task gives.

use asupersync::{Cx, TaskHandle};

async fn twice(task: TaskHandle<u32>) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Ok(task.await.into_result()? * 2)
}

#[asupersync::main(policy = "collect")]
async fn main(cx: &Cx) {
    let task = cx.spawn(async move |_cx| { 1 });
    println!("{:?}", twice(task).await.ok());
    let mut tasks = Vec::new();
    for n in 0..3 {
        tasks.push(cx.spawn(async move |_cx| { n }));
    }
    for task in tasks {
        match task.await.into_result() {
            Ok(value) => println!("{value}"),
            Err(_) => break,
        }
    }
}
