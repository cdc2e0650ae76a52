fn left_out() { tokio::spawn(async {}); }
