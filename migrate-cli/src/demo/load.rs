//! Clients for the chat service: they talk until the server goes away, then compare notes.
//!
//! A message counts as accepted once the server has answered `ok n` for it. It
//! is lost if a client that was logged in before it was sent, and stayed until
//! the server closed the connection, never received it.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::Duration;

/// Messages a client has under way without an answer, at the most.
const WINDOW: usize = 8;

/// What the clients saw, once all of them are done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    /// Clients that were logged in.
    pub(super) clients: usize,
    /// Messages the server said `ok` to.
    pub(super) accepted: usize,
    /// Lines of accepted messages that clients should have received.
    pub(super) expected: usize,
    /// Those that never came.
    pub(super) lost: usize,
    /// Clients whose connection was reset instead of closed.
    pub(super) resets: usize,
}

/// Running clients.
pub(super) struct Crowd {
    clients: Vec<JoinHandle<io::Result<Seen>>>,
    accepted: Arc<AtomicU64>,
}

/// What one client saw.
struct Seen {
    /// Its own messages that were answered `ok`.
    accepted: Vec<String>,
    received: HashSet<String>,
    reset: bool,
}

impl Crowd {
    /// Connects `n` clients, waits until all of them are logged in, and lets them talk.
    pub(super) fn connect(server: SocketAddr, n: usize) -> io::Result<Crowd> {
        let all_in = Arc::new(Barrier::new(n + 1));
        let accepted = Arc::new(AtomicU64::new(0));
        let clients = (0..n).map(|i| {
            let (all_in, accepted) = (all_in.clone(), accepted.clone());
            std::thread::Builder::new()
                .name(format!("client-{i}"))
                .stack_size(256 * 1024)
                .spawn(move || client(server, i, &all_in, &accepted))
        });
        let clients = clients.collect::<io::Result<Vec<_>>>()?;
        all_in.wait();
        Ok(Crowd { clients, accepted })
    }

    /// Messages accepted so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until every client has seen the end of its connection, and compares.
    pub(super) fn compare(self) -> io::Result<Tally> {
        let mut seen = Vec::new();
        for client in self.clients {
            match client.join() {
                Ok(one) => seen.push(one?),
                Err(_) => return Err(io::Error::other("a client thread panicked")),
            }
        }
        let all: Vec<&String> = seen.iter().flat_map(|s| &s.accepted).collect();
        let missed = |s: &Seen| all.iter().filter(|m| !s.received.contains(**m)).count();
        Ok(Tally {
            clients: seen.len(),
            accepted: all.len(),
            expected: all.len() * seen.len(),
            lost: seen.iter().map(missed).sum(),
            resets: seen.iter().filter(|s| s.reset).count(),
        })
    }
}

fn client(
    server: SocketAddr,
    i: usize,
    all_in: &Barrier,
    accepted: &AtomicU64,
) -> io::Result<Seen> {
    let nick = format!("u{i}");
    let mut seen = Seen {
        accepted: Vec::new(),
        received: HashSet::new(),
        reset: false,
    };
    let login = login(server, &nick);
    // The barrier is passed also by a client that failed, so that none waits forever.
    all_in.wait();
    let (mut lines, mut out) = login?;
    let mut sent = 0;
    let mut line = String::new();
    let mut writing = true;
    loop {
        while writing && sent < seen.accepted.len() + WINDOW {
            writing = writeln!(out, "message {sent} of {nick}").is_ok();
            sent += usize::from(writing);
        }
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) => break,
            Ok(_) if line.starts_with("ok ") => {
                let text = format!("{nick}: message {} of {nick}", seen.accepted.len());
                seen.accepted.push(text);
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => drop(seen.received.insert(line.trim_end().to_owned())),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => {
                seen.reset = true;
                break;
            }
            Err(e) => return Err(e),
        }
    }
    let _ = out.shutdown(Shutdown::Both);
    Ok(seen)
}

fn login(server: SocketAddr, nick: &str) -> io::Result<(BufReader<TcpStream>, TcpStream)> {
    let mut out = TcpStream::connect(server)?;
    out.set_nodelay(true)?;
    // Far above anything a working server needs; a server that hangs ends the demo with an error.
    out.set_read_timeout(Some(Duration::from_secs(30)))?;
    writeln!(out, "{nick}")?;
    let mut lines = BufReader::new(out.try_clone()?);
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err(io::Error::other(
                "the server closed the connection during login",
            ));
        }
        if line.starts_with("* welcome") {
            return Ok((lines, out));
        }
    }
}
