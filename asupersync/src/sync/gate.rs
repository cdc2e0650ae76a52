//! What locks, semaphores and pools share: permits, who holds one, and the
//! future that waits for some.
//!
//! A [`Gate`] knows the task that took permits last. That is all inheritance
//! needs where one permit is wanted: if none is free, whoever took the last one
//! still has it. A writer that waits for several readers lends to the last of
//! them only.
//!
//! The holder is an address without a reference. Rule: a holder wipes its own
//! address before it gives its permit back, and until after that something keeps
//! its task in place, a [`Hold`] or the promise of a lease; while somebody is in line, giving back takes the lock of the line; so
//! an address found under that lock belongs to a live task.

use crate::cx::{Cx, Interrupt};
use crate::exec::lending::{Loan, Urgency, address, upgrade};
use crate::exec::obligation::Hold;
use crate::exec::task::TaskRef;
use crate::types::cancel::Cancelled;
use crate::wait::{Permits, Statistics, Ticket};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Permits, and the task that took some last.
pub(super) struct Gate {
    permits: Permits,
    holder: AtomicPtr<()>,
    /// Made when somebody urgent first waits.
    lending: OnceLock<Box<Lending>>,
}

/// What the urgent waiters of one gate have lent.
#[derive(Default)]
struct Lending {
    /// Whether somebody urgent waits.
    active: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    urgent: usize,
    /// The most urgent there was since the last time nobody was.
    urgency: Option<Urgency>,
    loans: Vec<Loan>,
}

impl Gate {
    pub(super) const fn new(free: usize) -> Self {
        Gate {
            permits: Permits::new(free),
            holder: AtomicPtr::new(std::ptr::null_mut()),
            lending: OnceLock::new(),
        }
    }

    pub(super) fn permits(&self) -> &Permits {
        &self.permits
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.permits.statistics()
    }

    /// `task` has taken permits, and stays in place until it gives them back.
    #[inline]
    pub(super) fn taken_by(&self, task: &TaskRef) {
        // Release: whoever finds the address finds the task behind it.
        self.holder.store(address(task), Ordering::Release);
    }

    /// `task` has what others held until now, and who is urgent waits for it.
    pub(super) fn passed_to(&self, task: &TaskRef) {
        self.taken_by(task);
        if let Some(lending) = self.lending() {
            lending.lend(task.clone());
        }
    }

    /// Gives `n` permits back that `task` took, if a task did.
    #[inline]
    pub(super) fn release(&self, n: usize, task: Option<&TaskRef>) {
        if let Some(task) = task {
            self.let_go(task);
        }
        self.add(n);
    }

    /// As [`Gate::release`], if nobody waits; otherwise `false`, and that is to be called.
    #[inline(always)]
    pub(super) fn release_at_once(&self, n: usize, task: &TaskRef) -> bool {
        if self.lending().is_some() {
            return false;
        }
        self.wipe(task);
        self.permits.try_release(n)
    }

    #[inline(always)]
    fn wipe(&self, task: &TaskRef) {
        // Not an exchange: if another task takes a permit in between, wiping it
        // costs that task a loan at worst.
        if self.holder.load(Ordering::Relaxed) == address(task) {
            self.holder.store(std::ptr::null_mut(), Ordering::Relaxed);
        }
    }

    /// `task` holds nothing here any more.
    pub(super) fn let_go(&self, task: &TaskRef) {
        self.wipe(task);
        if let Some(lending) = self.lending() {
            lending.end(task);
        }
    }

    /// Adds permits that nobody holds.
    pub(super) fn add(&self, n: usize) {
        self.permits.release(n, |waker| self.wake(waker));
    }

    pub(super) fn close(&self) {
        self.permits.close(crate::exec::wake);
    }

    /// Leaves the line; what was granted goes to the next.
    pub(super) fn leave(&self, want: usize, ticket: Ticket) {
        self.permits
            .withdraw(want, ticket, |waker| self.wake(waker));
    }

    /// Wakes a waiter that was granted what it waits for.
    fn wake(&self, waker: Waker) {
        if let Some(lending) = self.lending() {
            // It is the holder already, though it does not know yet.
            TaskRef::of_waker(&waker)
                .into_iter()
                .for_each(|task| lending.lend(task));
        }
        crate::exec::wake(waker);
    }

    #[inline(always)]
    fn lending(&self) -> Option<&Lending> {
        let lending = self.lending.get()?;
        lending.active.load(Ordering::Relaxed).then_some(lending)
    }

    /// A waiter in line is urgent: whoever holds what it waits for is urgent too.
    #[cold]
    fn urge(&self, urgency: Urgency, first: bool) {
        let lending = self.lending.get_or_init(Box::default);
        lending.add(urgency, first);
        self.holder()
            .into_iter()
            .for_each(|task| lending.lend(task));
    }

    /// Who took permits last and still has them; known while somebody is in line.
    pub(super) fn holder(&self) -> Option<TaskRef> {
        let holder = self.permits.while_held(|| {
            let holder = self.holder.load(Ordering::Acquire);
            // SAFETY: somebody is in line and its lock is held, see the rule above.
            unsafe { upgrade(holder) }
        });
        holder.flatten()
    }
}

impl Lending {
    fn add(&self, urgency: Urgency, first: bool) {
        let mut book = self.book();
        book.urgent += usize::from(first);
        book.urgency = Some(book.urgency.map_or(urgency, |known| known.max(urgency)));
        self.active.store(true, Ordering::Relaxed);
    }

    fn lend(&self, task: TaskRef) {
        let urgency = {
            let book = self.book();
            match book.urgency {
                Some(urgency) if !book.loans.iter().any(|loan| loan.is_to(&task)) => urgency,
                _ => return,
            }
        };
        let Some(loan) = Loan::to(task, urgency) else {
            return;
        };
        let mut book = self.book();
        if book.urgency.is_some() {
            book.loans.push(loan);
        }
    }

    /// `task` has let go.
    #[cold]
    fn end(&self, task: &TaskRef) {
        let ended = {
            let mut book = self.book();
            let place = book.loans.iter().position(|loan| loan.is_to(task));
            place.map(|place| book.loans.swap_remove(place))
        };
        drop(ended);
    }

    /// An urgent waiter waits no more.
    #[cold]
    fn remove(&self) {
        let ended = {
            let mut book = self.book();
            book.urgent -= 1;
            if book.urgent > 0 {
                return;
            }
            self.active.store(false, Ordering::Relaxed);
            book.urgency = None;
            std::mem::take(&mut book.loans)
        };
        drop(ended);
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has a gate.
pub(super) trait Gated {
    fn gate(&self) -> &Gate;
}

/// Why a claim was not granted.
pub(super) enum Denied {
    Cancelled(Cancelled),
    Closed,
}

/// A wait for `want` permits of `of`.
///
/// Dropped or cancelled, it leaves the line wherever it stands, and what it was
/// granted and never used goes to the next.
pub(super) struct Claim<'a, P: Deref<Target: Gated>> {
    of: P,
    cx: &'a Cx,
    want: usize,
    ticket: Option<Ticket>,
    /// Whether it counts as urgent.
    urgent: bool,
    /// Dropped by hand, so that a claim granted at once goes by one test.
    interrupt: ManuallyDrop<Interrupt>,
}

impl<'a, P: Deref<Target: Gated>> Claim<'a, P> {
    #[inline]
    pub(super) fn new(of: P, cx: &'a Cx, want: usize) -> Self {
        Claim {
            of,
            cx,
            want,
            ticket: None,
            urgent: false,
            interrupt: ManuallyDrop::default(),
        }
    }

    pub(super) fn of(&self) -> &P {
        &self.of
    }

    pub(super) fn want(&self) -> usize {
        self.want
    }

    pub(super) fn cx(&self) -> &'a Cx {
        self.cx
    }

    /// Granted, the permits are the caller's.
    ///
    /// Part of whatever waits: a permit that is returned through memory, and read
    /// there in larger pieces than it was written in, waits for the writes.
    #[inline(always)]
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Denied>> {
        let at_once = self.ticket.is_none()
            && self.interrupt.lets_pass(self.cx, task)
            && self.of.gate().permits.try_acquire(self.want).is_ok();
        if at_once {
            Poll::Ready(Ok(()))
        } else {
            self.poll_further(task)
        }
    }

    #[inline(never)]
    fn poll_further(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Denied>> {
        if let Err(cancelled) = ready!(self.interrupt.poll(self.cx, task)) {
            self.withdraw();
            return Poll::Ready(Err(Denied::Cancelled(cancelled)));
        }
        self.poll_line(task)
    }

    fn poll_line(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Denied>> {
        let gate = self.of.gate();
        let waker = task.waker();
        let Poll::Ready(granted) = gate
            .permits
            .poll_acquire(self.want, &mut self.ticket, waker)
        else {
            if let Some(urgency) = self.cx.task_ref().urgency() {
                let first = !std::mem::replace(&mut self.urgent, true);
                gate.urge(urgency, first);
            }
            return Poll::Pending;
        };
        self.calm();
        // Whoever is urgent behind us waits for us now.
        if let (Ok(()), Some(lending)) = (granted, self.of.gate().lending()) {
            lending.lend(self.cx.task_ref().clone());
        }
        Poll::Ready(granted.map_err(|_| Denied::Closed))
    }

    /// Is no urgent waiter any more.
    fn calm(&mut self) {
        if std::mem::take(&mut self.urgent)
            && let Some(lending) = self.of.gate().lending.get()
        {
            lending.remove();
        }
    }

    #[cold]
    fn end(&mut self) {
        self.withdraw();
        self.interrupt.forget();
    }

    fn withdraw(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        self.calm();
        let gate = self.of.gate();
        gate.leave(self.want, ticket);
        // A loan made to us at the moment of our grant.
        if let Some(lending) = gate.lending() {
            lending.end(self.cx.task_ref());
        }
    }
}

impl<P: Deref<Target: Gated>> Drop for Claim<'_, P> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.ticket.is_some() || self.interrupt.is_listening() {
            self.end();
        }
    }
}

/// A task that holds permits of a gate: it stays in place for as long as it does.
/// Whoever has one [releases](Holder::release) it.
///
/// `None` for who took them without a context.
#[derive(Debug)]
pub(super) struct Holder {
    /// Ended by hand: see [`Hold::end_at_once`].
    hold: Option<ManuallyDrop<Hold>>,
    /// Whether it was unwinding already: then a panic under the lock is an older one.
    ///
    /// A word, as all that it stands beside is: see [`Hold`].
    unwinding: usize,
}

impl Holder {
    #[inline(always)]
    pub(super) fn new(gate: &Gate, cx: Option<&Cx>) -> Self {
        let hold = cx.map(|cx| ManuallyDrop::new(Hold::new(cx.task_ref())));
        if let Some(hold) = &hold {
            gate.taken_by(hold.holder());
        }
        Holder {
            hold,
            unwinding: usize::from(std::thread::panicking()),
        }
    }

    /// As [`Holder::release`], if there is nothing else to do and no panic;
    /// otherwise `false`, and that is to be called.
    #[inline(always)]
    pub(super) fn release_at_once(&self, gate: &Gate, n: usize) -> bool {
        match &self.hold {
            Some(hold) if !std::thread::panicking() => {
                Hold::end_at_once(hold, |task| gate.release_at_once(n, task))
            }
            _ => false,
        }
    }

    /// Gives `n` permits back; the holder holds nothing any more.
    #[inline]
    pub(super) fn release(&mut self, gate: &Gate, n: usize) {
        let hold = self.hold.take().map(ManuallyDrop::into_inner);
        gate.release(n, hold.as_ref().map(Hold::holder));
    }

    /// Whether a panic began while it held.
    #[inline(always)]
    pub(super) fn panicked(&self) -> bool {
        std::thread::panicking() && self.unwinding == 0
    }
}
