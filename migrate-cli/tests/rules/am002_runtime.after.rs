//! A runtime built by hand, and futures run on it.

use std::io;
use asupersync::net::TcpStream;
use asupersync::Runtime;

struct Client {
    stream: TcpStream,
    runtime: Runtime,
}

impl Client {
    fn connect(address: &str) -> io::Result<Client> {
        let runtime = asupersync::Runtime::builder().current_thread()
            .build()
            .map_err(io::Error::other)?;
        let stream = runtime.block_on(async |cx| TcpStream::connect(&cx, address).await).expect("the root region ended without a panic")?;
        Ok(Client { stream, runtime })
    }

    fn is_quick(&self) -> bool {
        self.runtime.block_on(async |_cx| { self.stream.peer_addr().is_ok() }).expect("the root region ended without a panic")
    }
}

fn main() {
    println!("{}", Client::connect("127.0.0.1:1").is_ok_and(|client| client.is_quick()));
}
