//! A child process, as a lease.

use super::minder::{Life, Unreaped, Wish, mind};
use super::pipe::{ChildStderr, ChildStdin, ChildStdout, End};
use crate::cx::{Cx, DropSafe};
use crate::exec::handle::TaskHandle;
use crate::exec::obligation::Obligation;
use crate::io::offload::result_of;
use crate::io::{Operation, ReadExt};
use crate::types::obligation::ObligationKind;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Output};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

/// A running process, bound to the region that started it. Dropping it tells
/// the process to terminate; the region waits for its end.
///
/// The streams that were [piped](std::process::Stdio::piped) are its public
/// fields; take one out to give it to another task.
#[derive(Debug)]
pub struct Child {
    /// What it reads, if that was piped.
    pub stdin: Option<ChildStdin>,
    /// What it writes, if that was piped.
    pub stdout: Option<ChildStdout>,
    /// Its messages, if they were piped.
    pub stderr: Option<ChildStderr>,
    id: u32,
    minder: TaskHandle<io::Result<ExitStatus>>,
    life: Arc<Life>,
    /// How it ended, once that is known.
    ended: Option<Result<ExitStatus, Arc<io::Error>>>,
    lease: Option<Obligation>,
}

impl Child {
    /// Minds a process from now on; one whose streams cannot be waited for is killed.
    pub(super) fn new(
        cx: &Cx,
        mut process: std::process::Child,
        grace: Duration,
    ) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        let (id, child) = (process.id(), Unreaped::new(process));
        let stdin = stdin.map(|s| End::new(cx, s)).transpose()?;
        let stdout = stdout.map(|s| End::new(cx, s)).transpose()?;
        let stderr = stderr.map(|s| End::new(cx, s)).transpose()?;
        let life = Arc::new(Life::default());
        let told = Arc::clone(&life);
        let minder = cx
            .within_effect()
            .spawn_daemon(async move |cx: Cx| mind(cx, child, told, grace).await);
        let lease = Some(cx.promise(ObligationKind::Lease));
        Ok(Child {
            stdin: stdin.map(ChildStdin),
            stdout: stdout.map(ChildStdout),
            stderr: stderr.map(ChildStderr),
            id,
            minder,
            life,
            ended: None,
            lease,
        })
    }

    /// The system's number of the process. Once the process was waited for,
    /// another one may get it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Tells it to terminate, and kills it after its grace; [`Child::wait`] tells when it is gone.
    pub fn terminate(&self) {
        self.life.wants(Wish::Terminate);
    }

    /// Kills it without a grace; [`Child::wait`] tells when it is gone.
    pub fn kill(&self) {
        self.life.wants(Wish::Kill);
    }

    /// How it ended, if that is known by now.
    ///
    /// # Errors
    /// The system's.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match self.poll_status(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(status) => status.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    fn poll_status(&mut self, task: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        if self.ended.is_none() {
            let ended = result_of(ready!(Pin::new(&mut self.minder).poll(task)));
            self.ended = Some(ended.map_err(Arc::new));
            if let Some(lease) = self.lease.take() {
                lease.commit();
            }
        }
        let again = |e: &Arc<io::Error>| io::Error::new(e.kind(), Arc::clone(e));
        let ended = self.ended.as_ref().expect("set above");
        Poll::Ready(ended.as_ref().copied().map_err(again))
    }

    /// Closes its input, and waits for its end and that of the streams that are
    /// still here, which it returns.
    ///
    /// A process that the child has started may hold these open for longer.
    ///
    /// *Cancellation.* Lossy: the child is told to terminate, and what it wrote is lost.
    ///
    /// # Errors
    /// The system's; one that wraps [`Cancelled`](crate::Cancelled).
    pub async fn wait_with_output(mut self, cx: &Cx) -> io::Result<Output> {
        drop(self.stdin.take());
        let (out, err) = (self.stdout.take(), self.stderr.take());
        // Together: a child that fills one pipe waits for us to read that one.
        let ends = asupersync_macros::join!(self.wait(cx), read_all(cx, out), read_all(cx, err));
        Ok(Output {
            status: ends.0?,
            stdout: ends.1?,
            stderr: ends.2?,
        })
    }

    /// Waits until it has ended; afterwards returns the same status at once.
    ///
    /// *Cancellation.* Resumable: it runs on, and waiting again continues.
    ///
    /// # Errors
    /// The system's; one that wraps [`Cancelled`](crate::Cancelled).
    pub fn wait<'a>(&'a mut self, cx: &'a Cx) -> Wait<'a> {
        Wait {
            child: self,
            cx,
            operation: Operation::default(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.terminate();
            lease.commit();
        }
    }
}

/// Future of [`Child::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Wait<'a> {
    child: &'a mut Child,
    cx: &'a Cx,
    operation: Operation,
}

impl Future for Wait<'_> {
    type Output = io::Result<ExitStatus>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Wait {
            child,
            cx,
            operation,
        } = self.get_mut();
        operation.poll(cx, task, |task| child.poll_status(task))
    }
}

impl DropSafe for Wait<'_> {}

async fn read_all(cx: &Cx, stream: Option<impl ReadExt + Unpin>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(cx, &mut all).await?;
    }
    Ok(all)
}
