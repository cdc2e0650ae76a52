//! A runtime built by hand, and futures run on it.

use std::io;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

struct Client {
    stream: TcpStream,
    runtime: Runtime,
}

impl Client {
    fn connect(address: &str) -> io::Result<Client> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(io::Error::other)?;
        let stream = runtime.block_on(TcpStream::connect(address))?;
        Ok(Client { stream, runtime })
    }

    fn is_quick(&self) -> bool {
        self.runtime.block_on(async { self.stream.peer_addr().is_ok() })
    }
}

fn main() {
    println!("{}", Client::connect("127.0.0.1:1").is_ok_and(|client| client.is_quick()));
}
