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
//! 2. while `WAITED` is set, whoever changes the number holds that lock, and so
//!    may do it by a plain store: a newcomer cannot pass the line, and a permit
//!    given back is not missed by one who is about to join it;
//! 3. whoever unlocks an open line leaves it with a first waiter that wants
//!    more than is free. Between two batches of wakes the line may be unlocked
//!    earlier: `WAITED` still keeps newcomers behind;
//! 4. permits are granted in full, to the first in line, and belong to it from
//!    then on, polled or not: one that leaves after its grant gives them back;
//! 5. what was done under the lock while `WAITED` was set happens before whatever
//!    follows a later release, also one that takes no lock any more. So who gives
//!    a permit back may go away, though waiters looked for it under the lock;
//! 6. whoever is granted is dismissed, so those whose number is not above that of
//!    the last are granted, or have left: a waiter that is woken needs no lock to
//!    find that out.

use super::atomic::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, lock};
use super::{After, Left, Look, Ticket, WaitQueue};
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
    /// The number of the waiter that was granted last.
    granted: AtomicU64,
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

impl Permits {
    /// The largest number of permits: three times that many can be counted.
    pub(crate) const MAX: usize = usize::MAX >> (SHIFT + 1);

    /// Of its parts: [`Permits::word`], zero, and an empty line.
    pub(crate) const fn of(
        word: AtomicUsize,
        granted: AtomicU64,
        line: Mutex<WaitQueue<usize>>,
    ) -> Self {
        Permits {
            word,
            granted,
            line,
        }
    }

    /// The word that says that `free` permits are there.
    pub(crate) const fn word(free: usize) -> usize {
        assert!(free <= Permits::MAX, "more permits than can be counted");
        free << SHIFT
    }

    /// Takes `n` permits if they are free and nobody is in line.
    #[inline(always)]
    pub(crate) fn try_acquire(&self, n: usize) -> Result<(), Refusal> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (CLOSED | WAITED) == 0 && word >> SHIFT >= n {
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
        Err(refusal(word))
    }

    /// Waits in line for `n` permits; `Err` when nothing is given out any more.
    /// The ticket is there while it waits.
    pub(crate) fn poll_acquire(
        &self,
        n: usize,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
    ) -> Poll<Result<(), Refusal>> {
        match ticket {
            None => self.join(n, ticket, waker),
            // Acquire: what was done with the permits before has happened.
            Some(place) if place.number() <= self.granted.load(Ordering::Acquire) => {
                *ticket = None;
                Poll::Ready(Ok(()))
            }
            Some(_) => self.look(ticket, waker),
        }
    }

    /// Takes `n` permits, or joins the line.
    fn join(
        &self,
        n: usize,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
    ) -> Poll<Result<(), Refusal>> {
        // Cloning is a callback: before the lock, and dropped after it.
        let waker = waker.clone();
        let mut line = self.lock();
        let answer = self.announce(n);
        if let Err(Refusal::Taken) = answer {
            *ticket = Some(line.push(waker, n));
            return Poll::Pending;
        }
        drop(line);
        drop(waker);
        Poll::Ready(answer)
    }

    /// Looks how it stands with one who was in line.
    #[inline(never)]
    fn look(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> Poll<Result<(), Refusal>> {
        let mut fresh = None;
        loop {
            let mut line = self.lock();
            if let Some(place) = ticket.take_if(|_| self.is_closed()) {
                let Left::Queued(waker) = line.leave(place) else {
                    return Poll::Ready(Ok(()));
                };
                self.thin(&line);
                drop(line);
                After::drop(waker).run();
                return Poll::Ready(Err(Refusal::Closed));
            }
            let look = line.look(ticket, waker, &mut fresh);
            drop(line);
            match look {
                Look::Granted => return Poll::Ready(Ok(())),
                Look::Queued => return Poll::Pending,
                Look::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
    }

    /// Takes `n` permits, or sets `WAITED` for a newcomer that joins the line
    /// under the lock it holds.
    fn announce(&self, n: usize) -> Result<(), Refusal> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & (CLOSED | WAITED) != 0 {
                return Err(refusal(word));
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
    pub(crate) fn release(&self, n: usize, wake: impl FnMut(Waker)) {
        assert!(n <= Permits::MAX, "more permits than can be counted");
        if !self.try_release(n) {
            self.release_in_line(n, wake);
        }
    }

    /// Gives `n` permits back that were taken, unless somebody is in line. `false`
    /// leaves it to [`Permits::release`], too many of them too.
    #[inline(always)]
    pub(crate) fn try_release(&self, n: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let next = word.wrapping_add(n << SHIFT);
            if word & WAITED != 0 || next >> SHIFT > Permits::MAX {
                return false;
            }
            // Acquire: rule 5.
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    #[inline(never)]
    fn release_in_line(&self, n: usize, wake: impl FnMut(Waker)) {
        let line = self.lock();
        if line.is_empty() {
            // By now: rule 2 does not hold.
            let word = self.word.load(Ordering::Relaxed);
            let _ = more(word, n);
            self.word.fetch_add(n << SHIFT, Ordering::Release);
        } else {
            self.grant(line, n, wake);
        }
    }

    /// Leaves the line; what was granted is given back, as in [`Permits::release`].
    pub(crate) fn withdraw(&self, n: usize, ticket: Ticket, wake: impl FnMut(Waker)) {
        let mut line = self.lock();
        match line.leave(ticket) {
            Left::Granted => {
                drop(line);
                self.release(n, wake);
            }
            Left::Queued(waker) => {
                // Whoever stood behind may want less than it did.
                self.grant(line, 0, wake);
                drop(waker);
            }
        }
    }

    /// Gives `n` permits back under the lock of the line, with `WAITED` set,
    /// grants to the first in line for as long as enough is free, and wakes.
    fn grant<'a>(
        &'a self,
        mut line: MutexGuard<'a, WaitQueue<usize>>,
        n: usize,
        mut wake: impl FnMut(Waker),
    ) {
        let word = more(self.word.load(Ordering::Relaxed), n);
        let (word, first) = self.grant_front(&mut line, word);
        if is_due(&line, word) {
            self.word.store(word, Ordering::Release);
            self.grant_more(line, first, wake);
            return;
        }
        self.put(&line, word);
        drop(line);
        first.into_iter().for_each(&mut wake);
    }

    /// Goes on with it, when one was granted and the next is due.
    #[inline(never)]
    fn grant_more<'a>(
        &'a self,
        mut line: MutexGuard<'a, WaitQueue<usize>>,
        mut first: Option<Waker>,
        mut wake: impl FnMut(Waker),
    ) {
        loop {
            let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
            batch[0] = first.take();
            let mut word = self.word.load(Ordering::Relaxed);
            for place in &mut batch[1..] {
                (word, *place) = self.grant_front(&mut line, word);
            }
            let more = is_due(&line, word);
            self.put(&line, word);
            drop(line);
            batch.into_iter().flatten().for_each(&mut wake);
            if !more {
                return;
            }
            line = self.lock();
            if line.is_empty() {
                return;
            }
        }
    }

    /// Grants to the first in line, if enough is free; the word is the caller's to store.
    #[inline]
    fn grant_front(&self, line: &mut WaitQueue<usize>, word: usize) -> (usize, Option<Waker>) {
        if !is_due(line, word) {
            return (word, None);
        }
        let n = line.front().map_or(0, |n| n << SHIFT);
        let waker = line.dismiss_front().and_then(|(number, waker)| {
            // Release: whoever reads it has the permits.
            self.granted.store(number, Ordering::Release);
            waker
        });
        (word - n, waker)
    }

    /// Stores the word under the lock of a line that was not empty, without
    /// `WAITED` if it has become so.
    #[inline]
    fn put(&self, line: &WaitQueue<usize>, word: usize) {
        let kept = if line.is_empty() { !WAITED } else { !0 };
        // Release: see rule 5.
        self.word.store(word & kept, Ordering::Release);
    }

    /// Takes `WAITED` back if the line has become empty.
    fn thin(&self, line: &WaitQueue<usize>) {
        if line.is_empty() {
            // Release: see rule 5.
            self.word.fetch_and(!WAITED, Ordering::Release);
        }
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

/// Whether the first in line is to be granted what it wants.
#[inline]
fn is_due(line: &WaitQueue<usize>, word: usize) -> bool {
    let fits = |n: &usize| word & CLOSED == 0 && word >> SHIFT >= *n;
    line.front().is_some_and(fits)
}

/// What a word says to one who gets nothing.
#[inline]
fn refusal(word: usize) -> Refusal {
    if word & CLOSED != 0 {
        Refusal::Closed
    } else {
        Refusal::Taken
    }
}

/// The word with `n` more permits, both of which can be counted.
#[inline]
fn more(word: usize, n: usize) -> usize {
    let next = word + (n << SHIFT);
    assert!(
        next >> SHIFT <= Permits::MAX,
        "more permits than can be counted"
    );
    next
}
