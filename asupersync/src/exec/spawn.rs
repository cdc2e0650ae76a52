//! Admission of tasks: one allocation, one visit to the region's lock.

use super::cell::{Settle, Typed};
use super::region::{Child, RegionCell};
use super::task::{Control, Head, TaskRef};
use super::{cancel, state};
use crate::kernel::region::{Refused, Role};
use crate::types::budget::Budget;
use crate::types::cancel::CancelReason;
use crate::types::event::Event;
use crate::types::policy::Name;
use crate::types::time::Time;
use crate::world::runnable::Header;
use crate::world::{Hint, Home};
use std::future::Future;
use std::ptr::NonNull;
use std::sync::Arc;

/// What a newcomer is.
#[derive(Default)]
pub(crate) struct Admission {
    pub(crate) name: Name,
    pub(crate) daemon: bool,
    pub(crate) budget: Budget,
    /// Its future guards code that cannot be dropped.
    pub(crate) pinned: bool,
    /// Where it is polled; means something only if its outputs are settled as local.
    pub(crate) home: Home,
    /// It belongs to the runtime: admitted in any state, nobody's failure.
    driver: bool,
}

impl Admission {
    pub(crate) fn driver() -> Self {
        Admission {
            driver: true,
            ..Admission::default()
        }
    }
}

/// Admits a task and enqueues it. The reference returned is the handle's; the
/// caller turns it into a handle or gives it up with [`release_handle`].
pub(crate) fn admit<F, Fut, C>(
    region: &Arc<RegionCell>,
    body: F,
    admission: Admission,
) -> Result<TaskRef, Refused>
where
    F: FnOnce(TaskRef) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    C: Settle<Fut::Output>,
{
    let driver = admission.driver;
    let mut bits = state::BIRTH;
    if admission.daemon {
        bits |= state::DAEMON;
    }
    if admission.pinned {
        bits |= state::PINNED;
    }
    if driver {
        bits |= state::DRIVER;
    }
    if region.tree.records {
        bits |= state::RECORDS;
    }
    let deadline = admission
        .budget
        .deadline
        .filter(|own| region.budget.deadline.is_none_or(|at| *own < at));
    if deadline.or(region.budget.deadline).is_some() {
        bits |= state::TIMED;
    }
    // The quota of a region binds each of its tasks separately; its cost quota is a pool.
    let own = Budget {
        deadline,
        poll_quota: region.budget.poll_quota.min(admission.budget.poll_quota),
        ..admission.budget
    };
    let mut control = None;
    if !driver && (!admission.name.is_none() || own.limits()) {
        let mut c = Box::<Control>::default();
        c.name = admission.name;
        c.deadline = deadline;
        c.record.poll_quota = own.poll_quota;
        c.record.cost_quota = own.cost_quota;
        if own.poll_quota != u32::MAX {
            bits |= state::METERED;
        }
        control = Some(c);
        bits |= state::CONTROL;
    }
    let header = Typed::<F, Fut, C, false>::allocate();
    let vtable = Typed::<F, Fut, C, false>::VTABLE;
    let head = Head::new(bits, vtable, region.clone(), admission.home, control);
    // SAFETY: the room is new.
    unsafe { Typed::<F, Fut, C, false>::fill(header, head, body) };
    let role = if admission.daemon {
        Role::Daemon
    } else {
        Role::Foreground
    };
    let seated = {
        let (mut ledger, id) = region.with_task_id();
        let admitted = if driver {
            ledger.record.admit_driver();
            Ok(())
        } else if admission.pinned {
            ledger.record.admit_blocking(role)
        } else {
            ledger.record.admit_task(role)
        };
        if admitted.is_err() {
            ledger.spare.task_unused(id);
        }
        admitted.map(|()| {
            // SAFETY: this is one of the three references of birth.
            let seat = ledger
                .children
                .take(Child::Task(unsafe { TaskRef::from_raw(header) }));
            // SAFETY: whoever finds the task in its seat needs the lock we hold,
            // so nobody else looks at the head yet.
            let head = unsafe { header.cast::<Head>().as_mut() };
            head.header.id = id;
            head.seat = seat;
        })
    };
    if let Err(refused) = seated {
        // SAFETY: nobody else knows the cell, so its three references are all ours.
        unsafe { discard_unborn(header) };
        return Err(refused);
    }
    // SAFETY: the other two references of birth: the Runnable's and the handle's.
    let (runnable, handle) = unsafe { (TaskRef::from_raw(header), TaskRef::from_raw(header)) };
    handle.emit(|| Event::TaskSpawned {
        task: handle.id(),
        region: region.id,
    });
    if own.limits() && !driver {
        let now = deadline.map_or(Time::ZERO, |_| region.tree.world.now());
        match (own.spent(now), deadline) {
            // Before it is enqueued, so that it ends without being polled.
            (Some(kind), _) => cancel::cancel_task(&handle, CancelReason::new(kind)),
            (None, Some(deadline)) => cancel::arm_task(&handle, deadline),
            (None, None) => {}
        }
    }
    runnable.enqueue(Hint::Spawned);
    Ok(handle)
}

/// Drops a cell that was refused, body included.
///
/// # Safety
/// The caller owns all references of birth.
unsafe fn discard_unborn(header: NonNull<Header>) {
    for _ in 0..3 {
        // SAFETY: one of the three references.
        drop(unsafe { TaskRef::from_raw(header) });
    }
}

/// Gives up the handle's claim to the outcome, and its reference.
pub(crate) fn release_handle(task: TaskRef) {
    if state::abandon_handle(&task.head().header.state) {
        std::mem::forget(task);
        return;
    }
    // SAFETY: complete with HANDLE set: the outcome is ours.
    unsafe { (task.head().header.vtable.discard)(task.as_raw()) };
}
