//! Memory of task cells, kept by each thread for the cells to come.
//!
//! A spawn and the end of a task are a malloc and a free, which together cost as
//! much as all the rest of a spawn. Cells come in few sizes, so a thread keeps
//! what it frees in lists by size class and allocates from there. Invariants:
//!
//! 1. what is in a list has the size of its class and is nobody's;
//! 2. a list holds at most [`KEPT`] pieces, and a thread that ends frees all of its.
//!
//! A piece may be freed by another thread than the one that allocated it; it then
//! stays there. Built with `--cfg asupersync_no_cell_cache`, which sanitizers
//! need to see a use after free, every cell is malloc's.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Sizes are rounded up to a multiple of this: a cache line.
const GRAIN: usize = 64;
/// Classes, hence the largest size that is kept: what is larger is rarely spawned in crowds.
const CLASSES: usize = 8;
/// Pieces kept per class: enough for tasks that come and go, at most 576 KiB a thread.
const KEPT: u32 = 256;
/// What malloc gives without being asked.
const ALIGN: usize = 16;

/// A piece in a list.
struct Piece {
    next: *mut Piece,
}

struct Lists {
    first: [Cell<*mut Piece>; CLASSES],
    len: [Cell<u32>; CLASSES],
}

thread_local! {
    static LISTS: Lists = const {
        Lists {
            first: [const { Cell::new(ptr::null_mut()) }; CLASSES],
            len: [const { Cell::new(0) }; CLASSES],
        }
    };
}

impl Lists {
    fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let piece = NonNull::new(self.first[class].get())?;
        // SAFETY: what is in a list is a piece, written by `push`, and nobody else's.
        self.first[class].set(unsafe { piece.as_ref() }.next);
        self.len[class].set(self.len[class].get() - 1);
        Some(piece.cast())
    }

    /// `false` when the list is full.
    ///
    /// # Safety
    /// `at` has the size and alignment of its class, and is the caller's to give up.
    unsafe fn push(&self, class: usize, at: NonNull<u8>) -> bool {
        if self.len[class].get() == KEPT {
            return false;
        }
        let next = self.first[class].get();
        let piece = at.cast::<Piece>();
        // SAFETY: it is large enough for a piece, aligned, and ours now.
        unsafe { piece.write(Piece { next }) };
        self.first[class].set(piece.as_ptr());
        self.len[class].set(self.len[class].get() + 1);
        true
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        for class in 0..CLASSES {
            while let Some(at) = self.pop(class) {
                // SAFETY: it came from `alloc` with the layout of its class.
                unsafe { dealloc(at.as_ptr(), layout_of(class)) };
            }
        }
    }
}

/// The class of a layout, if cells of that layout are kept.
#[inline(always)]
const fn class_of(layout: Layout) -> Option<usize> {
    if cfg!(asupersync_no_cell_cache)
        || layout.size() == 0
        || layout.size() > CLASSES * GRAIN
        || layout.align() > ALIGN
    {
        return None;
    }
    Some((layout.size() - 1) / GRAIN)
}

const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align((class + 1) * GRAIN, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("classes are small, and their alignment is a power of two"),
    }
}

/// Room for a `T`.
#[inline]
pub(super) fn allocate<T>() -> NonNull<T> {
    let layout = Layout::new::<T>();
    let Some(class) = class_of(layout) else {
        return fresh(layout).cast();
    };
    // A thread whose lists are gone is about to end.
    let kept = LISTS.try_with(|lists| lists.pop(class)).ok().flatten();
    kept.unwrap_or_else(|| fresh(layout_of(class))).cast()
}

fn fresh(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0, "a cell has a head");
    // SAFETY: the size is not zero.
    let at = unsafe { alloc(layout) };
    NonNull::new(at).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives room back.
///
/// # Safety
/// It came from [`allocate`] for the same type, holds no value any more, and is
/// the caller's to give up.
#[inline]
pub(super) unsafe fn free<T>(at: NonNull<T>) {
    let layout = Layout::new::<T>();
    let at = at.cast::<u8>();
    let Some(class) = class_of(layout) else {
        // SAFETY: it came from `fresh` with this layout.
        return unsafe { dealloc(at.as_ptr(), layout) };
    };
    // SAFETY: as the caller promises; its class is that of its type.
    let kept = LISTS.try_with(|lists| unsafe { lists.push(class, at) });
    if kept != Ok(true) {
        // SAFETY: it came from `fresh` with the layout of its class.
        unsafe { dealloc(at.as_ptr(), layout_of(class)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::size_of;

    fn round<T: Copy + PartialEq + std::fmt::Debug>(value: T) -> NonNull<T> {
        let at = allocate::<T>();
        assert!(at.is_aligned());
        // SAFETY: it is room for a `T`, and freed once.
        unsafe {
            at.write(value);
            assert_eq!(at.read(), value);
            free(at);
        }
        at
    }

    #[test]
    fn what_was_freed_last_is_used_next_in_its_class() {
        if cfg!(asupersync_no_cell_cache) {
            return;
        }
        std::thread::spawn(|| {
            let small = round([1u8; 60]);
            let large = round([2u8; 300]);
            assert_eq!(round([3u8; 64]).cast::<u8>(), small.cast());
            assert_eq!(round([4u64; 40]).cast::<u8>(), large.cast());
        })
        .join()
        .expect("the pieces are reused");
    }

    #[test]
    fn sizes_beyond_the_classes_and_odd_alignments_are_served() {
        #[derive(Clone, Copy, PartialEq, Debug)]
        #[repr(align(128))]
        struct Aligned(u8);
        round([1u8; 513]);
        round([2u8; 512]);
        round(Aligned(7));
        assert_eq!(size_of::<Aligned>(), 128);
    }

    #[test]
    fn a_list_does_not_grow_without_end() {
        std::thread::spawn(|| {
            let all: Vec<_> = (0..2 * KEPT).map(|_| allocate::<[u8; 100]>()).collect();
            for at in all {
                // SAFETY: allocated just above, and freed once.
                unsafe { free(at) };
            }
            let kept = LISTS.with(|lists| lists.len[1].get());
            assert!(kept <= KEPT);
        })
        .join()
        .expect("the bound holds");
    }

    #[test]
    fn pieces_may_be_freed_by_another_thread() {
        let at = allocate::<[u64; 9]>().as_ptr() as usize;
        std::thread::spawn(move || {
            let at = NonNull::new(at as *mut [u64; 9]).expect("it was allocated");
            // SAFETY: allocated above, and freed once.
            unsafe { free(at) };
        })
        .join()
        .expect("it only frees");
    }
}
