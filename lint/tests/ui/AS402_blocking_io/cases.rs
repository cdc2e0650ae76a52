use std::fs::{self, File};

async fn in_async() -> std::io::Result<()> {
    fs::write("a", fs::read("b")?)?; //~ AS402
    //~^ AS402
    let file = File::open("c")?; //~ AS402
    file.sync_all()?; //~ AS402
    std::net::TcpStream::connect("d")?; //~ AS402
    tokio::task::spawn_blocking(|| fs::read("e")).await??;
    tokio::fs::read("f").await?;
    Ok(())
}

fn in_sync() -> std::io::Result<Vec<u8>> {
    fs::read("g")
}
