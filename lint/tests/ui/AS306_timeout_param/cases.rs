use std::time::Duration;

async fn load(_: &str) {}

async fn fetch(url: &str, timeout: Duration) { //~ AS306
    println!("{timeout:?}");
    load(url).await;
}

struct Client;

impl Client {
    async fn get(&self, url: &str, read_timeout: Option<Duration>) { //~ AS306
        println!("{read_timeout:?}");
        load(url).await;
    }

    fn set_timeout(&mut self, timeout: Duration) {
        println!("{timeout:?}");
    }
}

trait Fetch {
    async fn fetch(&self, timeout: Duration);
}

impl Fetch for Client {
    async fn fetch(&self, timeout: Duration) {
        println!("{timeout:?}");
        load("").await;
    }
}

async fn with_timeout(timeout: Duration) {
    println!("{timeout:?}");
    load("").await;
}

async fn other_names(delay: Duration, timeouts: &mut u32) {
    println!("{delay:?}");
    *timeouts += 1;
    load("").await;
}
