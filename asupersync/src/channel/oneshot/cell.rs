//! The allocation that both ends of a oneshot channel share: one word of state,
//! a place for the value, and a place for a waker of each end.
//!
//! | bit        | set by   | when it                                           | cleared by   |
//! |------------|----------|---------------------------------------------------|--------------|
//! | `ENDED`    | sender   | has sent, or goes without                         | never        |
//! | `SENT`     | sender   | has sent; together with `ENDED`                   | never        |
//! | `CLOSED`   | receiver | takes no value that was not sent before           | never        |
//! | `TX_LEFT`  | sender   | will not touch the cell again                     | never        |
//! | `RX_LEFT`  | receiver | will not touch the cell again; after `ENDED` or `CLOSED` | never        |
//! | `RX_WAKER` | receiver | has left a waker for `ENDED`                      | the receiver |
//! | `TX_WAKER` | sender   | has left a waker for `CLOSED`                     | the sender   |
//! | `PROMISED` | sender   | has promised to send; nothing depends on it       | never        |
//!
//! Who may touch what:
//!
//! 1. The value's place is the sender's until `ENDED`. From `SENT` on it holds a
//!    value and is the receiver's.
//! 2. `SENT` is never set once `CLOSED` is: what the sender has put down by then
//!    it takes back.
//! 3. A waker's place belongs to the end that waits. The step that sets the bit
//!    waited for passes it to the other end, if the waker's bit was set by then,
//!    with the waker in it; the other end moves the waker out before it leaves.
//!    So a waker is woken or dropped exactly once. While the waker's bit is set
//!    nobody writes to the place, so the end that waits may compare what is there.
//! 4. Whoever sets the second of `TX_LEFT` and `RX_LEFT` frees the cell. An end
//!    that finds the other's bit set is alone, and needs no further atomic step.
//!
//! A waker is woken after its end has left the cell: a waker is anybody's code
//! and may panic.

use super::atomic::{AtomicUsize, Ordering, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::task::{Poll, Waker};

const ENDED: usize = 1;
const SENT: usize = 1 << 1;
const CLOSED: usize = 1 << 2;
const TX_LEFT: usize = 1 << 3;
const RX_LEFT: usize = 1 << 4;
const RX_WAKER: usize = 1 << 5;
const TX_WAKER: usize = 1 << 6;
const PROMISED: usize = 1 << 7;

/// How far a channel has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Whether a value is there to be received.
    pub queued: bool,
    /// Whether there is a permit: somebody has promised to send.
    pub reserved: bool,
    /// Whether the receiver waits.
    pub waiting: bool,
    /// Whether nothing can be sent any more: it was, the sender went without, or
    /// the receiver is gone or has closed.
    pub closed: bool,
}

impl Statistics {
    fn of(bits: usize) -> Self {
        let closed = bits & (ENDED | CLOSED) != 0;
        Statistics {
            queued: bits & SENT != 0,
            // One that is not wanted any more leaves without having ended.
            reserved: bits & (ENDED | TX_LEFT | PROMISED) == PROMISED,
            waiting: !closed && bits & RX_WAKER != 0,
            closed,
        }
    }
}

struct Cell<T> {
    word: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
    /// The receiver's, for `ENDED`.
    rx_bell: Bell<ENDED, RX_WAKER>,
    /// The sender's, for `CLOSED`.
    tx_bell: Bell<CLOSED, TX_WAKER>,
}

/// A place for a waker: `KEPT` says that there is one, `EVENT` what it waits for.
struct Bell<const EVENT: usize, const KEPT: usize>(UnsafeCell<MaybeUninit<Waker>>);

impl<const EVENT: usize, const KEPT: usize> Bell<EVENT, KEPT> {
    fn new() -> Self {
        Bell(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Leaves the waker; `false` when there is nothing to wait for any more.
    ///
    /// # Safety
    /// The caller is the end that waits, and `word` is this cell's.
    unsafe fn keep(&self, word: &AtomicUsize, waker: &Waker) -> bool {
        let bits = word.load(Ordering::Acquire);
        if bits & EVENT != 0 {
            return false;
        }
        if bits & KEPT != 0 {
            // SAFETY: the bit, which only we clear, says that there is a waker, and
            // nobody writes while it is set (rule 3). The other end may be moving
            // the waker out: what we look at then is a copy that is not dropped,
            // and `will_wake` follows no pointer.
            let same = self
                .0
                .with(|kept| unsafe { (*kept).assume_init_ref() }.will_wake(waker));
            if same {
                return true;
            }
            // SAFETY: as the caller promises.
            if !unsafe { self.forget(word) } {
                return false;
            }
        }
        let fresh = waker.clone();
        // SAFETY: the bit is not set, so the place is ours and empty.
        self.0.with_mut(|kept| unsafe { (*kept).write(fresh) });
        if word.fetch_or(KEPT, Ordering::AcqRel) & EVENT == 0 {
            return true;
        }
        // SAFETY: the event came before the bit was set, so the place is still ours.
        drop(unsafe { self.take() });
        false
    }

    /// Drops the waker if there is one; `false` when what it waited for has
    /// happened, so that the place may be the other end's.
    ///
    /// # Safety
    /// The caller is the end that waits, and `word` is this cell's.
    unsafe fn forget(&self, word: &AtomicUsize) -> bool {
        let mut bits = word.load(Ordering::Acquire);
        loop {
            if bits & EVENT != 0 {
                return false;
            }
            if bits & KEPT == 0 {
                return true;
            }
            match word.compare_exchange_weak(
                bits,
                bits & !KEPT,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                // SAFETY: the bit was set and nothing had happened: the place is
                // ours again, with the waker.
                Ok(_) => drop(unsafe { self.take() }),
                Err(now) => {
                    bits = now;
                    continue;
                }
            }
            return true;
        }
    }

    /// # Safety
    /// The place is the caller's and holds a waker, which nobody takes again.
    unsafe fn take(&self) -> Waker {
        // SAFETY: as the caller promises. It reads, since the end that waits may
        // be comparing at this moment.
        self.0.with(|kept| unsafe { (*kept).assume_init_read() })
    }
}

/// A cell with two ends.
pub(super) fn pair<T>() -> (Tx<T>, Rx<T>) {
    let cell = NonNull::from(Box::leak(Box::new(Cell {
        word: AtomicUsize::new(0),
        value: UnsafeCell::new(MaybeUninit::uninit()),
        rx_bell: Bell::new(),
        tx_bell: Bell::new(),
    })));
    (Tx(cell), Rx(Some(cell)))
}

/// Leaves the cell, and frees it if the other end has left.
///
/// # Safety
/// The caller's end uses the cell no more, and what was its own there is moved out.
unsafe fn leave<T>(cell: NonNull<Cell<T>>, own: usize, other: usize) {
    // SAFETY: our end has not left, so the cell is alive.
    let word = unsafe { &cell.as_ref().word };
    let alone = word.load(Ordering::Acquire) & other != 0;
    if alone || word.fetch_or(own, Ordering::AcqRel) & other != 0 {
        // SAFETY: both ends have left, and what the other did happened before.
        drop(unsafe { Box::from_raw(cell.as_ptr()) });
    }
}

/// The sender's end.
pub(super) struct Tx<T>(NonNull<Cell<T>>);

// SAFETY: an end is used by one thread at a time, except to look at the word;
// the value, which may be dropped by either end, is passed on by rules 1 and 2.
unsafe impl<T: Send> Send for Tx<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Tx<T> {}

impl<T> Tx<T> {
    /// Sends the value; it comes back if nobody will receive it.
    pub(super) fn send(self, value: T) -> Result<(), T> {
        let tx = ManuallyDrop::new(self);
        // SAFETY: this end, which does not drop itself any more, ends here.
        unsafe { end(tx.0, Some(value)) }
    }

    /// Whether a value sent now would come back.
    pub(super) fn is_closed(&self) -> bool {
        self.cell().word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Lets the other end see that a value is promised.
    pub(super) fn promise(&mut self) {
        self.cell().word.fetch_or(PROMISED, Ordering::Relaxed);
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics::of(self.cell().word.load(Ordering::Relaxed))
    }

    /// Waits until the receiver takes no value any more.
    pub(super) fn poll_closed(&mut self, waker: &Waker) -> Poll<()> {
        let cell = self.cell();
        // SAFETY: we are the end that waits here.
        if unsafe { cell.tx_bell.keep(&cell.word, waker) } {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// No longer waits.
    pub(super) fn forget_waker(&mut self) {
        let cell = self.cell();
        // SAFETY: we are the end that waits here.
        let _ = unsafe { cell.tx_bell.forget(&cell.word) };
    }

    fn cell(&self) -> &Cell<T> {
        // SAFETY: this end has not left, so the cell is alive.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Tx<T> {
    fn drop(&mut self) {
        // SAFETY: this end ends here.
        let _ = unsafe { end(self.0, None) };
    }
}

/// The sender's last act: sends, or goes without; and leaves.
///
/// # Safety
/// The cell is alive, and the caller is the sender, who uses it no more.
unsafe fn end<T>(at: NonNull<Cell<T>>, value: Option<T>) -> Result<(), T> {
    // SAFETY: as the caller promises.
    let cell = unsafe { at.as_ref() };
    // A waker is there only if a future that waited was forgotten.
    // SAFETY: we are the end that waits here.
    let _ = unsafe { cell.tx_bell.forget(&cell.word) };

    let mut outcome = ENDED;
    if let Some(value) = value {
        outcome |= SENT;
        // SAFETY: nothing has ended, so the place is ours (rule 1).
        cell.value
            .with_mut(|place| unsafe { (*place).write(value) });
    }
    let mut bits = cell.word.load(Ordering::Acquire);
    loop {
        if bits & CLOSED != 0 {
            let back = (outcome & SENT != 0).then(|| {
                // SAFETY: we have put a value down and will not set SENT (rule 2).
                cell.value
                    .with(|place| unsafe { (*place).assume_init_read() })
            });
            // SAFETY: this was the sender's last look.
            unsafe { leave(at, TX_LEFT, RX_LEFT) };
            return back.map_or(Ok(()), Err);
        }
        // With nobody to wake there is nothing further to do here, and leaving
        // costs no step of its own. The receiver is there: it has not closed.
        let woken = bits & RX_WAKER != 0;
        let next = bits | outcome | if woken { 0 } else { TX_LEFT };
        match cell
            .word
            .compare_exchange_weak(bits, next, Ordering::AcqRel, Ordering::Acquire)
        {
            Err(now) => bits = now,
            Ok(_) if !woken => return Ok(()),
            Ok(_) => {
                // SAFETY: the bit was set when we set the event, so the place is
                // ours with the waker in it (rule 3).
                let waker = unsafe { cell.rx_bell.take() };
                // SAFETY: all that was ours is moved out.
                unsafe { leave(at, TX_LEFT, RX_LEFT) };
                waker.wake();
                return Ok(());
            }
        }
    }
}

/// What a receiver finds.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Found<T> {
    /// The value; there will be no other.
    Value(T),
    /// Nothing yet.
    Nothing,
    /// Nothing, ever.
    Gone,
}

/// The receiver's end. Once nothing more can come it has left the cell.
pub(super) struct Rx<T>(Option<NonNull<Cell<T>>>);

// SAFETY: as for `Tx`.
unsafe impl<T: Send> Send for Rx<T> {}
// SAFETY: as for `Tx`.
unsafe impl<T: Send> Sync for Rx<T> {}

impl<T> Rx<T> {
    /// Takes the value if it is there.
    pub(super) fn try_recv(&mut self) -> Found<T> {
        let Some(at) = self.0 else {
            return Found::Gone;
        };
        // SAFETY: this end has not left, so the cell is alive.
        let cell = unsafe { at.as_ref() };
        let bits = cell.word.load(Ordering::Acquire);
        if bits & (ENDED | CLOSED) == 0 {
            return Found::Nothing;
        }
        if bits & ENDED == 0 {
            self.forget_waker();
        }
        self.0 = None;
        let found = if bits & SENT != 0 {
            // SAFETY: the place is ours with the value in it (rule 1); having left, we
            // do not come here again.
            Found::Value(
                cell.value
                    .with(|place| unsafe { (*place).assume_init_read() }),
            )
        } else {
            Found::Gone
        };
        // SAFETY: the value is moved out, and a waker of ours is the sender's.
        unsafe { leave(at, RX_LEFT, TX_LEFT) };
        found
    }

    /// Receives or waits.
    pub(super) fn poll_recv(&mut self, waker: &Waker) -> Poll<Option<T>> {
        loop {
            match self.try_recv() {
                Found::Value(value) => return Poll::Ready(Some(value)),
                Found::Gone => return Poll::Ready(None),
                Found::Nothing => {}
            }
            let cell = self.cell().expect("who found nothing yet has not left");
            // SAFETY: we are the end that waits here.
            if unsafe { cell.rx_bell.keep(&cell.word, waker) } {
                return Poll::Pending;
            }
        }
    }

    /// No longer waits.
    pub(super) fn forget_waker(&mut self) {
        if let Some(cell) = self.cell() {
            // SAFETY: we are the end that waits here.
            let _ = unsafe { cell.rx_bell.forget(&cell.word) };
        }
    }

    /// Takes no value that was not sent before.
    pub(super) fn close(&mut self) {
        self.shut().into_iter().for_each(Waker::wake);
    }

    /// Closes, and hands out the sender's waker if it waits for that.
    fn shut(&mut self) -> Option<Waker> {
        let cell = self.cell()?;
        let bits = cell.word.fetch_or(CLOSED, Ordering::AcqRel);
        let waits = bits & CLOSED == 0 && bits & TX_WAKER != 0;
        // SAFETY: the bit was set when we set the event, so the place is ours
        // with the waker in it (rule 3).
        waits.then(|| unsafe { cell.tx_bell.take() })
    }

    /// Whether it has found all that there is to find.
    pub(super) fn has_left(&self) -> bool {
        self.0.is_none()
    }

    /// That of a channel that is over once this end has left.
    pub(super) fn statistics(&self) -> Statistics {
        let cell = self.cell();
        Statistics::of(cell.map_or(ENDED, |cell| cell.word.load(Ordering::Relaxed)))
    }

    fn cell(&self) -> Option<&Cell<T>> {
        // SAFETY: this end has not left, so the cell is alive.
        self.0.as_ref().map(|at| unsafe { at.as_ref() })
    }
}

impl<T> Drop for Rx<T> {
    fn drop(&mut self) {
        let watcher = self.shut();
        // With the channel closed there is an answer now, and with it we leave.
        let unreceived = self.try_recv();
        // Both are anybody's code; the sender is told first.
        watcher.into_iter().for_each(Waker::wake);
        drop(unreceived);
    }
}
