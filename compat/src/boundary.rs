//! A tokio runtime that a region owns.
//!
//! Invariants:
//! 1. the region does not come to its end before the boundary's ladder has;
//! 2. a request to cancel the region reaches the boundary's token at once, long
//!    before its finalizers run;
//! 3. a use that comes too late is an error, never a panic.

use crate::adopt::Adopted;
use crate::close::{self, Closed};
use crate::config::{BoundaryConfig, Budgets, Flavor};
use crate::delegate::Delegated;
use crate::error::{CloseError, OpenError, UseError};
use crate::guest::Guest;
use crate::host::Host;
use crate::journal::Journal;
use crate::owner;
use crate::report::{Census, EscalationReport};
use crate::seat::Books;
use asupersync::Cx;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A tokio runtime owned by a region, and the ways to run code of tokio's world on it.
///
/// It is a handle: clones name the same boundary, and dropping one closes nothing. The owner does that.
#[derive(Clone)]
pub struct Boundary {
    books: Arc<Books>,
    budgets: Budgets,
    /// What `current_cx` finds inside, unless something better is set.
    cx: Option<Cx>,
}

impl Boundary {
    /// Opens a boundary that the owner of `cx` closes: of a [`asupersync::Scope`] it is the region, when it ends or
    /// is cancelled, of a task's own context it is the task.
    ///
    /// # Errors
    /// The configuration is unusable, the system refused a thread, or the region has begun to close.
    pub fn open(cx: &Cx, config: BoundaryConfig) -> Result<Boundary, OpenError> {
        let boundary = Boundary::start(&config, Some(cx.clone()))?;
        owner::bind(cx, &boundary)?;
        Ok(boundary)
    }

    /// Opens a boundary that nobody owns yet.
    pub(crate) fn start(config: &BoundaryConfig, cx: Option<Cx>) -> Result<Boundary, OpenError> {
        config.validate()?;
        let journal = Journal::open();
        let host = Host::start(config, &journal).map_err(|source| OpenError::Start {
            name: config.name.clone(),
            source,
        })?;
        let core_threads = match config.flavor {
            Flavor::MultiThread { workers } => workers,
            Flavor::CurrentThread => 1,
        };
        let books = Books::open(config.name.clone(), host, core_threads, journal);
        Ok(Boundary {
            books,
            budgets: config.budgets,
            cx,
        })
    }

    /// Makes a future inside the context and runs it on our worker, inside the context.
    ///
    /// The closure is called at once; what it returns may borrow and need not be `Send`. It keeps the
    /// boundary from being quiet until it has ended or is dropped. While the boundary drains
    /// it may still be used, since cleanup often must.
    ///
    /// # Errors
    /// The returned future gives [`UseError`] when the boundary is closed, cuts the future off, or the future
    /// or the closure panics.
    #[track_caller]
    pub fn adopt<F: Future>(&self, make: impl FnOnce() -> F) -> Adopted<F> {
        Adopted::new(&self.books, self.cx.clone(), Location::caller(), make)
    }

    /// Runs a future on the boundary's own runtime.
    ///
    /// # Errors
    /// As for [`Boundary::adopt`].
    #[track_caller]
    pub fn delegate<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Delegated<T> {
        Delegated::new(&self.books, self.cx.clone(), Location::caller(), future)
    }

    /// Calls `f` inside the context, for constructors and destructors that look for it.
    ///
    /// # Errors
    /// The boundary is closed.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> Result<R, UseError> {
        let handle = self.books.handle()?;
        let _frame = self.books.journal.enter();
        let _context = handle.enter();
        Ok(f())
    }

    /// Lends a client out until the boundary begins to close.
    ///
    /// # Errors
    /// The boundary has begun to close; the client is dropped.
    pub fn guest<T: Send + Sync + 'static>(&self, client: T) -> Result<Guest<T>, UseError> {
        Guest::admit(&self.books, client)
    }

    /// A token that is cancelled when the boundary begins to close, for code that knows tokens.
    ///
    /// Cancelling it begins the close, also from inside. A part of the code that is to be cancelled on its own
    /// takes a child token.
    pub fn cancel_token(&self) -> CancellationToken {
        self.books.token.clone()
    }

    /// What is alive now.
    pub fn alive(&self) -> Census {
        self.books.census()
    }

    /// The boundary's name.
    pub fn name(&self) -> &str {
        &self.books.name
    }

    /// Whether a close has been requested.
    pub fn is_closing(&self) -> bool {
        self.books.is_closing()
    }

    /// The report, once the boundary is closed.
    pub fn report(&self) -> Option<Arc<EscalationReport>> {
        self.books.report()
    }

    /// Closes the boundary by the ladder: asks everything inside to end, waits, drops what did not, and
    /// reports. A boundary that is closing or closed gives the same report again.
    ///
    /// The cooperative budget is cut at the deadline of `cx`, if that is earlier.
    ///
    /// # Cancellation
    /// A close is not interrupted by a request to cancel, since it is what answers one. Dropping the future
    /// leaves the close going on by itself.
    ///
    /// # Errors
    /// The caller is code inside the boundary.
    pub async fn close(&self, cx: &Cx) -> Result<Arc<EscalationReport>, CloseError> {
        let mut budgets = self.budgets;
        if let Some(left) = cx.budget().remaining_time(cx.now()) {
            budgets.cooperative = budgets.cooperative.min(left);
        }
        self.close_within(budgets).await
    }

    /// Closes with these budgets.
    pub(crate) async fn close_within(
        &self,
        budgets: Budgets,
    ) -> Result<Arc<EscalationReport>, CloseError> {
        if self.books.journal.is_inside() {
            return Err(CloseError::Inside {
                boundary: self.books.name.clone(),
            });
        }
        self.books.owner_done();
        close::begin(&self.books, budgets);
        let report = Closed::new(&self.books).await;
        self.books.claim();
        Ok(report)
    }

    /// Begins the close while the owner may still come with cleanup.
    pub(crate) fn begin_close(&self) {
        close::begin(&self.books, self.budgets);
    }

    pub(crate) fn budgets(&self) -> Budgets {
        self.budgets
    }

    pub(crate) fn books(&self) -> &Arc<Books> {
        &self.books
    }
}

impl fmt::Debug for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boundary")
            .field("name", &self.name())
            .field("alive", &self.alive())
            .field("closing", &self.is_closing())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Stage;
    use futures::executor::block_on;
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;
    use tokio::runtime::Handle;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Opens one boundary per flavour, short of patience.
    fn both(check: impl AsyncFn(&Boundary)) {
        let config = || BoundaryConfig::new("b").cooperative(MS(60)).hard(MS(3000));
        for config in [config().workers(2), config().current_thread()] {
            let boundary = Boundary::start(&config, None).unwrap();
            block_on(async {
                check(&boundary).await;
                boundary.close_within(boundary.budgets()).await.unwrap()
            });
            assert_eq!(boundary.alive(), Census::default());
        }
    }

    fn in_context() -> bool {
        Handle::try_current().is_ok()
    }

    struct OnDrop(Rc<Cell<Option<bool>>>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.set(Some(in_context()));
        }
    }

    #[test]
    fn an_adopted_future_is_made_polled_and_dropped_in_the_context() {
        both(async |b| {
            let dropped = Rc::new(Cell::new(None));
            let local = String::from("borrowed");
            let adopted = b.adopt(|| {
                assert!(in_context());
                let (guard, local) = (OnDrop(dropped.clone()), &local);
                async move {
                    let _guard = guard;
                    assert!(in_context());
                    tokio::time::sleep(MS(1)).await;
                    local.len()
                }
            });
            assert!(!in_context());
            assert_eq!(b.alive().adopted, 1);
            assert_eq!(adopted.await.unwrap(), 8);
            assert_eq!((b.alive().adopted, dropped.take()), (0, Some(true)));

            let mut unfinished = Box::pin(b.adopt(|| {
                let guard = OnDrop(dropped.clone());
                async move {
                    let _guard = guard;
                    std::future::pending::<()>().await
                }
            }));
            assert!(futures::poll!(&mut unfinished).is_pending());
            drop(unfinished);
            assert_eq!((b.alive().adopted, dropped.take()), (0, Some(true)));
            assert!(!in_context());
        });
    }

    #[test]
    fn panics_end_the_future_and_nothing_else() {
        both(async |b| {
            let polled: Result<(), UseError> = b
                .adopt(|| async { panic!("in poll {}", 1) })
                .named("fragile")
                .await;
            let error = polled.unwrap_err().to_string();
            assert!(
                error.contains("adopted future \"fragile\"") && error.contains("in poll 1"),
                "{error}"
            );
            let made = b
                .adopt(|| -> std::future::Ready<()> { panic!("in the closure") })
                .await
                .unwrap_err();
            assert!(matches!(made, UseError::Panicked { .. }), "{made}");
            let delegated: Result<(), UseError> = b
                .delegate(async { panic!("over there") })
                .named("remote")
                .await;
            let error = delegated.unwrap_err().to_string();
            assert!(
                error.contains("\"remote\"") && error.contains("over there"),
                "{error}"
            );
            let report = b.close_within(b.budgets()).await.unwrap();
            assert_eq!(
                (report.stage, report.panics_total),
                (Stage::Cooperative, 3),
                "{report}"
            );
        });
    }

    #[test]
    fn a_loop_over_ready_resources_yields() {
        /// How often the draining of `n` ready messages was polled.
        async fn polls(n: usize) -> usize {
            let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
            (0..n).for_each(|i| tx.send(i).unwrap());
            drop(tx);
            let mut drain = std::pin::pin!(async move { while rx.recv().await.is_some() {} });
            let mut polls = 0;
            std::future::poll_fn(|task| {
                polls += 1;
                drain.as_mut().poll(task)
            })
            .await;
            polls
        }
        both(async |b| {
            assert!(b.adopt(|| polls(10_000)).await.unwrap() >= 50);
            assert!(b.delegate(polls(10_000)).await.unwrap() >= 50);
            // Inside another boundary's poll the budget is the outer one's.
            assert!(
                b.adopt(|| b.adopt(|| polls(10_000)))
                    .await
                    .unwrap()
                    .unwrap()
                    >= 50
            );
        });
    }

    #[test]
    fn an_adopted_future_runs_on_a_thread_that_has_a_runtime() {
        let other = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let boundary = Boundary::start(&BoundaryConfig::default(), None).unwrap();
        let here = boundary.books().handle().unwrap().id();
        let there = other.handle().id();
        let seen = other
            .block_on(boundary.adopt(|| async { Handle::current().id() }))
            .unwrap();
        assert!(seen == here && seen != there);
        let entered = {
            let _guard = other.enter();
            block_on(boundary.adopt(|| async { Handle::current().id() })).unwrap()
        };
        assert!(entered == here);
        block_on(boundary.close_within(boundary.budgets())).unwrap();
    }

    #[test]
    fn a_use_after_the_close_is_an_error() {
        both(async |b| {
            let guest = b.guest(1).unwrap();
            let late = b.adopt(std::future::pending::<()>);
            let report = b.close_within(b.budgets()).await.unwrap();
            // The future that was adopted early and never polled still has its seat, and only its owner can drop it.
            assert_eq!(
                (report.stage, report.overdue.len()),
                (Stage::Leaked, 1),
                "{report}"
            );
            assert!(matches!(late.await, Err(UseError::Severed { .. })));
            let closed = |e: UseError| matches!(e, UseError::Closed { .. });
            assert!(closed(b.adopt(|| async {}).await.unwrap_err()));
            assert!(closed(b.delegate(async {}).await.unwrap_err()));
            assert!(closed(b.enter(|| ()).unwrap_err()));
            assert!(closed(b.guest(2).unwrap_err()));
            assert!(closed(guest.get().unwrap_err()));
            assert_eq!(
                b.close_within(b.budgets()).await.unwrap().stage,
                Stage::Leaked
            );
        });
    }

    #[test]
    fn a_close_from_inside_is_refused() {
        both(async |b| {
            let inside = b.adopt(|| b.close_within(b.budgets())).await.unwrap();
            assert!(matches!(inside, Err(CloseError::Inside { .. })));
            let other = b.clone();
            let inside = b
                .delegate(async move { other.close_within(other.budgets()).await.map(drop) })
                .await
                .unwrap();
            assert_eq!(
                inside,
                Err(CloseError::Inside {
                    boundary: "b".into()
                })
            );
            assert!(!b.is_closing());
        });
    }

    #[test]
    fn a_deaf_future_is_dropped_and_named() {
        both(async |b| {
            let deaf = b.adopt(std::future::pending::<()>).named("deaf");
            let remote = b.delegate(std::future::pending::<()>()).named("far");
            let (report, deaf, remote) = futures::join!(b.close_within(b.budgets()), deaf, remote);
            let report = report.unwrap();
            assert_eq!(report.stage, Stage::HardDrop, "{report}");
            assert!(matches!(deaf, Err(UseError::Severed { .. })));
            assert!(matches!(remote, Err(UseError::Severed { .. })));
            let text = report.to_string();
            assert!(
                text.contains("adopted future \"deaf\" (compat/src/boundary.rs:"),
                "{text}"
            );
            assert!(text.contains("delegated future \"far\""), "{text}");
            assert_eq!(
                (report.after_drain.tasks, report.after_drain.adopted),
                (1, 1)
            );
        });
    }

    #[test]
    fn a_guest_is_dropped_in_the_context_by_whoever_is_last() {
        struct Client(mpsc::Sender<bool>);
        impl Drop for Client {
            fn drop(&mut self) {
                self.0.send(in_context()).unwrap();
            }
        }
        both(async |b| {
            let (tx, rx) = mpsc::channel();
            let guest = b.guest(Client(tx.clone())).unwrap();
            drop(guest);
            assert_eq!(rx.try_recv(), Ok(true));
            let guest = b.guest(Client(tx.clone())).unwrap();
            let borrow = guest.get().unwrap();
            guest.revoke();
            assert!(rx.try_recv().is_err() && guest.is_revoked());
            drop(borrow);
            assert_eq!(rx.try_recv(), Ok(true));
            let guest = b.guest(Client(tx.clone())).unwrap();
            let borrow = guest.get().unwrap();
            let report = b.close_within(b.budgets()).await.unwrap();
            assert_eq!(
                (report.stage, report.held_guests[0].borrows),
                (Stage::Cooperative, 1),
                "{report}"
            );
            drop(borrow);
            assert_eq!(rx.try_recv(), Ok(true));
        });
    }

    #[test]
    fn cleanup_may_use_a_draining_boundary() {
        let boundary =
            Boundary::start(&BoundaryConfig::new("b").cooperative(MS(5000)), None).unwrap();
        let steps = AtomicUsize::new(0);
        let report = block_on(async {
            boundary.begin_close();
            boundary.cancel_token().cancelled().await;
            for _ in 0..3 {
                // Silence between two steps is not the end while the owner is not done.
                std::thread::sleep(MS(10));
                boundary.adopt(|| tokio::time::sleep(MS(1))).await.unwrap();
                steps.fetch_add(1, Ordering::Relaxed);
            }
            boundary.close_within(boundary.budgets()).await.unwrap()
        });
        assert_eq!(
            (report.stage, steps.into_inner()),
            (Stage::Cooperative, 3),
            "{report}"
        );
        assert!(report.times.drain < MS(3000), "{report}");
    }
}
