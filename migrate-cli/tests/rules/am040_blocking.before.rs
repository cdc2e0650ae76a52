//! Channels that threads block on, and places reserved together.

use tokio::sync::{mpsc, oneshot};

fn sum(mut numbers: mpsc::Receiver<u32>, told: oneshot::Sender<u32>) {
    let mut sum = 0;
    while let Some(number) = numbers.blocking_recv() {
        sum += number;
    }
    let last = numbers.blocking_recv();
    told.send(sum + last.unwrap_or(100)).ok();
}

async fn all(numbers: &mpsc::Sender<u32>) -> Option<usize> {
    let places = numbers.reserve_many(3).await.ok()?;
    let mut count = 0;
    for (place, number) in places.zip([1, 2, 3]) {
        let _ = place.send(number);
        count += 1;
    }
    Some(count)
}

#[tokio::main]
async fn main() {
    let (numbers, received) = mpsc::channel(4);
    let (told, total) = oneshot::channel();
    let (more, weak) = (numbers.clone(), numbers.downgrade());
    println!("{}", more.same_channel(&numbers));
    let summed = std::thread::spawn(move || sum(received, told));
    let sent = std::thread::spawn(move || more.blocking_send(4).is_ok());
    println!("{:?} {}", all(&numbers).await, weak.upgrade().is_some());
    println!("{}", sent.join().unwrap());
    drop(numbers);
    let total = std::thread::spawn(move || total.blocking_recv().unwrap_or_default());
    println!("{}", total.join().unwrap());
    summed.join().unwrap();
}
