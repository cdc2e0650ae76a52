//! Who waits for a child, ends it and reaps it.

use crate::cx::Cx;
use crate::io::Operation;
use crate::io::unix::{AsyncFd, Interest};
use crate::world::World;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

/// A child that nobody has reaped; dropped, it is killed first.
///
/// Dropping is the way out when the minder never ran, because it was cancelled
/// before or the region took no more tasks, and when its cleanup budget is spent.
pub(super) struct Unreaped(Option<std::process::Child>);

impl Unreaped {
    pub(super) fn new(process: std::process::Child) -> Self {
        Unreaped(Some(process))
    }

    fn process(&mut self) -> &mut std::process::Child {
        self.0.as_mut().expect("only `reap` takes it, and ends us")
    }

    fn terminate(&mut self) {
        let pid = libc::pid_t::try_from(self.process().id()).expect("the system gave it out");
        // SAFETY: a plain system call; the process is not reaped, so the number is its.
        let _ = unsafe { libc::kill(pid, libc::SIGTERM) };
    }

    fn reap(mut self) -> io::Result<ExitStatus> {
        self.0.take().expect("nobody else takes it").wait()
    }
}

impl Drop for Unreaped {
    fn drop(&mut self) {
        if let Some(mut process) = self.0.take() {
            // One that has ended already is only reaped.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Waits for the child's end, and brings it about when that is wished, or when
/// the task is asked to cancel.
pub(super) async fn mind(
    cx: Cx,
    mut child: Unreaped,
    life: Arc<Life>,
    grace: Duration,
) -> io::Result<ExitStatus> {
    let pid = child.process().id();
    let watch = Watch::by_descriptor(&**cx.world(), pid)
        .unwrap_or_else(|| Watch::by_thread(&**cx.world(), pid, &life));
    attend(cx, child, life, watch, grace).await
}

async fn attend(
    cx: Cx,
    mut child: Unreaped,
    life: Arc<Life>,
    watch: Watch,
    grace: Duration,
) -> io::Result<ExitStatus> {
    let ended_or = |task: &mut Context<'_>, wish: Wish| {
        if watch.poll_ended(task).is_ready() {
            return Poll::Ready(());
        }
        life.poll(task, |l| l.ended || l.wish >= wish)
    };
    let mut operation = Operation::default();
    let ends =
        poll_fn(|task| operation.poll(&cx, task, |task| ended_or(task, Wish::Terminate).map(Ok)));
    // However it ends, by a wish, by itself or by a request: the child decides.
    let _ = ends.await;
    if !watch.has_ended() && life.wish() < Wish::Kill {
        child.terminate();
        let over = poll_fn(|task| ended_or(task, Wish::Kill));
        // Whether it ended in time is looked at below.
        let _ = cx.cleanup().timeout_drop(grace, over).await;
    }
    if !watch.has_ended() {
        child.process().kill()?;
        poll_fn(|task| {
            ready!(watch.poll_ended(task));
            Poll::Ready(())
        })
        .await;
    }
    child.reap()
}

/// How the end of a child is noticed.
struct Watch {
    pid: u32,
    by: By,
}

enum By {
    /// A descriptor that is readable when the process has ended.
    Descriptor(AsyncFd<OwnedFd>),
    /// A thread of the blocking pool, which tells the [`Life`].
    Thread(Arc<Life>),
}

impl Watch {
    #[cfg(target_os = "linux")]
    fn by_descriptor(world: &dyn World, pid: u32) -> Option<Self> {
        use std::os::fd::{FromRawFd, RawFd};
        // SAFETY: a plain system call; the child is not reaped, so the number is its.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: the system has just made the descriptor for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let by = By::Descriptor(AsyncFd::presumed_ready(world, fd, Interest::READABLE).ok()?);
        Some(Watch { pid, by })
    }

    #[cfg(not(target_os = "linux"))]
    fn by_descriptor(_: &dyn World, _: u32) -> Option<Self> {
        None
    }

    /// The thread does not reap, and is no task of the region, since one that is
    /// cancelled before it starts would tell nothing; it ends with the child,
    /// and the child with its minder.
    fn by_thread(world: &dyn World, pid: u32, life: &Arc<Life>) -> Self {
        let told = Arc::clone(life);
        world.offload(Box::new(move || {
            look(pid, libc::WEXITED | libc::WNOWAIT);
            told.tell(|known| known.ended = true);
        }));
        let by = By::Thread(Arc::clone(life));
        Watch { pid, by }
    }

    fn has_ended(&self) -> bool {
        look(self.pid, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG)
    }

    fn poll_ended(&self, task: &mut Context<'_>) -> Poll<()> {
        match &self.by {
            By::Thread(life) => life.poll(task, |l| l.ended),
            By::Descriptor(descriptor) => loop {
                let Ok(mut guard) = ready!(descriptor.poll_read_ready(task)) else {
                    unreachable!("it was registered for reading");
                };
                if self.has_ended() {
                    return Poll::Ready(());
                }
                guard.clear_ready();
            },
        }
    }
}

/// Whether the child has ended or was reaped; waits for it, unless the flags say not to.
fn look(pid: u32, flags: libc::c_int) -> bool {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the pointer is valid for writes.
        let waited = unsafe { libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), flags) };
        if waited == 0 {
            // SAFETY: zeroed, and written by the call as far as it had something to say;
            // the field is zero if no child has ended.
            return unsafe { info.assume_init().si_pid() } != 0;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return true;
        }
    }
}

/// What is known of a child, and what is wished.
///
/// A wish is no request to cancel the minder, since nothing has failed if it is
/// heard early.
#[derive(Debug, Default)]
pub(super) struct Life(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Told by a thread, if one watches.
    ended: bool,
    wish: Wish,
    minder: Option<Waker>,
}

/// What its owner wants of the child; each wish includes those before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Wish {
    #[default]
    Run,
    Terminate,
    Kill,
}

impl Life {
    /// Lets the minder see to it.
    pub(super) fn wants(&self, wish: Wish) {
        self.tell(|known| known.wish = known.wish.max(wish));
    }

    fn wish(&self) -> Wish {
        self.lock().wish
    }

    fn tell(&self, change: impl FnOnce(&mut Known)) {
        let minder = {
            let mut known = self.lock();
            change(&mut known);
            known.minder.take()
        };
        minder.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, task: &Context<'_>, until: impl FnOnce(&Known) -> bool) -> Poll<()> {
        let fresh = task.waker().clone();
        let mut known = self.lock();
        if until(&known) {
            drop(known);
            return Poll::Ready(());
        }
        let stale = known.minder.replace(fresh);
        drop(known);
        drop(stale);
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Runtime, Scope};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    /// As on systems that have no descriptors for processes.
    #[test]
    fn a_thread_may_tell_the_end_as_well() {
        let runtime = Runtime::builder().worker_threads(1).build().unwrap();
        let ended = runtime.block_on(async |cx: Scope| {
            let mut ends = Vec::new();
            for (script, wish) in [
                ("exit 3", Wish::Run),
                ("exec sleep 600", Wish::Terminate),
                ("exec sleep 600", Wish::Kill),
            ] {
                let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
                let (pid, life) = (child.id(), Arc::new(Life::default()));
                let watch = Watch::by_thread(&**cx.world(), pid, &life);
                life.wants(wish);
                let grace = Duration::from_secs(60);
                let minded = cx.spawn(async move |cx: Cx| {
                    attend(cx, Unreaped::new(child), life, watch, grace).await
                });
                let status = minded.await.into_result().unwrap().unwrap();
                ends.push((status.code(), status.signal()));
            }
            ends
        });
        let by = |signal| (None, Some(signal));
        assert_eq!(
            ended.unwrap(),
            [(Some(3), None), by(libc::SIGTERM), by(libc::SIGKILL)]
        );
    }
}
