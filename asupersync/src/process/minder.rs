//! Who waits for a child, ends it and reaps it.

use crate::cx::Cx;
use crate::io::Operation;
use crate::world::World;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
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
    life.watch(&**cx.world(), child.process().id());
    let mut operation = Operation::default();
    let ends = poll_fn(|task| {
        operation.poll(&cx, task, |task| {
            life.poll(task, |l| l.ended || l.unwanted).map(Ok)
        })
    });
    // However it ends, by a wish, by itself or by a request: the child decides.
    let _ = ends.await;
    if !life.has_ended() {
        child.terminate();
        let ended = poll_fn(|task| life.poll(task, |l| l.ended));
        if cx.cleanup().timeout_drop(grace, ended).await.is_err() {
            child.process().kill()?;
            poll_fn(|task| life.poll(task, |l| l.ended)).await;
        }
    }
    child.reap()
}

/// What is known of a child, and what is wished.
///
/// The end is told by a thread of the blocking pool, which does not reap. That
/// is no task of the region, since one that is cancelled before it starts would
/// tell nothing; it ends with the child, and the child with its minder. A wish
/// is no request to cancel the minder, since nothing has failed if it is heard
/// early.
#[derive(Debug, Default)]
pub(super) struct Life(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    ended: bool,
    unwanted: bool,
    minder: Option<Waker>,
}

impl Life {
    /// Lets the minder terminate the child.
    pub(super) fn end(&self) {
        self.tell(|known| known.unwanted = true);
    }

    fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn watch(self: &Arc<Self>, world: &dyn World, pid: u32) {
        let life = Arc::clone(self);
        world.offload(Box::new(move || {
            await_end(pid);
            life.tell(|known| known.ended = true);
        }));
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

/// Blocks until the child has ended or was reaped.
fn await_end(pid: u32) {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: the pointer is valid for writes; nothing is read from it.
        let waited = unsafe { libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), flags) };
        let interrupted = || io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if waited == 0 || !interrupted() {
            return;
        }
    }
}
