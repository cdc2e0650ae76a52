async fn double(number: u32) -> u32 { //~ AS603
    number * 2
}

struct Store;

impl Store {
    async fn len(&self) -> u32 { //~ AS603
        1
    }

    async fn awaits(&self) -> u32 {
        self.len().await
    }
}

trait Source {
    async fn next(&mut self) -> u32;
}

impl Source for Store {
    async fn next(&mut self) -> u32 {
        1
    }
}

async fn in_a_macro() {
    tokio::join!(double(1), double(2));
}

async fn in_one_that_is_not_known(stream: u32) {
    decode_from!(stream);
}

async fn not_yet() {}

#[tokio::main]
async fn main() {
    println!("an entry has to be async");
}
