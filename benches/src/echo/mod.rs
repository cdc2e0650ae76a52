//! Echo over TCP: each runtime is a server process with a processor clock of its own.
//!
//! The client is the same plain blocking code for all of them, so that what
//! differs is the server. With many connections it writes to all of them and
//! then reads from all of them, so that the server always has something to do.

pub mod server;

use crate::measure::{Lap, cpu_nanos_of};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::time::Instant;

/// The runtimes with a server, and the limit: a loop around epoll without any runtime.
pub const COLUMNS: [&str; 7] = [
    "asupersync mt2",
    "asupersync ct",
    "tokio mt2",
    "tokio ct",
    "smol 2t",
    "smol 1t",
    "raw epoll",
];

/// Bytes of a message.
pub const MESSAGE: usize = 64;

/// How a row loads the servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Connections to a server.
    pub connections: usize,
    /// Whether client and server share one core. One connection on two cores
    /// has two speeds, by where the scheduler puts the client.
    pub pinned: bool,
}

/// The rows that are done over the network.
const LOADS: &[(&str, usize, bool)] = &[
    ("echo-1", 1, true),
    ("echo-1-free", 1, false),
    ("echo-64", 64, false),
    ("echo-64-pinned", 64, true),
    ("echo-1k", 1_000, false),
    ("echo-10k", 10_000, false),
];

/// How the row of that name loads the servers; `None` if it has none.
pub fn load(row: &str) -> Option<Load> {
    let &(_, connections, pinned) = LOADS.iter().find(|(name, ..)| *name == row)?;
    Some(Load {
        connections,
        pinned,
    })
}

/// Files that a process has open besides its connections, and to spare.
const OTHER_FILES: u64 = 100;

/// Lets this process, and those it starts, open so many connections; inside,
/// the reason why that cannot be.
///
/// # Errors
/// When the system does not tell its limit.
pub fn make_room(connections: usize) -> io::Result<Result<(), String>> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the result.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    let needed = connections as u64 + OTHER_FILES;
    if needed > limit.rlim_max {
        let allowed = limit.rlim_max;
        return Ok(Err(format!(
            "it needs {needed} open files and the system allows {allowed}"
        )));
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is valid: the system gave it to us.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(Ok(()))
}

/// A server process and connections to it. Dropping it ends the process.
pub struct Client {
    streams: Vec<TcpStream>,
    server: Child,
    alive: Option<ChildStdin>,
}

impl Client {
    /// Starts the server of that name and connects to it.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn start(column: &str, connections: usize) -> io::Result<Self> {
        let command = Command::new(std::env::current_exe()?);
        Client::start_by(command, column, connections)
    }

    /// As [`Client::start`], where `command` runs this program.
    pub(crate) fn start_by(
        mut command: Command,
        column: &str,
        connections: usize,
    ) -> io::Result<Self> {
        let mut server = command
            .args(["--serve", column])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(alive), Some(output)) = (server.stdin.take(), server.stdout.take()) else {
            unreachable!("both were asked for");
        };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port: u16 = line.trim().parse().map_err(|_| {
            io::Error::other(format!(
                "the server {column} printed {line:?} instead of its port"
            ))
        })?;
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        Ok(Client {
            streams,
            server,
            alive: Some(alive),
        })
    }

    /// What the server says on its error output, if that was asked for.
    pub(crate) fn messages(&mut self) -> Option<ChildStderr> {
        self.server.stderr.take()
    }

    /// Lets the server end by itself.
    ///
    /// # Errors
    /// When the system does not tell that it has.
    pub(crate) fn end(mut self) -> io::Result<()> {
        drop(self.alive.take());
        self.server.wait()?;
        Ok(())
    }

    /// Sends and gets back `n` messages; the server's share is the processor time.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn play(&mut self, n: u32) -> io::Result<Lap> {
        let rounds = n.div_ceil(self.streams.len() as u32);
        let gone = || io::Error::other("the server has no clock: it is gone");
        let cpu = cpu_nanos_of(self.server.id()).ok_or_else(gone)?;
        let wall = Instant::now();
        let (message, mut back) = ([7; MESSAGE], [0; MESSAGE]);
        for _ in 0..rounds {
            for stream in &mut self.streams {
                stream.write_all(&message)?;
            }
            for stream in &mut self.streams {
                stream.read_exact(&mut back)?;
            }
        }
        assert_eq!(message, back, "it is an echo");
        let lap = Lap {
            wall: wall.elapsed().as_nanos() as f64 / 1e3,
            cpu: (cpu_nanos_of(self.server.id()).ok_or_else(gone)? - cpu) / 1e3,
        };
        Ok(lap.per(rounds * self.streams.len() as u32))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It ends by itself when its input does, as in `end`; this is for one that hangs.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Keeps the calling thread, and the processes it starts, on the core it is on.
pub struct Pin(libc::cpu_set_t);

impl Pin {
    /// Until it is dropped.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn to_one_core() -> io::Result<Self> {
        // SAFETY: an empty set of cores is all zeros, and the calls below get a valid one.
        unsafe {
            let mut former: libc::cpu_set_t = std::mem::zeroed();
            check(libc::sched_getaffinity(
                0,
                size_of::<libc::cpu_set_t>(),
                &mut former,
            ))?;
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            let core = (0..libc::CPU_SETSIZE as usize).find(|c| libc::CPU_ISSET(*c, &former));
            libc::CPU_SET(core.unwrap_or(0), &mut one);
            check(libc::sched_setaffinity(
                0,
                size_of::<libc::cpu_set_t>(),
                &one,
            ))?;
            Ok(Pin(former))
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // SAFETY: the set is valid: the system gave it to us.
        let _ = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Group, ROWS};

    #[test]
    fn the_rows_of_the_network_are_those_with_a_load() {
        for row in ROWS {
            let loaded = load(row.name).is_some();
            assert_eq!(loaded, row.group == Group::Network, "{}", row.name);
        }
    }

    #[test]
    fn room_is_made_up_to_the_limit_of_the_system() {
        assert_eq!(make_room(1).expect("it tells its limit"), Ok(()));
        let reason = make_room(usize::MAX / 2).expect("it tells its limit");
        assert!(reason.is_err_and(|reason| reason.contains("open files")));
    }
}
