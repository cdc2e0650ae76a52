//! Receivers whose type must be inferred.

use std::ops::Deref;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Mutex, mpsc};

pub(crate) struct Server {
    handle: Handle,
    shared: Arc<Shared>,
    maybe: Option<Handle>,
}

pub(crate) struct Shared {
    runtime: Runtime,
    queue: Mutex<Option<mpsc::Sender<u32>>>,
}

pub(crate) struct Wrapper(Handle);

impl Deref for Wrapper {
    type Target = Handle;
    fn deref(&self) -> &Handle {
        &self.0
    }
}

pub(crate) trait HasHandle {
    fn handle(&self) -> Handle;
    fn provided(&self) {
        self.handle().spawn(async {}); //~ AS101
    }
}

impl HasHandle for Server {
    fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

fn make() -> Result<Runtime, std::io::Error> {
    Builder::new_multi_thread().worker_threads(1).build()
}

fn pair() -> (Handle, u32) {
    (Handle::current(), 1)
}

impl Server {
    pub(crate) fn fields(&self) {
        self.handle.spawn(async {}); //~ AS101
        self.shared.runtime.spawn(async {}); //~ AS101
        self.shared.runtime.handle().spawn(async {}); //~ AS101
        if let Some(handle) = &self.maybe {
            handle.spawn(async {}); //~ AS101
        }
        self.maybe.as_ref().unwrap().spawn(async {}); //~ AS101
        if let Some(handle) = self.maybe.clone() {
            let inner = move || {
                handle.spawn(async {}); //~ AS101
            };
            inner();
        }
        self.maybe.iter().for_each(|handle| {
            handle.spawn(async {}); //~ AS101
        });
        HasHandle::handle(self).spawn(async {}); //~ AS101
        self.handle().spawn(async {}); //~ AS101
    }

    pub(crate) async fn through_locks(&self, mut stop: mpsc::Receiver<()>) {
        let guard = self.shared.queue.lock().await;
        let Some(tx) = guard.as_ref() else { return };
        tokio::select! {
            _ = tx.send(1) => {} //~ AS202
            _ = stop.recv() => {}
        }
    }
}

pub(crate) fn locals(wrapper: &Wrapper, many: Vec<Handle>) -> std::io::Result<()> {
    wrapper.spawn(async {}); //~ AS101
    let runtime = make()?;
    runtime.spawn(async {}); //~ AS101
    let (handle, _) = pair();
    handle.spawn(async {}); //~ AS101
    for each in &many {
        each.spawn(async {}); //~ AS101
    }
    many[0].spawn(async {}); //~ AS101
    match many.first() {
        Some(first) => drop(first.spawn(async {})), //~ AS101
        None => (),
    }
    make()?.spawn(async {}); //~ AS101
    Ok(())
}

pub(crate) fn generic<T: HasHandle, U>(one: &T, two: U)
where
    U: AsRef<Handle>,
{
    one.handle().spawn(async {}); //~ AS101
    two.as_ref().spawn(async {}); //~ AS101 clippy
}

pub(crate) fn returned_closure(make: impl Fn() -> Handle) {
    make().spawn(async {}); //~ AS101 clippy
    let last = std::iter::once(Handle::current()).fold(None, |_, handle| Some(handle));
    last.unwrap().spawn(async {}); //~ AS101 clippy
}

pub(crate) async fn streams(listener: TcpListener, mut stop: mpsc::Receiver<()>) -> std::io::Result<()> {
    let (socket, _) = listener.accept().await?;
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read);
    let mut line = String::new();
    tokio::select! {
        _ = lines.read_line(&mut line) => {} //~ AS201
        _ = write.write_all(b"x") => {} //~ AS201
        _ = stop.recv() => {}
    }
    write.shutdown().await?;
    let mut other = TcpStream::connect("127.0.0.1:1").await?;
    tokio::select! {
        _ = other.read_u16() => {} //~ AS201
        Some(()) = stop.recv() => {}
        else => {}
    }
    other.shutdown().await
}

pub(crate) struct Pool;

impl Pool {
    pub(crate) fn start(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async {})
    }
}

pub(crate) fn background() -> tokio::task::JoinHandle<()> {
    Pool.start()
}

pub(crate) fn wrappers(pools: &[Pool]) {
    background(); //~ AS104
    let _ = pools[0].start(); //~ AS104
    let found = pools.iter().fold(None, |_, pool| Some(pool));
    found.unwrap().start(); //~ AS104 clippy
    helper::background(); //~ AS104
}
