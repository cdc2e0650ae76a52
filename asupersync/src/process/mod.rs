//! Other processes, each owned by a region.
//!
//! A child process is minded by a daemon of the region that started it.
//! Invariants:
//!
//! 1. no child outlives its region: the region waits for the minder, and what
//!    the minder owns kills and reaps the child whenever it is dropped;
//! 2. no child is left a zombie: whoever ends it reaps it;
//! 3. a signal reaches our child or nobody: until it is reaped, and only the
//!    minder reaps, its number names no other process;
//! 4. waiting for a child, and reading and writing its streams, occupies no
//!    thread, where the system has descriptors for processes (Linux since 5.3);
//!    elsewhere the wait has a thread of the blocking pool.
//!
//! A process would not repeat, so the lab has none: [`Command::spawn`] fails
//! there with `Unsupported`. A program that is tested in the lab takes what it
//! wants of another program through a function or a trait of its own.

mod child;
mod minder;
mod pipe;

pub use child::{Child, Wait};
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
pub use std::process::{ExitStatus, Output, Stdio};

use crate::cx::Cx;
use crate::io::CancelClass;
use crate::types::caps::Capability;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The cancel class of every operation of this module. What is done with the
/// streams has the classes of [`io`](crate::io::CANCEL_CLASS).
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("Child::wait", CancelClass::Resumable),
    ("Child::wait_with_output", CancelClass::Lossy),
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
///
/// Input and output at the same time: neither waits for the other, however
/// much there is of both.
///
/// ```
/// use asupersync::io::{ReadExt, WriteExt};
/// use asupersync::process::{Command, Stdio};
/// use asupersync::{Runtime, Scope};
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| -> std::io::Result<()> {
/// let mut sort = Command::new("sort");
/// let mut child = sort.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn(&scope)?;
/// let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
/// let feed = async {
///     to.write_all(&scope, b"b\na\n").await?;
///     // The end of its input, without which it would wait for more.
///     to.shutdown(&scope).await
/// };
/// let mut sorted = String::new();
/// let (fed, read) = asupersync::join!(feed, from.read_to_string(&scope, &mut sorted));
/// fed.and(read)?;
/// assert_eq!(sorted, "a\nb\n");
/// assert!(child.wait(&scope).await?.success());
/// # Ok(()) }).unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    inner: std::process::Command,
    grace: Duration,
    /// Which of the three streams the caller has said something about.
    said: [bool; 3],
}

/// A command of the standard library's; what it says about the three streams
/// holds for [`Command::spawn`] and [`Command::status`] only.
impl From<std::process::Command> for Command {
    fn from(inner: std::process::Command) -> Self {
        Command {
            inner,
            grace: GRACE,
            said: [false; 3],
        }
    }
}

impl Command {
    /// The program `name`, without arguments, looked for in `PATH`.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        std::process::Command::new(name).into()
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

    /// Lets it start without a variable of this process's environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(name);
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

    /// What it reads: as this process by default, nothing for [`Command::output`].
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stdin(stream);
        self.said[0] = true;
        self
    }

    /// Where it writes: as this process by default, to a pipe for [`Command::output`].
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stdout(stream);
        self.said[1] = true;
        self
    }

    /// Where its messages go: as those of this process by default, to a pipe
    /// for [`Command::output`].
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stderr(stream);
        self.said[2] = true;
        self
    }

    /// Puts it into a process group: 0 makes one of its own, which the signals of
    /// a terminal to this program do not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        std::os::unix::process::CommandExt::process_group(&mut self.inner, group);
        self
    }

    /// The standard library's command, for what has no method here.
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.inner
    }

    /// How long it may wind down after the signal to terminate, before it is
    /// killed; one second by default. The cleanup budget of its region binds too.
    pub fn grace(&mut self, grace: Duration) -> &mut Self {
        self.grace = grace;
        self
    }

    /// Starts it.
    ///
    /// The child is bound to the region of `cx`: when that ends, is cancelled, or
    /// the [`Child`] is dropped, it is told to terminate, killed after
    /// [`Command::grace`], and reaped, and the region waits for that.
    ///
    /// # Errors
    /// The system's, which names the program; one that wraps
    /// [`Cancelled`](crate::Cancelled); `PermissionDenied` from a context without
    /// [`Capability::Process`]; `Unsupported` in the lab.
    pub fn spawn(&mut self, cx: &Cx) -> io::Result<Child> {
        cx.checkpoint()?;
        cx.require(Capability::Process)?;
        let started = cx.world().system().and_then(|_| self.inner.spawn());
        let started = started.and_then(|process| Child::new(cx, process, self.grace));
        started.map_err(|e| {
            let program = self.inner.get_program().display();
            io::Error::new(e.kind(), format!("cannot start `{program}`: {e}"))
        })
    }

    /// Runs it to its end.
    ///
    /// *Cancellation.* Lossy: the child is told to terminate, and its status is lost.
    ///
    /// # Errors
    /// As for [`Command::spawn`].
    pub async fn status(&mut self, cx: &Cx) -> io::Result<ExitStatus> {
        let mut child = self.spawn(cx)?;
        // A child that was given a pipe finds its end, rather than wait for us.
        drop(child.stdin.take());
        child.wait(cx).await
    }

    /// Runs it to its end, and collects what it writes.
    ///
    /// *Cancellation.* Lossy: the child is told to terminate, and what it wrote is lost.
    ///
    /// # Errors
    /// As for [`Command::spawn`], and those of reading.
    pub async fn output(&mut self, cx: &Cx) -> io::Result<Output> {
        let said = self.said;
        self.unsaid(said, [Stdio::null, Stdio::piped, Stdio::piped]);
        let started = self.spawn(cx);
        self.unsaid(said, [Stdio::inherit; 3]);
        started?.wait_with_output(cx).await
    }

    /// Sets those streams that the caller has said nothing about.
    fn unsaid(&mut self, said: [bool; 3], streams: [fn() -> Stdio; 3]) {
        let [stdin, stdout, stderr] = streams;
        if !said[0] {
            self.inner.stdin(stdin());
        }
        if !said[1] {
            self.inner.stdout(stdout());
        }
        if !said[2] {
            self.inner.stderr(stderr());
        }
    }
}
