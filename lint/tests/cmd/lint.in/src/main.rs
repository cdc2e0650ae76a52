mod generated;
mod worker;

#[tokio::main]
async fn main() {
    tokio::spawn(worker::run());
    let (_tx, _rx) = tokio::sync::mpsc::unbounded_channel::<u32>();
}
