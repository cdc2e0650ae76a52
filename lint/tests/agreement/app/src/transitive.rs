//! Functions that lose work, in the branches of a `select!`.

use helper::exchange as swap;
use std::future::Future;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

pub(crate) struct Link<S> {
    stream: S,
    out: mpsc::Sender<u32>,
}

impl<S: AsyncRead + Unpin> Link<S> {
    async fn number(&mut self) -> u32 {
        self.stream.read_u32().await.unwrap()
    }

    async fn twice(&mut self) -> u32 {
        self.number().await * 2
    }

    async fn publish(&self) {
        self.out.send(1).await.unwrap();
    }

    async fn spare(&mut self, buffer: &mut Vec<u8>) -> usize {
        self.stream.read_buf(buffer).await.unwrap()
    }

    fn later(&mut self) -> impl Future<Output = u32> + '_ {
        async move { self.number().await }
    }
}

async fn answer(stream: &mut TcpStream) {
    AsyncWriteExt::write_all(stream, b"x").await.unwrap();
}

macro_rules! write_it {
    ($stream:expr) => {
        $stream.write_all(b"x").await.unwrap()
    };
}

async fn expanded(stream: &mut TcpStream) {
    write_it!(stream);
}

pub(crate) async fn branches(mut link: Link<TcpStream>, mut stream: TcpStream, late: &Notify) {
    tokio::select! {
        _ = link.number() => {} //~ AS205
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = link.twice() => {} //~ AS205
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = Link::publish(&link) => {} //~ AS205
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = link.later() => {} //~ AS205
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = answer(&mut stream) => {} //~ AS205
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = swap(&mut stream) => {} //~ AS205
        _ = late.notified() => {}
    }
    let exchanging = helper::exchange(&mut stream); //~ AS205
    tokio::select! {
        _ = exchanging => {}
        _ = late.notified() => {}
    }
    let mut links = vec![link];
    let found = links.iter_mut().fold(None, |_, link| Some(link));
    tokio::select! {
        _ = found.unwrap().twice() => {} //~ AS205 clippy
        _ = late.notified() => {}
    }
    let mut buffer = Vec::new();
    tokio::select! {
        _ = links[0].spare(&mut buffer) => {}
        _ = late.notified() => {}
    }
    tokio::select! {
        _ = expanded(&mut stream) => {}
        _ = late.notified() => return,
    }
}
