//! Other processes, each owned by a region.
//!
//! A child process is minded by a daemon of the region that started it.
//! Invariants:
//!
//! 1. no child outlives its region: the region waits for the minder, and what
//!    the minder owns kills and reaps the child whenever it is dropped;
//! 2. no child is left a zombie: whoever ends it reaps it;
//! 3. a signal reaches our child or nobody: until it is reaped, and only the
//!    minder reaps, its number names no other process.
//!
//! In the lab children are real processes, and waiting for one is one step,
//! however long it takes.

mod child;
mod minder;

pub use child::{Child, Wait};

use crate::cx::Cx;
use crate::io::CancelClass;
use crate::io::offload::{result_of, start};
use crate::types::caps::Capability;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Child::wait", CancelClass::Resumable),
    ("Command::status", CancelClass::Lossy),
    ("Command::output", CancelClass::Lossy),
];

/// How long a child may wind down after it was told to terminate.
const GRACE: Duration = Duration::from_secs(1);

/// A program to run, as [`std::process::Command`].
///
/// ```
/// use asupersync::process::Command;
/// use asupersync::{Runtime, Scope};
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| -> std::io::Result<()> {
/// let output = Command::new("echo").arg("hello").output(&scope).await?;
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok(()) }).unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    inner: std::process::Command,
    grace: Duration,
}

impl Command {
    /// The program `name`, without arguments, looked for in `PATH`.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        let inner = std::process::Command::new(name);
        let grace = GRACE;
        Command { inner, grace }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(name, value);
        self
    }

    /// Lets it start with no variables but those that are set afterwards.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// The directory in which it starts.
    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(dir);
        self
    }

    /// How long it may wind down after the signal to terminate, before it is
    /// killed; one second by default. The cleanup budget of its region binds too.
    pub fn grace(&mut self, grace: Duration) -> &mut Self {
        self.grace = grace;
        self
    }

    /// Starts it, with the standard streams of this process.
    ///
    /// The child is bound to the region of `cx`: when that ends, is cancelled, or
    /// the [`Child`] is dropped, it is told to terminate, killed after
    /// [`Command::grace`], and reaped, and the region waits for that.
    ///
    /// # Errors
    /// The system's, which names the program; one that wraps
    /// [`Cancelled`](crate::Cancelled); `PermissionDenied` from a context without
    /// [`Capability::Process`].
    pub fn spawn(&mut self, cx: &Cx) -> io::Result<Child> {
        self.started(cx).map(|(child, _)| child)
    }

    /// Runs it to its end.
    ///
    /// *Cancellation.* The child is told to terminate, and its status is lost.
    ///
    /// # Errors
    /// As for [`Command::spawn`].
    pub async fn status(&mut self, cx: &Cx) -> io::Result<ExitStatus> {
        self.spawn(cx)?.wait(cx).await
    }

    /// Runs it to its end, without input, and collects what it writes. The two
    /// streams are read on the blocking pool.
    ///
    /// *Cancellation.* The child is told to terminate, and what it wrote is
    /// lost. If it left its streams to processes of its own, the region waits
    /// for those.
    ///
    /// # Errors
    /// As for [`Command::spawn`], and those of reading.
    pub async fn output(&mut self, cx: &Cx) -> io::Result<Output> {
        self.inner
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = self.started(cx);
        self.inner
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit());
        let (mut child, streams) = started?;
        let out = start(cx, move |_| read_all(streams.out));
        let err = start(cx, move |_| read_all(streams.err));
        let status = child.wait(cx).await?;
        let stdout = result_of(out.join(cx).await?)?;
        let stderr = result_of(err.join(cx).await?)?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    fn started(&mut self, cx: &Cx) -> io::Result<(Child, Streams)> {
        cx.checkpoint()?;
        cx.require(Capability::Process)?;
        let mut process = self.inner.spawn().map_err(|e| {
            let program = self.inner.get_program().display();
            io::Error::new(e.kind(), format!("cannot start `{program}`: {e}"))
        })?;
        let streams = Streams {
            out: process.stdout.take(),
            err: process.stderr.take(),
        };
        Ok((Child::new(cx, process, self.grace), streams))
    }
}

struct Streams {
    out: Option<std::process::ChildStdout>,
    err: Option<std::process::ChildStderr>,
}

fn read_all(stream: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut all)?;
    }
    Ok(all)
}
