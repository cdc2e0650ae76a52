//! What `join!` expands to: a future that keeps its output until all others have theirs.

use pin_project::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future, then its output, then nothing.
#[doc(hidden)]
#[pin_project(project = Projected, project_replace = Replaced)]
pub enum Slot<F: Future> {
    /// Not ready yet.
    Running(#[pin] F),
    /// Ready, and not taken yet.
    Ready(F::Output),
    /// Taken.
    Taken,
}

/// A slot for a future.
#[doc(hidden)]
pub fn slot<F: IntoFuture>(future: F) -> Slot<F::IntoFuture> {
    Slot::Running(future.into_future())
}

impl<F: Future> Slot<F> {
    /// Polls the future unless it is ready; tells whether it is.
    pub fn poll_slot(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> bool {
        if let Projected::Running(future) = self.as_mut().project() {
            match future.poll(task) {
                Poll::Pending => return false,
                // The future is dropped here: what it holds is free while others still run.
                Poll::Ready(output) => drop(self.project_replace(Slot::Ready(output))),
            }
        }
        true
    }

    /// The output of a future that is ready.
    ///
    /// # Panics
    /// If it is not ready, or was taken.
    pub fn take(self: Pin<&mut Self>) -> F::Output {
        match self.project_replace(Slot::Taken) {
            Replaced::Ready(output) => output,
            Replaced::Running(_) | Replaced::Taken => {
                panic!("a `join!` that has returned was polled again")
            }
        }
    }
}
