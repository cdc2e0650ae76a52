//! System calls that the echo servers make: per message, and while nothing happens.
//!
//! Each server runs under `strace`, which writes a line with the time for every
//! call; those are counted that began while messages went to and fro, and while
//! none did. Tracing slows a server down, which changes how many messages it
//! finds when it wakes, so many connections are a hint where one is exact.

use crate::echo::{COLUMNS, Client};
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What one server did.
#[derive(Clone, PartialEq, Debug)]
pub struct Count {
    /// The runtime.
    pub column: &'static str,
    /// Calls per message with one connection.
    pub one: f64,
    /// Calls per message with [`MANY`] connections.
    pub many: f64,
    /// Calls while [`IDLE`] went by with one connection open.
    pub idle: usize,
}

/// Connections of the second count.
pub const MANY: usize = 64;
/// How long the servers are left alone.
pub const IDLE: Duration = Duration::from_secs(5);
/// Messages before a count begins: everybody is known to everybody.
const WARM_UP: u32 = 256;
/// Messages that are counted.
const MESSAGES: u32 = 2_048;
/// Time for a server to go to sleep after the last message.
const SETTLE: Duration = Duration::from_millis(200);

/// Whether processes can be traced.
///
/// # Errors
/// The reason why not.
pub fn available() -> Result<(), String> {
    let traced = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output();
    match traced {
        Err(_) => Err("strace is not installed".into()),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "strace may not trace here: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// Counts on all servers.
///
/// # Errors
/// When a server does not come up under strace, or stops answering.
pub fn count() -> io::Result<Vec<Count>> {
    let one = COLUMNS.map(|column| Traced::start(column, 1));
    let mut one = one.into_iter().collect::<io::Result<Vec<_>>>()?;
    let mut busy = Vec::new();
    for traced in &mut one {
        busy.push(traced.play()?);
    }
    sleep(SETTLE);
    let idle_from = now();
    sleep(IDLE);
    let idle = (idle_from, now());
    let mut counts = Vec::new();
    for ((column, traced), busy) in COLUMNS.into_iter().zip(one).zip(busy) {
        let calls = traced.end()?;
        let mut crowded = Traced::start(column, MANY)?;
        let many = crowded.play()?;
        let per_message = |calls: &[f64], span| within(calls, span) as f64 / f64::from(MESSAGES);
        counts.push(Count {
            column,
            one: per_message(&calls, busy),
            many: per_message(&crowded.end()?, many),
            idle: within(&calls, idle),
        });
    }
    Ok(counts)
}

/// From when to when, in seconds since the epoch, as strace tells time.
type Span = (f64, f64);

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_secs_f64()
}

fn within(calls: &[f64], (from, to): Span) -> usize {
    calls.iter().filter(|at| (from..to).contains(*at)).count()
}

/// A server under strace, whose lines are read as they come.
struct Traced {
    client: Client,
    lines: JoinHandle<io::Result<String>>,
}

impl Traced {
    fn start(column: &str, connections: usize) -> io::Result<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-ttt"]).arg(std::env::current_exe()?);
        strace.stderr(Stdio::piped());
        let mut client = Client::start_by(strace, column, connections)?;
        let messages = client.messages();
        let mut messages = messages.ok_or_else(|| io::Error::other("strace has no output"))?;
        let lines = std::thread::spawn(move || {
            let mut text = Vec::new();
            messages.read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        });
        Ok(Traced { client, lines })
    }

    fn play(&mut self) -> io::Result<Span> {
        self.client.play(WARM_UP)?;
        // Not to count what still belongs to the last of them.
        sleep(SETTLE);
        let from = now();
        self.client.play(MESSAGES)?;
        sleep(SETTLE);
        Ok((from, now()))
    }

    /// When each call began.
    fn end(self) -> io::Result<Vec<f64>> {
        self.client.end()?;
        let lines = self.lines.join();
        let text = lines.map_err(|_| io::Error::other("nobody read what strace said"))??;
        let calls = calls(&text);
        if calls.is_empty() {
            return Err(io::Error::other(format!("strace said no calls: {text}")));
        }
        Ok(calls)
    }
}

/// When each call of a log began; a call that other threads' lines interrupt
/// has a second line, which does not count.
fn calls(log: &str) -> Vec<f64> {
    let call = |line: &str| {
        let line = match line.strip_prefix("[pid") {
            Some(rest) => rest.split_once(']')?.1,
            None => line,
        };
        let (at, what) = line.trim_start().split_once(' ')?;
        let name = what.split_once('(')?.0;
        let named = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        at.parse().ok().filter(|_| named)
    };
    log.lines().filter_map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_a_line_per_call() {
        let log = "1700000000.100000 execve(\"/bin/true\", [\"true\"], 0x7ffd /* 9 vars */) = 0\n\
            strace: Process 12 attached\n\
            [pid    12] 1700000000.200000 epoll_wait(3,  <unfinished ...>\n\
            [pid    11] 1700000000.300000 futex(0x1, FUTEX_WAKE_PRIVATE, 1) = 1\n\
            [pid    12] 1700000000.400000 <... epoll_wait resumed>[], 1024, 5) = 0\n\
            1700000000.500000 --- SIGCHLD {si_signo=SIGCHLD} ---\n\
            1700000000.600000 +++ exited with 0 +++\n";
        let calls = calls(log);
        assert_eq!(calls.len(), 3, "{calls:?}");
        assert_eq!(within(&calls, (1_700_000_000.15, 1_700_000_000.3)), 1);
        assert_eq!(within(&calls, (0.0, f64::MAX)), 3);
    }
}
