//! The servers: each accepts, and answers every connection with what it reads.
//!
//! Each is what a user of the runtime would write: a task per connection.

use super::{COLUMNS, MESSAGE};
use std::io::{self, Read, Write};
use std::net::TcpListener;

/// Serves on the runtime of that name until the process ends.
///
/// # Errors
/// When there is no server of that name, or it could not start.
pub fn serve(column: &str) -> io::Result<()> {
    end_with_the_parent();
    let place = COLUMNS.iter().position(|c| *c == column);
    let Some(place) = place else {
        return Err(io::Error::other(format!(
            "there is no server {column:?}; there are {COLUMNS:?}"
        )));
    };
    let workers = if place % 2 == 0 { 2 } else { 0 };
    match place / 2 {
        0 => asupersync_server::serve(workers),
        1 => tokio_server::serve(workers),
        2 => smol_server::serve(workers),
        _ => raw_server::serve(),
    }
}

/// The parent holds the other end of standard input.
fn end_with_the_parent() {
    std::thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

fn announce(port: u16) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "{port}")?;
    output.flush()
}

mod asupersync_server {
    use super::{MESSAGE, announce, io};
    use asupersync::io::{ReadExt, WriteExt};
    use asupersync::net::{TcpListener, TcpStream};
    use asupersync::{Cx, Runtime, Scope};

    pub(super) fn serve(workers: usize) -> io::Result<()> {
        let builder = Runtime::builder();
        let builder = match workers {
            0 => builder.current_thread(),
            _ => builder.worker_threads(workers),
        };
        let runtime = builder.build().map_err(io::Error::other)?;
        runtime.block_on(async |cx: Scope| {
            let listener = TcpListener::bind(&cx, "127.0.0.1:0").await?;
            announce(listener.local_addr()?.port())?;
            loop {
                let (stream, _) = listener.accept(&cx).await?;
                stream.set_nodelay(true)?;
                cx.spawn(async move |cx: Cx| echo(&cx, stream).await);
            }
        })?
    }

    async fn echo(cx: &Cx, mut stream: TcpStream) {
        let mut buffer = [0; MESSAGE];
        while let Ok(n @ 1..) = stream.read(cx, &mut buffer).await {
            if stream.write_all(cx, &buffer[..n]).await.is_err() {
                return;
            }
        }
    }
}

mod tokio_server {
    use super::{MESSAGE, announce, io};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::Builder;

    pub(super) fn serve(workers: usize) -> io::Result<()> {
        let runtime = match workers {
            0 => Builder::new_current_thread().enable_all().build()?,
            _ => Builder::new_multi_thread()
                .worker_threads(workers)
                .enable_all()
                .build()?,
        };
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            announce(listener.local_addr()?.port())?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(echo(stream));
            }
        })
    }

    async fn echo(mut stream: TcpStream) {
        let mut buffer = [0; MESSAGE];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    }
}

mod smol_server {
    use super::{MESSAGE, TcpListener, announce, io};
    use async_executor::Executor;
    use async_io::Async;
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    use std::net::TcpStream;

    pub(super) fn serve(workers: usize) -> io::Result<()> {
        let executor: &'static Executor<'static> = Box::leak(Box::default());
        for _ in 0..workers {
            std::thread::spawn(|| async_io::block_on(executor.run(std::future::pending::<()>())));
        }
        let accept = async {
            let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
            announce(listener.get_ref().local_addr()?.port())?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.get_ref().set_nodelay(true)?;
                executor.spawn(echo(stream)).detach();
            }
        };
        match workers {
            0 => async_io::block_on(executor.run(accept)),
            _ => async_io::block_on(accept),
        }
    }

    async fn echo(mut stream: Async<TcpStream>) {
        let mut buffer = [0; MESSAGE];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    }
}

/// No runtime: one thread, level-triggered epoll, and the sockets.
mod raw_server {
    use super::{MESSAGE, Read, TcpListener, Write, announce, io};
    use rustix::event::epoll;
    use std::collections::HashMap;
    use std::mem::MaybeUninit;
    use std::net::TcpStream;

    const LISTENER: u64 = 0;
    const EVENTS: usize = 256;

    pub(super) fn serve() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let readable = epoll::EventFlags::IN;
        epoll::add(
            &poll,
            &listener,
            epoll::EventData::new_u64(LISTENER),
            readable,
        )?;
        announce(listener.local_addr()?.port())?;
        let mut streams: HashMap<u64, TcpStream> = HashMap::new();
        let mut next = LISTENER;
        let mut events = [MaybeUninit::uninit(); EVENTS];
        loop {
            let (ready, _) = epoll::wait(&poll, &mut events, None)?;
            for event in ready.iter() {
                let id = event.data.u64();
                if id == LISTENER {
                    let (stream, _) = listener.accept()?;
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    next += 1;
                    epoll::add(&poll, &stream, epoll::EventData::new_u64(next), readable)?;
                    streams.insert(next, stream);
                } else if let Some(stream) = streams.get_mut(&id) {
                    let mut buffer = [0; MESSAGE];
                    match stream.read(&mut buffer) {
                        Ok(n @ 1..) => stream.write_all(&buffer[..n])?,
                        _ => drop(streams.remove(&id)),
                    }
                }
            }
        }
    }
}
