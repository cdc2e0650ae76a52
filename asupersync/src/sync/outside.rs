//! Permits for threads that run no task.

use super::gate::Gate;
use crate::exec::outside;
use crate::wait::{Refusal, Ticket};

/// Takes `want` permits; the thread blocks in the line of the tasks until they are granted.
///
/// # Panics
/// Inside of a task, and where nobody would be left to give any back.
#[track_caller]
pub(super) fn acquire(gate: &Gate, want: usize) -> Result<(), Refusal> {
    outside::check();
    match gate.permits().try_acquire(want) {
        Err(Refusal::Taken) => {}
        answer => return answer,
    }
    let mut place = Place {
        gate,
        want,
        ticket: None,
    };
    outside::block(|task| {
        let ticket = &mut place.ticket;
        gate.permits().poll_acquire(want, ticket, task.waker())
    })
}

/// A place in line, left if the thread may not wait in it.
struct Place<'a> {
    gate: &'a Gate,
    want: usize,
    ticket: Option<Ticket>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.gate.leave(self.want, ticket);
        }
    }
}
