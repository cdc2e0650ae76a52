//! Calls behind traits, patterns, function values, chains of re-exports and macros of another crate; dependencies are the workspace's.

extern crate tokio as engine;

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;

mod first {
    pub(crate) use tokio::spawn as one;
}
mod second {
    pub(crate) use super::first::one as two;
}
mod third {
    pub(crate) use super::second::*;
}
mod prelude {
    pub(crate) use self::inner::*;
    mod inner {
        pub(crate) use tokio::task::*;
    }
}

pub fn chains_of_names() {
    third::two(async {}); //~ AS101
    prelude::spawn_blocking(|| ()); //~ AS101
    engine::spawn(async {}); //~ AS101
    {
        use prelude::*;
        spawn_local(async {}); //~ AS101
    }
}

pub fn ways_to_drop() {
    std::mem::forget(tokio::spawn(async {})); //~ AS101
    _ = tokio::spawn(async {}); //~ AS101
    Some(tokio::spawn(async {})); //~ AS101
    let start = tokio::spawn; //~ AS101
    start(std::future::ready(()));
    let kept = tokio::spawn;
    drop([kept(std::future::ready(()))]);
}

pub struct Server {
    handle: Handle,
    started: Option<Instant>,
}

pub trait Source {
    type Item;
    fn item(&self) -> Self::Item;
}

impl Source for Server {
    type Item = Handle;
    fn item(&self) -> Handle {
        self.handle.clone()
    }
}

fn same<T>(value: T) -> T {
    value
}

fn opaque() -> impl Deref<Target = Handle> {
    Box::new(Handle::current())
}

pub fn generics<S: Source<Item = Handle>>(server: &Server, source: S, shared: Arc<dyn AsRef<Handle>>) {
    server.item().spawn(async {}); //~ AS101
    source.item().spawn(async {}); //~ AS101 clippy
    same(Handle::current()).spawn(async {}); //~ AS101 clippy
    opaque().spawn(async {}); //~ AS101 clippy
    (*shared).as_ref().spawn(async {}); //~ AS101 clippy
    Handle::spawn(&server.handle, async {}); //~ AS101
    <Handle as Clone>::clone(&server.handle).spawn(async {}); //~ AS101
    Box::new(server.handle.clone()).spawn(async {}); //~ AS101
    Builder::new_current_thread().enable_all().build().unwrap().spawn(async {}); //~ AS101
}

pub fn patterns(server: Server, maybe: Option<Handle>, nested: (u32, (Handle, u32)), flag: bool) {
    if let Some(handle) = &maybe
        && flag
        && let Some(started) = server.started
    {
        handle.spawn(async {}); //~ AS101
        let _ = started.elapsed(); //~ AS301
    }
    let (_, (inner, ..)) = &nested;
    inner.spawn(async {}); //~ AS101
    let chosen = if flag { Handle::current() } else { inner.clone() };
    chosen.spawn(async {}); //~ AS101 clippy
    let found = loop {
        break Handle::current();
    };
    found.spawn(async {}); //~ AS101 clippy
    let Some(handle) = maybe else { return };
    handle.spawn(async {}); //~ AS101
    let Server { handle, started } = server;
    handle.spawn(async {}); //~ AS101
    let _ = started.map(|at| at.elapsed()); //~ AS301
}

pub fn closures() -> Pin<Box<dyn Future<Output = ()>>> {
    let work = async |handle: Handle| {
        handle.spawn(async {}); //~ AS101
        std::thread::sleep(Duration::ZERO); //~ AS401
    };
    Box::pin(async move {
        work(Handle::current()).await;
        tokio::spawn(async {}); //~ AS101
    })
}

type Tx<T> = mpsc::Sender<T>;

pub async fn branches<R: AsyncRead + Unpin>(
    mut generic: R,
    mut dynamic: Box<dyn AsyncRead + Send + Unpin>,
    tx: Tx<u32>,
    mut stop: mpsc::Receiver<()>,
) {
    let mut buffer = [0; 4];
    tokio::select! {
        _ = generic.read_exact(&mut buffer) => {} //~ AS201
        _ = AsyncReadExt::read_u32(&mut dynamic) => {} //~ AS201
        _ = tx.send(1) => {} //~ AS202
        _ = stop.recv() => {
            tokio::spawn(async {}); //~ AS101
        }
    }
}

pub async fn macros() {
    helper::nested!(async {}); //~ AS101 clippy
    let _ = vec![async {
        tokio::spawn(async {}); //~ AS101
    }];
}
