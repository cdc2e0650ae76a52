use futures::stream::{self, FuturesUnordered, StreamExt};

async fn fetch(number: u32) -> u32 {
    number
}

async fn store(_: u32) {}

async fn buffered(numbers: Vec<u32>) {
    let mut answers = stream::iter(numbers).map(fetch).buffer_unordered(8);
    while let Some(answer) = answers.next().await { //~ AS207
        store(answer).await;
    }
}

async fn unordered() {
    let mut answers = FuturesUnordered::new();
    answers.push(fetch(1));
    while let Some(answer) = answers.next().await { //~ AS207
        if answer > 1 {
            store(answer).await;
        }
    }
}

async fn no_await_in_the_body(numbers: Vec<u32>) -> u32 {
    let mut sum = 0;
    let mut answers = stream::iter(numbers).map(fetch).buffered(8);
    while let Some(answer) = answers.next().await {
        sum += answer;
    }
    sum
}

async fn tasks() {
    let mut answers = FuturesUnordered::new();
    for number in 0..3 {
        answers.push(tokio::spawn(fetch(number)));
    }
    while let Some(answer) = answers.next().await {
        store(answer.unwrap()).await;
    }
}

async fn one_at_a_time(numbers: Vec<u32>) {
    let mut answers = stream::iter(numbers);
    while let Some(answer) = answers.next().await {
        store(answer).await;
    }
}
