//! A child process, as a lease.

use super::minder::{Life, Unreaped, mind};
use crate::cx::{Cx, DropSafe};
use crate::exec::handle::TaskHandle;
use crate::exec::obligation::Obligation;
use crate::io::Operation;
use crate::io::offload::result_of;
use crate::types::obligation::ObligationKind;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A running process, bound to the region that started it. Dropping it tells
/// the process to terminate; the region waits for its end.
#[derive(Debug)]
pub struct Child {
    id: u32,
    minder: TaskHandle<io::Result<ExitStatus>>,
    life: Arc<Life>,
    /// How it ended, once that is known.
    status: Option<ExitStatus>,
    lease: Option<Obligation>,
}

impl Child {
    pub(super) fn new(cx: &Cx, process: std::process::Child, grace: Duration) -> Self {
        let (id, child) = (process.id(), Unreaped::new(process));
        let life = Arc::new(Life::default());
        let told = Arc::clone(&life);
        let minder = cx
            .within_effect()
            .spawn_daemon(async move |cx: Cx| mind(cx, child, told, grace).await);
        let lease = Some(cx.promise(ObligationKind::Lease));
        Child {
            id,
            minder,
            life,
            status: None,
            lease,
        }
    }

    /// The system's number of the process. Once the process was waited for,
    /// another one may get it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Tells it to terminate, and kills it after its grace; [`Child::wait`] tells when it is gone.
    pub fn terminate(&self) {
        self.life.end();
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
        operation.poll(cx, task, |task| {
            if let Some(status) = child.status {
                return Poll::Ready(Ok(status));
            }
            let status = result_of(ready!(Pin::new(&mut child.minder).poll(task)))?;
            child.status = Some(status);
            if let Some(lease) = child.lease.take() {
                lease.commit();
            }
            Poll::Ready(Ok(status))
        })
    }
}

impl DropSafe for Wait<'_> {}
