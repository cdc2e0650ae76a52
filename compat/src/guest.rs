//! A client that a boundary lends out and takes back when it closes.
//!
//! Connection pools and multiplexed connections keep tasks alive on the boundary's runtime for as
//! long as somebody holds them, so a close that leaves them in place cannot be
//! cooperative. Invariants:
//!
//! 1. the client is dropped inside the runtime's context, by whoever drops it last;
//! 2. after the revocation no borrow is given out; borrows that exist keep the client
//!    alive, and the report says so.

use crate::error::UseError;
use crate::journal::{Journal, lock};
use crate::seat::Books;
use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use tokio::runtime::Handle;

/// A revocable client.
///
/// Cloning a guest clones the holder, not the client.
pub struct Guest<T: Send + Sync + 'static> {
    cell: Arc<Cell<T>>,
}

impl<T: Send + Sync + 'static> Guest<T> {
    pub(crate) fn admit(books: &Arc<Books>, client: T) -> Result<Self, UseError> {
        let handle = books.handle()?;
        let lent = Lent {
            client: Some(Arc::new(client)),
            handle,
            journal: books.journal.clone(),
        };
        let cell = Arc::new(Cell {
            boundary: books.closed_error(),
            books: Arc::downgrade(books),
            id: Mutex::new(None),
            lent: Mutex::new(Some(lent)),
            watch: Mutex::new(Weak::new()),
        });
        let watch = lock(&cell.lent)
            .as_ref()
            .and_then(|l| l.client.as_ref().map(Arc::downgrade));
        *lock(&cell.watch) = watch.unwrap_or_default();
        let revoke: Arc<dyn Revoke> = cell.clone();
        let id = books.admit_guest(Arc::downgrade(&revoke))?;
        *lock(&cell.id) = Some(id);
        Ok(Guest { cell })
    }

    /// Borrows the client.
    ///
    /// # Errors
    /// [`UseError::Closed`] once the boundary has begun to close.
    pub fn get(&self) -> Result<Lent<T>, UseError> {
        lock(&self.cell.lent)
            .as_ref()
            .cloned()
            .ok_or_else(|| self.cell.boundary.clone())
    }

    /// Whether the client has been taken back.
    pub fn is_revoked(&self) -> bool {
        lock(&self.cell.lent).is_none()
    }

    /// Takes the client back now instead of at the close.
    pub fn revoke(&self) {
        self.cell.revoke();
    }
}

impl<T: Send + Sync + 'static> Clone for Guest<T> {
    fn clone(&self) -> Self {
        Guest {
            cell: self.cell.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Guest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("client", &std::any::type_name::<T>())
            .field("revoked", &self.is_revoked())
            .finish()
    }
}

struct Cell<T: Send + Sync + 'static> {
    /// What a use after the revocation says.
    boundary: UseError,
    books: Weak<Books>,
    id: Mutex<Option<u64>>,
    lent: Mutex<Option<Lent<T>>>,
    /// Counts the borrows that are left after the revocation.
    watch: Mutex<Weak<T>>,
}

impl<T: Send + Sync + 'static> Drop for Cell<T> {
    fn drop(&mut self) {
        if let (Some(books), Some(id)) = (self.books.upgrade(), lock(&self.id).take()) {
            books.forget_guest(id);
        }
    }
}

/// What a close does to a guest of unknown type.
pub(crate) trait Revoke: Send + Sync {
    /// Takes the client back.
    fn revoke(&self);
    /// How many borrows are left.
    fn borrows(&self) -> usize;
    /// The client's type.
    fn type_name(&self) -> &'static str;
}

impl<T: Send + Sync + 'static> Revoke for Cell<T> {
    fn revoke(&self) {
        let lent = lock(&self.lent).take();
        drop(lent);
    }

    fn borrows(&self) -> usize {
        let own = usize::from(lock(&self.lent).is_some());
        lock(&self.watch).strong_count().saturating_sub(own)
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

/// A borrowed client. Give it back soon: a boundary that closes waits for it.
pub struct Lent<T> {
    /// `None` only while it is being dropped.
    client: Option<Arc<T>>,
    handle: Handle,
    journal: Arc<Journal>,
}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.client
            .as_deref()
            .expect("a borrow has its client until it is dropped")
    }
}

impl<T> Clone for Lent<T> {
    fn clone(&self) -> Self {
        Lent {
            client: self.client.clone(),
            handle: self.handle.clone(),
            journal: self.journal.clone(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let Some(last) = self.client.take().and_then(Arc::into_inner) else {
            return;
        };
        let _frame = self.journal.enter();
        let _context = self.handle.enter();
        // A destructor that panics must not take the one who gives the client back with it; the
        // panic hook has written it down.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
    }
}
