//! Sleeping until an instant.

use crate::cx::{Cx, DropSafe, Interrupt};
use crate::types::cancel::Cancelled;
use crate::types::caps::Capability;
use crate::types::time::Time;
use crate::world::TimerKey;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

impl Cx {
    /// Waits for `d`; virtual time in the lab.
    ///
    /// *Cancellation.* Safe: it ends early, and the timer is removed.
    ///
    /// # Errors
    /// [`Cancelled`]; at once, and with [`Cancelled::denied`], when this context
    /// lacks [`Capability::Time`].
    pub fn sleep(&self, d: Duration) -> Sleep<'_> {
        Sleep::new(self, self.now() + d, true).ahead(d)
    }

    /// Waits until `due`, or not at all if that has passed.
    ///
    /// *Cancellation.* Safe: it ends early, and the timer is removed.
    ///
    /// # Errors
    /// As [`Cx::sleep`].
    pub fn sleep_until(&self, due: Time) -> Sleep<'_> {
        Sleep::new(self, due, true)
    }

    /// A sleep that is part of another effect, and needs no capability of its own.
    pub(crate) fn pause(&self, d: Duration) -> Sleep<'_> {
        Sleep::new(self, self.now() + d, false).ahead(d)
    }
}

/// Future of [`Cx::sleep`] and [`Cx::sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sleep<'a> {
    cx: &'a Cx,
    due: Time,
    timer: Option<TimerKey>,
    /// Whether it is an effect of its own.
    gated: bool,
    /// Whether the clock was just read and `due` lies ahead of it: then the
    /// timer is set without reading it again. Polled late all the same, it
    /// fires at once.
    ahead: bool,
    interrupt: Interrupt,
}

impl<'a> Sleep<'a> {
    fn new(cx: &'a Cx, due: Time, gated: bool) -> Self {
        Sleep {
            cx,
            due,
            timer: None,
            gated,
            ahead: false,
            interrupt: Interrupt::default(),
        }
    }

    fn ahead(mut self, d: Duration) -> Self {
        self.ahead = !d.is_zero();
        self
    }
}

impl Sleep<'_> {
    /// When it ends.
    pub fn deadline(&self) -> Time {
        self.due
    }

    /// Ends at `due` instead.
    pub fn reset(&mut self, due: Time) {
        self.forget();
        self.due = due;
        self.ahead = false;
    }

    fn forget(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.cx.world().timer_cancel(timer);
        }
    }
}

impl Future for Sleep<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Err(cancelled) = std::task::ready!(this.interrupt.poll(this.cx, task)) {
            this.forget();
            return Poll::Ready(Err(cancelled));
        }
        let world = this.cx.world();
        if this.timer.is_none() && this.gated {
            this.cx.require(Capability::Time)?;
        }
        if let Some(timer) = this.timer {
            if world.timer_update(timer, task.waker()) {
                return Poll::Pending;
            }
            this.timer = None;
            return Poll::Ready(Ok(()));
        }
        if !this.ahead && world.now() >= this.due {
            return Poll::Ready(Ok(()));
        }
        if this.due == Time::MAX {
            // "Never" needs no timer.
            return Poll::Pending;
        }
        this.timer = Some(world.timer_set(this.due, task.waker()));
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl DropSafe for Sleep<'_> {}
