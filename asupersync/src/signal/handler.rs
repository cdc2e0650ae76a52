//! The process's handler for SIGTERM and SIGINT: a byte to everyone who listens.
//!
//! A handler belongs to the process, not to who installed it. So the first to
//! listen installs it, and the last puts back what was there before: a program
//! whose runtime has ended can be interrupted as if there had been none. If
//! somebody else has installed a handler over this one meanwhile, theirs stays,
//! and this one does nothing but call on what it found.
//!
//! Invariants:
//! 1. a slot is empty or holds an open descriptor: who stops listening empties
//!    the slot, and waits until no handler runs that may have read it;
//! 2. what was found at installation changes only while the handler is not installed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the handler writes.
pub(super) const RAISED: u8 = 1;

const SIGNALS: [i32; 2] = [libc::SIGTERM, libc::SIGINT];

/// Runtimes of one process that listen at a time. Few: one is usual. The handler
/// may not allocate, so it needs a bound.
const LISTENERS: usize = 16;
const EMPTY: i32 = -1;

static SLOTS: [AtomicI32; LISTENERS] = [const { AtomicI32::new(EMPTY) }; LISTENERS];
/// Handlers that are running, on whatever threads.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// What was there before, for the handler: one per signal.
static FOUND: [Found; 2] = [const { Found::new() }; 2];

struct Found {
    function: AtomicUsize,
    /// Whether the function takes three arguments.
    takes_info: AtomicBool,
}

impl Found {
    const fn new() -> Self {
        Found {
            function: AtomicUsize::new(libc::SIG_DFL),
            takes_info: AtomicBool::new(false),
        }
    }
}

/// What was there before, to put it back.
#[derive(Default)]
struct Installation {
    listeners: usize,
    found: [Option<libc::sigaction>; 2],
}

fn installation() -> MutexGuard<'static, Installation> {
    static INSTALLATION: Mutex<Installation> = Mutex::new(Installation {
        listeners: 0,
        found: [None; 2],
    });
    INSTALLATION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Signals are written to a descriptor until the value is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    slot: usize,
}

impl Listener {
    /// Writes [`RAISED`] to the socket `fd`, which outlives the value, at each signal.
    pub(super) fn new(fd: RawFd) -> io::Result<Self> {
        let mut installation = installation();
        let free = SLOTS
            .iter()
            .position(|s| s.load(Ordering::SeqCst) == EMPTY)
            .ok_or_else(|| io::Error::other("too many runtimes listen to signals: at most 16"))?;
        // Listening before the handler is there: no signal is missed in between.
        SLOTS[free].store(fd, Ordering::SeqCst);
        installation.listeners += 1;
        let listener = Listener { slot: free };
        for i in 0..SIGNALS.len() {
            if let Err(e) = installation.install(i) {
                drop(installation);
                drop(listener);
                return Err(e);
            }
        }
        Ok(listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut installation = installation();
        installation.listeners -= 1;
        if installation.listeners == 0 {
            // Before the slot is emptied, so that no signal falls in between.
            (0..SIGNALS.len()).for_each(|i| installation.restore(i));
        }
        SLOTS[self.slot].store(EMPTY, Ordering::SeqCst);
        while RUNNING.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }
}

impl Installation {
    fn install(&mut self, i: usize) -> io::Result<()> {
        if self.found[i].is_some() {
            return Ok(());
        }
        let found = action(SIGNALS[i], None)?;
        FOUND[i]
            .function
            .store(found.sa_sigaction, Ordering::SeqCst);
        let takes_info = found.sa_flags & libc::SA_SIGINFO != 0;
        FOUND[i].takes_info.store(takes_info, Ordering::SeqCst);
        action(SIGNALS[i], Some(&ours()))?;
        self.found[i] = Some(found);
        Ok(())
    }

    /// Puts back what was found, unless somebody else has installed a handler since.
    fn restore(&mut self, i: usize) {
        let current = action(SIGNALS[i], None);
        let is_ours = current.is_ok_and(|c| c.sa_sigaction == ours().sa_sigaction);
        if let Some(found) = self.found[i].filter(|_| is_ours)
            && action(SIGNALS[i], Some(&found)).is_ok()
        {
            self.found[i] = None;
        }
    }
}

fn ours() -> libc::sigaction {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_sigaction = on_signal as *const () as usize;
    // Interrupted system calls go on: only the handler wanted to know.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    ours
}

/// Installs an action, if one is given, and returns the one before.
fn action(signal: i32, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both pointers are valid or null, and the handler that may be
    // installed calls only what is async-signal-safe.
    if unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, and so has written it; all zeroes is valid too.
    Ok(unsafe { old.assume_init() })
}

extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the address of this thread's `errno`, which lives as long as the thread.
    let errno = unsafe { errno() };
    // SAFETY: as above. The code that was interrupted may be about to read it.
    let before = unsafe { *errno };
    RUNNING.fetch_add(1, Ordering::SeqCst);
    for slot in &SLOTS {
        let fd = slot.load(Ordering::SeqCst);
        if fd != EMPTY {
            // SAFETY: `send` is async-signal-safe; by invariant 1 the descriptor is
            // open. With a full socket the signal was raised often enough already.
            unsafe { libc::send(fd, ptr::from_ref(&RAISED).cast(), 1, libc::MSG_DONTWAIT) };
        }
    }
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { *errno = before };

    let Some(i) = SIGNALS.iter().position(|s| *s == signal) else {
        return;
    };
    let function = FOUND[i].function.load(Ordering::SeqCst);
    if function == libc::SIG_DFL || function == libc::SIG_IGN {
        return;
    }
    if FOUND[i].takes_info.load(Ordering::SeqCst) {
        type Function = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: the system gave us this function as a handler of this shape.
        let function: Function = unsafe { std::mem::transmute(function) };
        function(signal, info, context);
    } else {
        // SAFETY: as above.
        let function: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(function) };
        function(signal);
    }
}

/// # Safety
/// The address is this thread's alone.
#[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "l4re"))]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: the call has no preconditions.
    unsafe { libc::__errno_location() }
}

/// # Safety
/// The address is this thread's alone.
#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: the call has no preconditions.
    unsafe { libc::__errno() }
}

/// # Safety
/// The address is this thread's alone.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly"
))]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: the call has no preconditions.
    unsafe { libc::__error() }
}

/// # Safety
/// The address is this thread's alone.
#[cfg(any(target_os = "solaris", target_os = "illumos"))]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: the call has no preconditions.
    unsafe { libc::___errno() }
}
