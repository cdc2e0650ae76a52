//! A folder and a set of processes that do not outlive the demo, however it ends.
//!
//! A caretaker, a second process of this same program in a group of its own,
//! holds the reading end of a pipe. Every child enters its process group in a
//! roster in the folder before it executes anything, and the demo crosses it
//! out over the pipe once the group is gone. When the demo ends, also by
//! SIGKILL, the pipe closes; the caretaker then kills the groups that are left
//! and removes the folder.
//!
//! Invariants:
//! 1. the caretaker knows the folder before it exists, and a group before it runs;
//! 2. nobody but the demo holds the writing end: it is closed on exec;
//! 3. a group is crossed out only after its leader was reaped.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The hidden first argument that makes this program the caretaker.
pub const CARETAKER: &str = "__demo-caretaker";

/// Where children enter their process groups, one number a line.
const ROSTER: &str = "roster";

/// The folder, and the line to its caretaker.
pub(super) struct Sandbox {
    path: PathBuf,
    line: Mutex<Option<ChildStdin>>,
    caretaker: Child,
}

impl Sandbox {
    /// Starts the caretaker, then makes the folder below the system's temporary folder.
    pub(super) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("asupersync-demo-{}", std::process::id()));
        let mut caretaker = Command::new(std::env::current_exe()?)
            .arg(CARETAKER)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        let line = Mutex::new(caretaker.stdin.take());
        let sandbox = Sandbox {
            path,
            line,
            caretaker,
        };
        std::fs::create_dir(&sandbox.path).map_err(|e| {
            let place = sandbox.path.display();
            io::Error::new(
                e.kind(),
                format!("cannot make {place}: {e}; set TMPDIR to a folder with 2 GB of room"),
            )
        })?;
        Ok(sandbox)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a program, in a group of its own that dies with the demo.
    pub(super) fn spawn<S: AsRef<OsStr>>(
        &self,
        program: S,
        configure: impl FnOnce(&mut Command),
    ) -> io::Result<Guarded<'_>> {
        // The shell enters its own number, which is the group's, and becomes the program.
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ >> "$0" && exec "$@""#]);
        command
            .arg(self.path.join(ROSTER))
            .arg(program.as_ref())
            .process_group(0);
        configure(&mut command);
        Ok(Guarded {
            child: command.spawn()?,
            sandbox: self,
        })
    }

    fn cross_out(&self, pid: u32) {
        if let Some(line) = self
            .line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            // A caretaker that is gone cannot be told, and has nothing to take care of.
            let _ = writeln!(line, "{pid}");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(
            self.line
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let _ = self.caretaker.wait();
    }
}

/// A child of the demo. Dropping it kills its whole group.
pub(super) struct Guarded<'a> {
    child: Child,
    sandbox: &'a Sandbox,
}

impl Guarded<'_> {
    /// The child.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends it SIGTERM.
    pub(super) fn terminate(&self) -> io::Result<()> {
        Ok(kill_process(self.pid(), Signal::TERM)?)
    }

    /// Waits for it to end; `None` if it has not within `limit`.
    pub(super) fn wait_for(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        // The leader may be gone while members live, so the group is killed in
        // any case; its number stays taken until the leader is reaped below.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
        self.sandbox.cross_out(self.child.id());
    }
}

/// The caretaker's whole life: listen until the demo is gone, then clear up.
pub fn take_care(folder: &Path) {
    let mut gone = BTreeSet::new();
    for line in BufReader::new(io::stdin().lock()).lines() {
        match line.map(|l| l.parse::<i32>()) {
            Ok(Ok(pid)) => drop(gone.insert(pid)),
            Ok(Err(_)) => {}
            Err(_) => break,
        }
    }
    // A process that is being killed may still create files for a moment.
    for _ in 0..100 {
        let roster = std::fs::read_to_string(folder.join(ROSTER)).unwrap_or_default();
        let groups: BTreeSet<i32> = roster.lines().filter_map(|l| l.parse().ok()).collect();
        for group in groups.difference(&gone) {
            if let Some(group) = Pid::from_raw(*group) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    eprintln!("cannot remove {}; remove it by hand", folder.display());
}
