//! What a context may do and how its waits react, in one word.
//!
//! Contexts are held by the hundred thousand, one in every waiting task, so the
//! word is the set of effects and the view themselves, until somebody asks for
//! the cleanup view of this very context: then it is the address of both.
//!
//! | word | means |
//! |---|---|
//! | odd | bit 1: the cleanup view; from bit 2 on: the set |
//! | even | a box with the set of a working view, and its cleanup view |
//!
//! Invariants: the word changes once at most, from odd to even, and what it says
//! about set and view does not change with it.

use super::{Cx, View};
use crate::types::caps::CapSet;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// See the module documentation.
pub(super) struct Grant(AtomicPtr<Boxed>);

struct Boxed {
    caps: CapSet,
    cleanup: Cx,
}

const PLAIN: usize = 1;
const CLEANUP: usize = 1 << 1;
const CAPS_SHIFT: u32 = 2;

impl Grant {
    #[inline]
    pub(super) fn new(caps: CapSet, view: View) -> Self {
        let view = match view {
            View::Work => 0,
            View::Cleanup => CLEANUP,
        };
        let word = PLAIN | view | (usize::from(caps.bits()) << CAPS_SHIFT);
        Grant(AtomicPtr::new(ptr::without_provenance_mut(word)))
    }

    #[inline]
    pub(super) fn caps(&self) -> CapSet {
        let word = self.0.load(Ordering::Acquire);
        if word.addr() & PLAIN != 0 {
            return CapSet::from_bits((word.addr() >> CAPS_SHIFT) as u8);
        }
        // SAFETY: an even word is the address of a box that lives as long as this value.
        unsafe { &*word }.caps
    }

    #[inline]
    pub(super) fn view(&self) -> View {
        let word = self.0.load(Ordering::Acquire).addr();
        // A box is that of a working view.
        if word & PLAIN != 0 && word & CLEANUP != 0 {
            View::Cleanup
        } else {
            View::Work
        }
    }

    /// The cleanup view of a working one, made with `make` when it is first asked for.
    pub(super) fn cleanup(&self, make: impl FnOnce() -> Cx) -> &Cx {
        let mut word = self.0.load(Ordering::Acquire);
        if word.addr() & PLAIN != 0 {
            let boxed = Box::into_raw(Box::new(Boxed {
                caps: self.caps(),
                cleanup: make(),
            }));
            let (new, old) = (Ordering::AcqRel, Ordering::Acquire);
            match self.0.compare_exchange(word, boxed, new, old) {
                Ok(_) => word = boxed,
                Err(theirs) => {
                    // SAFETY: it was not published, so it is ours.
                    drop(unsafe { Box::from_raw(boxed) });
                    word = theirs;
                }
            }
        }
        // SAFETY: as in `caps`.
        &unsafe { &*word }.cleanup
    }
}

impl Clone for Grant {
    fn clone(&self) -> Self {
        Grant::new(self.caps(), self.view())
    }
}

impl Drop for Grant {
    #[inline]
    fn drop(&mut self) {
        let word = *self.0.get_mut();
        if word.addr() & PLAIN == 0 {
            // SAFETY: an even word is the address of a box that is ours.
            drop(unsafe { Box::from_raw(word) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_and_view_comes_back() {
        for bits in 0..=u8::MAX {
            for view in [View::Work, View::Cleanup] {
                let grant = Grant::new(CapSet::from_bits(bits), view);
                let copy = grant.clone();
                assert_eq!((grant.caps().bits(), grant.view()), (bits, view));
                assert_eq!((copy.caps().bits(), copy.view()), (bits, view));
            }
        }
    }

    #[test]
    fn a_context_is_three_words() {
        assert_eq!(size_of::<Cx>(), 3 * size_of::<usize>());
    }
}
