// blocking = ["cases::checksum", "zstd::decode_all"]
fn checksum(data: &[u8]) -> u64 {
    data.iter().map(|byte| u64::from(*byte)).sum()
}

async fn listed(data: Vec<u8>) {
    checksum(&data); //~ AS406
    let _ = zstd::decode_all(&data[..]); //~ AS406
    tokio::task::spawn_blocking(move || checksum(&data)).await.unwrap();
}

fn synchronous(data: &[u8]) {
    checksum(data);
}

async fn not_listed(data: &[u8]) {
    let _ = zstd::encode_all(data, 1);
}
