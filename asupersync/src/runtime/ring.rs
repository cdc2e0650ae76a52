//! The ready tasks of one worker: a ring that its owner fills and anybody
//! empties, and a slot for the task that was made ready last.
//!
//! Positions only count up; position `p` is kept in slot `p % N`.
//!
//! | word | moved by | how |
//! |---|---|---|
//! | tail | the owner | a plain store, once the slots below it are written |
//! | head | whoever takes | one compare-and-swap for all it takes, once their slots are read |
//!
//! Invariants:
//!
//! 1. the tasks of a ring are those at positions `head..tail`, at most `N`;
//! 2. the swap of the head is what gives a task away. A taker reads slots
//!    before that, so it may read what is no longer there; then the head has
//!    moved on, the swap fails, and what was read is forgotten;
//! 3. the owner writes to a slot only after it has seen the head beyond the
//!    slot's former position, so no successful taker reads a slot half-way.
//!
//! An owner that overtakes a sleeping taker by `usize::MAX` positions would
//! deceive it; at a billion tasks per second that takes centuries.

use super::primitives::{AtomicPtr, AtomicUsize, Ordering};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// What can be kept as one word.
///
/// # Safety
/// `from_word` gives back what `into_word` took, on any thread.
pub(super) unsafe trait Word: Sized + Send {
    /// The value as a word.
    fn into_word(self) -> NonNull<()>;

    /// The value of a word.
    ///
    /// # Safety
    /// The word came from `into_word`, and this is the one time it is taken back.
    unsafe fn from_word(word: NonNull<()>) -> Self;
}

/// See the module documentation. `N` is a power of two.
pub(super) struct Ring<T: Word, const N: usize> {
    head: AtomicUsize,
    tail: AtomicUsize,
    slots: [AtomicPtr<()>; N],
    tasks: PhantomData<T>,
}

impl<T: Word, const N: usize> Ring<T, N> {
    pub(super) fn new() -> Self {
        const { assert!(N.is_power_of_two() && N > 1) };
        Ring {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            slots: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            tasks: PhantomData,
        }
    }

    /// How many tasks were here at some instant during the call, or a few more.
    pub(super) fn len(&self) -> usize {
        // In this order the tail is never behind the head.
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Acquire).wrapping_sub(head)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a task, or gives it back when the ring is full.
    ///
    /// # Safety
    /// The calling thread owns the ring: nobody else pushes or steals into it.
    pub(super) unsafe fn push(&self, task: T) -> Result<(), T> {
        let tail = self.tail.load(Ordering::Relaxed);
        if tail.wrapping_sub(self.head.load(Ordering::Acquire)) >= N {
            return Err(task);
        }
        self.slot(tail)
            .store(task.into_word().as_ptr(), Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the task that has been here longest.
    pub(super) fn pop(&self) -> Option<T> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            if head == self.tail.load(Ordering::Acquire) {
                return None;
            }
            let word = self.slot(head).load(Ordering::Relaxed);
            match self.advance(head, 1) {
                // SAFETY: the swap gave us this position, hence its word.
                Ok(()) => return Some(unsafe { take(word) }),
                Err(now) => head = now,
            }
        }
    }

    /// Takes the older half for `each`, in order.
    pub(super) fn take_half(&self, mut each: impl FnMut(T)) {
        let mut words = [ptr::null_mut(); N];
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let len = self.tail.load(Ordering::Acquire).wrapping_sub(head);
            let half = len.min(N).div_ceil(2);
            if half == 0 {
                return;
            }
            for (i, word) in words[..half].iter_mut().enumerate() {
                *word = self.slot(head.wrapping_add(i)).load(Ordering::Relaxed);
            }
            match self.advance(head, half) {
                Ok(()) => {
                    for word in &words[..half] {
                        // SAFETY: the swap gave us these positions, hence their words.
                        each(unsafe { take(*word) });
                    }
                    return;
                }
                Err(now) => head = now,
            }
        }
    }

    /// Moves the older half of `other` here, and gives the first of them out.
    ///
    /// # Safety
    /// The calling thread owns this ring, which is not `other`.
    pub(super) unsafe fn steal_from(&self, other: &Self) -> Option<T> {
        let tail = self.tail.load(Ordering::Relaxed);
        let room = N - tail.wrapping_sub(self.head.load(Ordering::Acquire));
        let mut head = other.head.load(Ordering::Acquire);
        loop {
            let len = other.tail.load(Ordering::Acquire).wrapping_sub(head);
            let half = len.min(N).div_ceil(2).min(room + 1);
            if half == 0 {
                return None;
            }
            let first = other.slot(head).load(Ordering::Relaxed);
            for i in 1..half {
                // Beyond our tail, so nobody looks at it until it is published.
                let word = other.slot(head.wrapping_add(i)).load(Ordering::Relaxed);
                self.slot(tail.wrapping_add(i - 1))
                    .store(word, Ordering::Relaxed);
            }
            match other.advance(head, half) {
                Ok(()) => {
                    self.tail
                        .store(tail.wrapping_add(half - 1), Ordering::Release);
                    // SAFETY: the swap gave us these positions, hence the first word.
                    return Some(unsafe { take(first) });
                }
                Err(now) => head = now,
            }
        }
    }

    fn slot(&self, position: usize) -> &AtomicPtr<()> {
        &self.slots[position % N]
    }

    /// Takes `n` positions from `head` on, or says where the head is now.
    fn advance(&self, head: usize, n: usize) -> Result<(), usize> {
        let to = head.wrapping_add(n);
        // Released for rule 3: the owner reuses a slot only after it was read.
        self.head
            .compare_exchange(head, to, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }
}

impl<T: Word, const N: usize> Drop for Ring<T, N> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// Room for one task.
pub(super) struct Slot<T: Word> {
    word: AtomicPtr<()>,
    task: PhantomData<T>,
}

impl<T: Word> Slot<T> {
    pub(super) fn new() -> Self {
        Slot {
            word: AtomicPtr::new(ptr::null_mut()),
            task: PhantomData,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.word.load(Ordering::Relaxed).is_null()
    }

    /// Puts a task in, and gives the one out that was in its place.
    ///
    /// # Safety
    /// The calling thread owns the slot: nobody else puts anything in.
    pub(super) unsafe fn put(&self, task: T) -> Option<T> {
        let word = task.into_word().as_ptr();
        if self.is_empty() {
            // Others only empty it, so it stays empty.
            self.word.store(word, Ordering::Release);
            return None;
        }
        let former = self.word.swap(word, Ordering::AcqRel);
        // SAFETY: the swap took it out.
        (!former.is_null()).then(|| unsafe { take(former) })
    }

    /// Takes the task out.
    pub(super) fn take(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let word = self.word.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: the swap took it out.
        (!word.is_null()).then(|| unsafe { take(word) })
    }
}

impl<T: Word> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// # Safety
/// The word was put in by `into_word`, and the caller has just taken it out.
unsafe fn take<T: Word>(word: *mut ()) -> T {
    let word = NonNull::new(word).expect("a task that was taken was there");
    // SAFETY: as the caller promises.
    unsafe { T::from_word(word) }
}
