//! A folder and a set of processes that do not outlive the demo, however it ends.
//!
//! A caretaker, a second process of this same program in a group of its own,
//! holds the reading end of a pipe. Every child announces its process group
//! over the pipe before it executes anything. When the demo ends, also by
//! SIGKILL, the pipe closes; the caretaker then kills the groups that are still
//! announced and removes the folder.
//!
//! Invariants:
//! 1. the caretaker knows the folder before it exists, and a group before it runs;
//! 2. nobody but the demo holds the writing end: it is closed on exec.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

/// The hidden first argument that makes this program the caretaker.
pub const CARETAKER: &str = "__demo-caretaker";

/// The folder, and the line to its caretaker.
pub struct Sandbox {
    path: PathBuf,
    line: Mutex<Option<ChildStdin>>,
    caretaker: Child,
}

impl Sandbox {
    /// Starts the caretaker, then makes the folder below the system's temporary folder.
    pub fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("asupersync-demo-{}", std::process::id()));
        let mut caretaker = Command::new(std::env::current_exe()?)
            .arg(CARETAKER)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        let line = Mutex::new(caretaker.stdin.take());
        std::fs::create_dir(&path).map_err(|e| {
            let hint = format!("cannot make {}: {e}; set TMPDIR to a folder with 2 GB of room", path.display());
            io::Error::new(e.kind(), hint)
        })?;
        Ok(Sandbox { path, line, caretaker })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a child in a group of its own that dies with the demo.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Guarded<'_>> {
        let fd = match self.lock().as_ref() {
            Some(line) => line.as_raw_fd(),
            None => return Err(io::Error::other("the sandbox is being cleared")),
        };
        command.process_group(0);
        // SAFETY: between fork and exec the child only calls getpid and write,
        // which are async-signal-safe, on a buffer of its own stack.
        unsafe {
            command.pre_exec(move || announce(fd));
        }
        let child = command.spawn()?;
        Ok(Guarded { child: Some(child), sandbox: self })
    }

    fn tell(&self, sign: char, pid: u32) {
        if let Some(line) = self.lock().as_mut() {
            // A caretaker that died cannot be told; the demo goes on without it.
            let _ = writeln!(line, "{sign}{pid}");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ChildStdin>> {
        self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.lock().take());
        let _ = self.caretaker.wait();
    }
}

/// Writes `+PID\n` to the pipe from a freshly forked child.
fn announce(fd: i32) -> io::Result<()> {
    let mut text = [0u8; 16];
    let mut at = text.len() - 1;
    text[at] = b'\n';
    let mut pid = std::process::id();
    while pid > 0 {
        at -= 1;
        text[at] = b'0' + (pid % 10) as u8;
        pid /= 10;
    }
    at -= 1;
    text[at] = b'+';
    let bytes = &text[at..];
    // SAFETY: the descriptor is open until exec and the buffer is valid for its length.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    if written == bytes.len() as isize { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A child of the demo.
pub struct Guarded<'a> {
    child: Option<Child>,
    sandbox: &'a Sandbox,
}

impl Guarded<'_> {
    /// The child.
    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("present until dropped")
    }

    /// Sends it SIGTERM.
    pub fn terminate(&mut self) -> io::Result<()> {
        signal(self.child().id(), libc::SIGTERM)
    }

    /// Waits for it to end; `None` if it has not within `seconds`.
    pub fn wait_for(&mut self, seconds: u64) -> io::Result<Option<std::process::ExitStatus>> {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child().try_wait()? {
                return Ok(Some(status));
            }
            if std::time::Instant::now() >= end {
                return Ok(None);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = child.id();
        if !matches!(child.try_wait(), Ok(Some(_))) {
            let _ = signal_group(pid, libc::SIGKILL);
            let _ = child.wait();
        }
        self.sandbox.tell('-', pid);
    }
}

fn signal(pid: u32, signal: i32) -> io::Result<()> {
    // SAFETY: kill has no memory effects.
    match unsafe { libc::kill(pid as libc::pid_t, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn signal_group(group: u32, signal: i32) -> io::Result<()> {
    // SAFETY: as above; a negative id names the group.
    match unsafe { libc::kill(-(group as libc::pid_t), signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The caretaker's whole life: listen until the demo is gone, then clear up.
pub fn take_care(folder: &OsStr) {
    let mut groups = BTreeSet::new();
    for line in BufReader::new(io::stdin().lock()).lines() {
        let Ok(line) = line else { break };
        let mut chars = line.chars();
        let sign = chars.next();
        let Ok(pid) = chars.as_str().parse::<u32>() else { continue };
        match sign {
            Some('+') => drop(groups.insert(pid)),
            Some('-') => drop(groups.remove(&pid)),
            _ => {}
        }
    }
    for group in &groups {
        let _ = signal_group(*group, libc::SIGKILL);
    }
    // A process that is being killed may still create files for a moment.
    for _ in 0..50 {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
        }
    }
    eprintln!("cannot remove {}; remove it by hand", Path::new(folder).display());
}
