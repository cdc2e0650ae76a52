//! The process's signal handlers: a bit for the signal, and a byte that says to look.
//!
//! A handler belongs to the process, not to who installed it. So the first who
//! listens to a signal installs it, and the last puts back what was there
//! before: a program whose runtime has ended can be interrupted as if there had
//! been none. If somebody else has installed a handler over this one meanwhile,
//! theirs stays, and this one does nothing but call on what it found.
//!
//! Invariants:
//! 1. the socket is none or an open descriptor: who closes it takes it away
//!    here, and waits until no handler runs that may have read it;
//! 2. what was found at installation changes only while the handler is not installed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// What the handler writes.
pub(super) const RAISED: u8 = 1;

/// Numbers of signals are 1 to 64 on every system.
const SIGNALS: usize = 64;
const NONE: i32 = -1;

static SOCKET: AtomicI32 = AtomicI32::new(NONE);
/// The signals that were raised and not taken: one bit each, so that any number
/// of one signal is one.
static PENDING: AtomicU64 = AtomicU64::new(0);
/// Handlers that are running, on whatever threads.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// What was there before, for the handler: one per signal.
static FOUND: [Found; SIGNALS] = [const { Found::new() }; SIGNALS];

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

/// Why no program may listen to this signal, if so.
fn forbidden(signal: i32) -> Option<&'static str> {
    match signal {
        libc::SIGKILL | libc::SIGSTOP => Some("the system lets no program hear it"),
        libc::SIGSEGV | libc::SIGILL | libc::SIGFPE | libc::SIGBUS => {
            Some("it is about an instruction that has failed, which would be run again")
        }
        n if !(1..=SIGNALS as i32).contains(&n) => Some("numbers of signals are 1 to 64"),
        _ => None,
    }
}

/// A signal that a handler can be installed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hearable(usize);

impl Hearable {
    pub(super) fn new(signal: i32) -> io::Result<Self> {
        if let Some(why) = forbidden(signal) {
            let message = format!("signal {signal} cannot be listened to: {why}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Hearable(signal as usize - 1))
    }

    pub(super) fn number(self) -> i32 {
        self.0 as i32 + 1
    }
}

/// The socket that handlers write [`RAISED`] to. It stays open until it was
/// taken away again with [`disconnect`].
pub(super) fn connect(socket: RawFd) {
    SOCKET.store(socket, Ordering::SeqCst);
}

/// Handlers write nothing afterwards.
pub(super) fn disconnect() {
    SOCKET.store(NONE, Ordering::SeqCst);
    while RUNNING.load(Ordering::SeqCst) > 0 {
        std::thread::yield_now();
    }
}

/// Takes the signals that were raised since the last time.
pub(super) fn take() -> impl Iterator<Item = i32> {
    let raised = PENDING.swap(0, Ordering::SeqCst);
    (0..SIGNALS)
        .filter(move |i| raised & (1 << i) != 0)
        .map(|i| Hearable(i).number())
}

/// What was there before, to put it back: one per signal, if the handler is installed.
pub(super) struct Installation([Option<libc::sigaction>; SIGNALS]);

impl Installation {
    pub(super) const fn new() -> Self {
        Installation([None; SIGNALS])
    }

    pub(super) fn install(&mut self, Hearable(i): Hearable) -> io::Result<()> {
        if self.0[i].is_some() {
            return Ok(());
        }
        let found = action(i, None)?;
        FOUND[i]
            .function
            .store(found.sa_sigaction, Ordering::SeqCst);
        let takes_info = found.sa_flags & libc::SA_SIGINFO != 0;
        FOUND[i].takes_info.store(takes_info, Ordering::SeqCst);
        action(i, Some(&ours()))?;
        self.0[i] = Some(found);
        Ok(())
    }

    /// Puts back what was found, unless somebody else has installed a handler since.
    pub(super) fn restore(&mut self, Hearable(i): Hearable) {
        let current = action(i, None);
        let is_ours = current.is_ok_and(|c| c.sa_sigaction == ours().sa_sigaction);
        if let Some(found) = self.0[i].filter(|_| is_ours)
            && action(i, Some(&found)).is_ok()
        {
            self.0[i] = None;
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
fn action(i: usize, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let signal = Hearable(i).number();
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
    let index = usize::try_from(signal - 1).ok().filter(|i| *i < SIGNALS);
    let bit = index.map_or(0, |i| 1 << i);
    // Before the byte, so that whoever reads that finds it.
    PENDING.fetch_or(bit, Ordering::SeqCst);
    let fd = SOCKET.load(Ordering::SeqCst);
    if fd != NONE {
        // SAFETY: `send` is async-signal-safe; by invariant 1 the descriptor is
        // open. With a full socket somebody was told to look often enough already.
        unsafe { libc::send(fd, ptr::from_ref(&RAISED).cast(), 1, libc::MSG_DONTWAIT) };
    }
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { *errno = before };

    let Some(i) = index else {
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
