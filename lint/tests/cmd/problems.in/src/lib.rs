mod broken;
mod absent;
fn f() {
    tokio::spawn(async {});
}
