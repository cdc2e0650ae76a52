//! Memory of task cells, kept for the cells to come.
//!
//! A spawn and the end of a task would be a malloc and a free, which cost as much
//! as all the rest of a spawn. Cells come in few sizes, so what a thread frees it
//! keeps in magazines by size class and allocates from there. A full magazine
//! that is too many goes to a depot, where a thread that has none left finds it:
//! one thread may spawn what others end, and a crowd may end before the next one
//! comes (Bonwick and Adams, "Magazines and Vmem", USENIX 2001). Invariants:
//!
//! 1. what is in a magazine has the size of its class and is nobody's;
//! 2. a thread keeps two magazines of a class at most, and frees them when it ends;
//! 3. the magazines in the depot are full, and hold at most [`STOCK`] bytes in all.
//!
//! Built with `--cfg asupersync_no_cell_cache`, which sanitizers need to see a
//! use after free, every cell is malloc's.

use super::lock;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sizes are rounded up to a multiple of this, which malloc would do as well.
const GRAIN: usize = 16;
/// Classes, hence the largest size that is kept: what is larger than a kilobyte
/// is rarely spawned in crowds.
const CLASSES: usize = 64;
/// Bytes of a magazine: few enough that a thread keeps less than a megabyte with
/// two of each class, enough that a visit to the depot is shared by a dozen cells or more.
const MAGAZINE: usize = 8 << 10;
/// Bytes kept in the depot: a crowd of ten thousand tasks comes and goes without malloc.
const STOCK: usize = 8 << 20;
/// What malloc gives without being asked.
const ALIGN: usize = 16;

/// A piece in a magazine.
struct Piece {
    next: *mut Piece,
    /// Of the first piece of a magazine in the depot: the magazine below it.
    below: *mut Piece,
}

/// Pieces of one class.
#[derive(Clone, Copy)]
struct Magazine {
    first: *mut Piece,
    len: usize,
}

impl Magazine {
    const EMPTY: Magazine = Magazine {
        first: ptr::null_mut(),
        len: 0,
    };

    /// Frees its pieces.
    ///
    /// # Safety
    /// They are of this class and the caller's to give up.
    unsafe fn free(self, class: usize) {
        let mut next = self.first;
        while let Some(piece) = NonNull::new(next) {
            // SAFETY: what is in a magazine is a piece, which came from `alloc` with
            // the layout of its class.
            unsafe {
                next = piece.as_ref().next;
                dealloc(piece.as_ptr().cast(), layout_of(class));
            }
        }
    }
}

/// The magazines of a thread: it takes from and adds to the first, and exchanges
/// the two when the first is empty or full. So a thread that frees and allocates
/// in turn at the edge of a magazine does not go to the depot each time.
struct Kept {
    loaded: Cell<Magazine>,
    other: Cell<Magazine>,
}

struct Rack([Kept; CLASSES]);

thread_local! {
    static RACK: Rack = const {
        Rack(
            [const {
                Kept {
                    loaded: Cell::new(Magazine::EMPTY),
                    other: Cell::new(Magazine::EMPTY),
                }
            }; CLASSES],
        )
    };
}

impl Kept {
    #[inline(always)]
    fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let mut magazine = self.loaded.get();
        if magazine.len == 0 {
            magazine = self.reload(class)?;
        }
        let piece = magazine.first;
        self.loaded.set(Magazine {
            // SAFETY: the magazine is not empty, and what is in it is a piece,
            // written by `push`, and nobody else's.
            first: unsafe { (*piece).next },
            len: magazine.len - 1,
        });
        NonNull::new(piece.cast())
    }

    /// # Safety
    /// `at` has the size and alignment of its class, and is the caller's to give up.
    #[inline(always)]
    unsafe fn push(&self, class: usize, at: NonNull<u8>) {
        let mut magazine = self.loaded.get();
        if magazine.len == rounds(class) {
            magazine = self.unload(class);
        }
        let piece = at.cast::<Piece>();
        let below = ptr::null_mut();
        let next = magazine.first;
        // SAFETY: it is large enough for a piece, aligned, and ours now.
        unsafe { piece.write(Piece { next, below }) };
        self.loaded.set(Magazine {
            first: piece.as_ptr(),
            len: magazine.len + 1,
        });
    }

    /// Something to take from, in place of the empty magazine.
    #[cold]
    fn reload(&self, class: usize) -> Option<Magazine> {
        let other = self.other.replace(Magazine::EMPTY);
        if other.len > 0 {
            return Some(other);
        }
        DEPOT[class].take(class)
    }

    /// Something to add to, in place of the full magazine.
    #[cold]
    fn unload(&self, class: usize) -> Magazine {
        let other = self.other.replace(self.loaded.get());
        if other.len == rounds(class) {
            DEPOT[class].put(class, other);
            return Magazine::EMPTY;
        }
        other
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        for (class, kept) in self.0.iter().enumerate() {
            for magazine in [&kept.loaded, &kept.other] {
                // SAFETY: the thread's own magazines, which nobody uses after this.
                unsafe { magazine.replace(Magazine::EMPTY).free(class) };
            }
        }
    }
}

/// Full magazines of one class, the last put first.
struct Shelf(Mutex<Top>);

struct Top(*mut Piece);

// SAFETY: pieces are plain memory, and those below the top are the shelf's alone.
unsafe impl Send for Top {}

static DEPOT: [Shelf; CLASSES] = [const { Shelf(Mutex::new(Top(ptr::null_mut()))) }; CLASSES];

/// Bytes in the depot.
static STOCKED: AtomicUsize = AtomicUsize::new(0);

impl Shelf {
    fn take(&self, class: usize) -> Option<Magazine> {
        // A crowd that grows asks for every cell.
        if STOCKED.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut top = lock(&self.0);
        let first = NonNull::new(top.0)?;
        // SAFETY: on the shelf are first pieces of magazines.
        top.0 = unsafe { first.as_ref() }.below;
        drop(top);
        let len = rounds(class);
        STOCKED.fetch_sub(len * size_of_class(class), Ordering::Relaxed);
        Some(Magazine {
            first: first.as_ptr(),
            len,
        })
    }

    /// Keeps a full magazine, or frees it when there is enough.
    fn put(&self, class: usize, full: Magazine) {
        let bytes = full.len * size_of_class(class);
        if STOCKED.fetch_add(bytes, Ordering::Relaxed) + bytes > STOCK {
            STOCKED.fetch_sub(bytes, Ordering::Relaxed);
            // SAFETY: the magazine was handed over.
            return unsafe { full.free(class) };
        }
        let mut top = lock(&self.0);
        // SAFETY: the first piece of the magazine, which is full, hence not empty.
        unsafe { (*full.first).below = top.0 };
        top.0 = full.first;
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

const fn size_of_class(class: usize) -> usize {
    (class + 1) * GRAIN
}

/// Pieces of a full magazine.
const fn rounds(class: usize) -> usize {
    let fit = MAGAZINE / size_of_class(class);
    if fit > 64 { 64 } else { fit }
}

const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align(size_of_class(class), ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("classes are small, and their alignment is a power of two"),
    }
}

/// Room for a `T`.
#[inline(always)]
pub(super) fn allocate<T>() -> NonNull<T> {
    let layout = Layout::new::<T>();
    let Some(class) = class_of(layout) else {
        return fresh(layout).cast();
    };
    // A thread whose magazines are gone is about to end.
    let kept = RACK.try_with(|rack| rack.0[class].pop(class));
    match kept {
        Ok(Some(piece)) => piece.cast(),
        Ok(None) | Err(_) => fresh(layout_of(class)).cast(),
    }
}

#[cold]
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
#[inline(always)]
pub(super) unsafe fn free<T>(at: NonNull<T>) {
    let layout = Layout::new::<T>();
    let at = at.cast::<u8>();
    let Some(class) = class_of(layout) else {
        // SAFETY: it came from `fresh` with this layout.
        return unsafe { dealloc(at.as_ptr(), layout) };
    };
    // SAFETY: as the caller promises; its class is that of its type.
    let kept = RACK.try_with(|rack| unsafe { rack.0[class].push(class, at) });
    if kept.is_err() {
        // SAFETY: it came from `fresh` with the layout of its class.
        unsafe { dealloc(at.as_ptr(), layout_of(class)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::mem::size_of;
    use std::thread;

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

    /// Of a class that no task of these tests has.
    type Large = [u8; CLASSES * GRAIN];

    /// The addresses of so many pieces, which are free again.
    fn crowd(len: usize) -> HashSet<usize> {
        let all: Vec<_> = (0..len).map(|_| allocate::<Large>()).collect();
        let addresses = all.iter().map(|at| at.as_ptr().addr()).collect();
        for at in all {
            // SAFETY: allocated just above, and freed once.
            unsafe { free(at) };
        }
        addresses
    }

    #[test]
    fn what_was_freed_last_is_used_next_in_its_class() {
        if cfg!(asupersync_no_cell_cache) {
            return;
        }
        thread::spawn(|| {
            let small = round([1u8; 55]);
            let large = round([2u8; 310]);
            assert_eq!(round([3u8; 64]).cast::<u8>(), small.cast());
            assert_eq!(round([4u64; 39]).cast::<u8>(), large.cast());
        })
        .join()
        .expect("the pieces are reused");
    }

    #[test]
    fn sizes_beyond_the_classes_and_odd_alignments_are_served() {
        #[derive(Clone, Copy, PartialEq, Debug)]
        #[repr(align(128))]
        struct Aligned(u8);
        round([1u8; CLASSES * GRAIN + 1]);
        round([2u8; CLASSES * GRAIN]);
        round(Aligned(7));
        assert_eq!(size_of::<Aligned>(), 128);
    }

    #[test]
    fn a_thread_and_the_depot_keep_so_much_and_a_thread_that_ends_nothing() {
        if cfg!(asupersync_no_cell_cache) {
            return;
        }
        let class = CLASSES - 1;
        let len = rounds(class);
        let kept = thread::spawn(move || {
            // More than the depot takes.
            crowd(STOCK / (CLASSES * GRAIN) + 4 * len);
            RACK.with(|rack| rack.0[class].loaded.get().len + rack.0[class].other.get().len)
        });
        assert!(kept.join().expect("it counts") <= 2 * len);
        assert!(STOCKED.load(Ordering::Relaxed) <= STOCK);
        // Another thread gets from the depot what this one has put there.
        let theirs = thread::spawn(move || crowd(8 * len));
        let theirs = theirs.join().expect("they are freed");
        let again = thread::spawn(move || crowd(6 * len));
        let again = again.join().expect("they are freed");
        assert!(
            again.intersection(&theirs).count() >= 5 * len,
            "via the depot"
        );
        while let Some(full) = DEPOT[class].take(class) {
            // SAFETY: just taken.
            unsafe { full.free(class) };
        }
    }

    #[test]
    fn pieces_may_be_freed_by_another_thread() {
        let at = allocate::<[u64; 9]>().as_ptr() as usize;
        thread::spawn(move || {
            let at = NonNull::new(at as *mut [u64; 9]).expect("it was allocated");
            // SAFETY: allocated above, and freed once.
            unsafe { free(at) };
        })
        .join()
        .expect("it only frees");
    }
}
