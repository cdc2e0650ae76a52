//! A number of permits and the line of those who wait for some: what locks and
//! semaphores are made of.
//!
//! The number stands in one atomic word, so that taking and giving back is one
//! step while nobody waits:
//!
//! | bits      | say                                            |
//! |-----------|------------------------------------------------|
//! | `CLOSED`  | nothing is given out any more; never cleared   |
//! | `WAITED`  | somebody is in line                            |
//! | the rest  | permits that are free                          |
//!
//! Rules:
//!
//! 1. while nobody holds the lock of the line, `WAITED` says whether it is empty;
//! 2. while `WAITED` is set, whoever changes the number holds that lock: so a
//!    newcomer cannot pass the line, and a permit given back is not missed by
//!    one who is about to join it;
//! 3. whoever unlocks an open line leaves it with a first waiter that wants
//!    more than is free. Between two batches of wakes the line may be unlocked
//!    earlier: `WAITED` still keeps newcomers behind;
//! 4. permits are granted in full, to the first in line, and belong to it from
//!    then on, polled or not: one that leaves after its grant gives them back;
//! 5. what was done under the lock while `WAITED` was set happens before whatever
//!    follows a later release, also one that takes no lock any more. So who gives
//!    a permit back may go away, though waiters looked for it under the lock.

use super::atomic::{AtomicUsize, Mutex, MutexGuard, Ordering, lock};
use super::{After, Left, Ticket, Turn, WaitQueue};
use std::task::{Poll, Waker};

const CLOSED: usize = 1;
const WAITED: usize = 1 << 1;
const SHIFT: u32 = 2;

/// Wakers taken out of the line under one lock: enough that a full release of a
/// read-write lock takes few rounds, few enough to live on the stack.
const BATCH: usize = 16;

/// Permits, free or wanted.
pub(crate) struct Permits {
    word: AtomicUsize,
    /// Who waits, and for how many.
    line: Mutex<WaitQueue<usize>>,
}

/// Why nothing was given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// Not that many are free, or somebody is in line.
    Taken,
    /// Nothing is given out any more.
    Closed,
}

/// What a waiter finds under the lock.
enum Step {
    Granted,
    Queued,
    /// It has to bring a waker of its own.
    NeedsWaker,
    Closed(After),
}

impl Permits {
    /// The largest number of permits.
    pub(crate) const MAX: usize = usize::MAX >> (SHIFT + 1);

    /// Of its parts: [`Permits::word`], and an empty line.
    pub(crate) const fn of(word: AtomicUsize, line: Mutex<WaitQueue<usize>>) -> Self {
        Permits { word, line }
    }

    /// The word that says that `free` permits are there.
    pub(crate) const fn word(free: usize) -> usize {
        assert!(free <= Permits::MAX, "more permits than can be counted");
        free << SHIFT
    }

    /// Takes `n` permits if they are free and nobody is in line.
    #[inline]
    pub(crate) fn try_acquire(&self, n: usize) -> Result<(), Refusal> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            if word & WAITED != 0 || word >> SHIFT < n {
                return Err(Refusal::Taken);
            }
            match self.word.compare_exchange_weak(
                word,
                word - (n << SHIFT),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Waits in line for `n` permits; `Err` when nothing is given out any more.
    /// The ticket is there while it waits.
    pub(crate) fn poll_acquire(
        &self,
        n: usize,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
    ) -> Poll<Result<(), Refusal>> {
        // Cloning is a callback: before the lock, and dropped after it.
        let mut fresh = ticket.is_none().then(|| waker.clone());
        loop {
            let step = self.step(n, ticket, waker, &mut fresh);
            match step {
                Step::Granted => return Poll::Ready(Ok(())),
                Step::Queued => return Poll::Pending,
                Step::NeedsWaker => fresh = Some(waker.clone()),
                Step::Closed(after) => {
                    after.run();
                    return Poll::Ready(Err(Refusal::Closed));
                }
            }
        }
    }

    fn step(
        &self,
        n: usize,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Step {
        let mut line = self.lock();
        let Some(place) = ticket.take() else {
            return match self.announce(n) {
                Ok(()) => Step::Granted,
                Err(Refusal::Closed) => Step::Closed(After::Nothing),
                Err(Refusal::Taken) => {
                    let waker = fresh.take().expect("a newcomer brings its waker");
                    *ticket = Some(line.push(waker, n));
                    Step::Queued
                }
            };
        };
        let place = match line.poll(place, waker) {
            Turn::Granted => return Step::Granted,
            Turn::Queued(place) | Turn::Rebind(place) if self.is_closed() => {
                let Left::Queued(waker) = line.leave(place) else {
                    unreachable!("it is in line");
                };
                self.thin(&line);
                return Step::Closed(After::drop(waker));
            }
            Turn::Queued(place) => place,
            Turn::Rebind(place) => {
                let Some(waker) = fresh.take() else {
                    *ticket = Some(place);
                    return Step::NeedsWaker;
                };
                *fresh = line.update(&place, waker);
                place
            }
        };
        *ticket = Some(place);
        Step::Queued
    }

    /// Takes `n` permits, or sets `WAITED` for a newcomer that joins the line
    /// under the lock it holds.
    fn announce(&self, n: usize) -> Result<(), Refusal> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            if word & WAITED != 0 {
                return Err(Refusal::Taken);
            }
            let (next, answer) = if word >> SHIFT >= n {
                (word - (n << SHIFT), Ok(()))
            } else {
                (word | WAITED, Err(Refusal::Taken))
            };
            // Acquire: what was done with permits that came back so far has happened.
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return answer,
                Err(now) => word = now,
            }
        }
    }

    /// Gives `n` permits back, or adds them. `wake` is called with no lock held,
    /// for each that was granted some.
    ///
    /// # Panics
    /// When there would be more than [`Permits::MAX`].
    #[inline]
    pub(crate) fn release(&self, n: usize, wake: impl FnMut(Waker)) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WAITED == 0 {
            let next = more(word, n);
            // Acquire: rule 5.
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.release_in_line(n, wake);
    }

    #[cold]
    fn release_in_line(&self, n: usize, wake: impl FnMut(Waker)) {
        let line = self.lock();
        self.put(n);
        self.grant(line, wake);
    }

    /// Leaves the line; what was granted is given back, as in [`Permits::release`].
    pub(crate) fn withdraw(&self, n: usize, ticket: Ticket, wake: impl FnMut(Waker)) {
        let mut line = self.lock();
        let waker = match line.leave(ticket) {
            Left::Queued(waker) => waker,
            Left::Granted => {
                self.put(n);
                None
            }
        };
        // Whoever stood behind may want less than it did.
        self.grant(line, wake);
        drop(waker);
    }

    /// Grants to the first in line for as long as enough is free, and wakes.
    fn grant<'a>(
        &'a self,
        mut line: MutexGuard<'a, WaitQueue<usize>>,
        mut wake: impl FnMut(Waker),
    ) {
        loop {
            let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let mut free = batch.iter_mut();
            let full = loop {
                let word = self.word.load(Ordering::Relaxed);
                match line.front() {
                    Some(n) if word & CLOSED == 0 && word >> SHIFT >= *n => {
                        let Some(place) = free.next() else {
                            break true;
                        };
                        self.word.fetch_sub(n << SHIFT, Ordering::Relaxed);
                        *place = line.grant_front();
                    }
                    _ => break false,
                }
            };
            self.thin(&line);
            drop(line);
            batch.into_iter().flatten().for_each(&mut wake);
            if !full {
                return;
            }
            line = self.lock();
        }
    }

    /// Takes `WAITED` back if the line has become empty.
    fn thin(&self, line: &WaitQueue<usize>) {
        if line.is_empty() {
            // Release: see rule 5.
            self.word.fetch_and(!WAITED, Ordering::Release);
        }
    }

    fn put(&self, n: usize) {
        let word = self.word.load(Ordering::Relaxed);
        let _ = more(word, n);
        self.word.fetch_add(n << SHIFT, Ordering::Release);
    }

    /// Gives nothing out any more, and wakes everyone in line.
    pub(crate) fn close(&self, wake: impl FnMut(Waker)) {
        let mut wakers = Vec::new();
        {
            let mut line = self.lock();
            self.word.fetch_or(CLOSED, Ordering::Release);
            line.take_wakers(&mut wakers);
        }
        wakers.into_iter().for_each(wake);
    }

    /// Takes up to `n` free permits away; tells how many.
    pub(crate) fn forget(&self, n: usize) -> usize {
        // Free permits are not what the line waits for: there are too few of them.
        let _line = self.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let taken = n.min(word >> SHIFT);
            match self.word.compare_exchange_weak(
                word,
                word - (taken << SHIFT),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return taken,
                Err(now) => word = now,
            }
        }
    }

    /// Runs `f` while nobody can give a permit back: somebody must be in line,
    /// or nothing happens. `f` is bounded and calls nobody.
    pub(crate) fn while_held<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        let line = self.lock();
        (!line.is_empty()).then(f)
    }

    pub(crate) fn free(&self) -> usize {
        self.word.load(Ordering::Relaxed) >> SHIFT
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// How busy the line is.
    pub(crate) fn statistics(&self) -> super::Statistics {
        self.lock().statistics()
    }

    fn lock(&self) -> MutexGuard<'_, WaitQueue<usize>> {
        lock(&self.line)
    }
}

/// The word with `n` more permits.
#[inline]
fn more(word: usize, n: usize) -> usize {
    let free = (word >> SHIFT).checked_add(n);
    assert!(
        free.is_some_and(|free| free <= Permits::MAX),
        "more permits than can be counted"
    );
    word + (n << SHIFT)
}
