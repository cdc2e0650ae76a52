//! Carrying the ladder out, on a thread of its own.
//!
//! A thread, because a shutdown of tokio blocks, because revoking a guest runs a stranger's
//! destructor, and because a close that has begun must end even if the one who asked for it
//! is dropped. Invariants:
//!
//! 1. a boundary is closed once; every caller gets the same report;
//! 2. the report is published after the last thing the ladder does;
//! 3. a report of anything but a cooperative end reaches somebody: if nobody waits
//!    for it, it goes to standard error.

use crate::config::Budgets;
use crate::delegate;
use crate::host::Host;
use crate::ladder::{Ladder, Move};
use crate::report::{EscalationReport, FutureKind, Stage};
use crate::seat::{Books, held};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

/// Begins the close, unless it has begun; never blocks.
pub(crate) fn begin(books: &Arc<Books>, budgets: Budgets) {
    let Some(host) = books.begin_close() else {
        return;
    };
    // The host reaches the thread through a cell, so that it is still here if there is no thread.
    let cell = Arc::new(std::sync::Mutex::new(Some(host)));
    let (theirs, reaped) = (cell.clone(), books.clone());
    let reaper = thread::Builder::new()
        .name(format!("{}-close", books.name))
        .spawn(move || {
            if let Some(host) = crate::journal::lock(&theirs).take() {
                descend(&reaped, host, budgets);
            }
        });
    if reaper.is_err()
        && let Some(host) = crate::journal::lock(&cell).take()
    {
        // Without a thread the only place left is here: late is better than never.
        descend(books, host, budgets);
    }
}

/// Goes down the ladder rung by rung.
fn descend(books: &Arc<Books>, host: Host, budgets: Budgets) {
    let clock = Instant::now();
    let at_request = books.census();
    // Kept until the report, since only the handle can count tasks after the shutdown.
    let handle = host.handle().clone();
    let guests = books.take_guests();
    // Wakers and destructors of strangers run here; a panic in one must not end the ladder.
    let _ = catch_unwind(AssertUnwindSafe(|| books.token.cancel()));
    for guest in &guests {
        let _ = catch_unwind(AssertUnwindSafe(|| guest.revoke()));
    }
    let mut host = Some(host);
    let mut overdue = Vec::new();
    let mut held_guests = Vec::new();
    let mut ladder = Ladder::begin(budgets, clock.elapsed());
    let stage = loop {
        match ladder.next(clock.elapsed(), books.census(), books.is_owned()) {
            Move::Wait(pause) => books.wait_for_change(pause),
            Move::Sever => {
                overdue = overdue_now(books);
                held_guests = held(&guests);
                books.sever();
            }
            Move::Shutdown(within) => {
                if overdue.is_empty() {
                    overdue = overdue_now(books);
                    held_guests = held(&guests);
                }
                // With nobody seated this only refuses newcomers, who would come to a dead runtime.
                books.sever();
                if let Some(host) = host.take() {
                    host.shutdown(within);
                }
                books.mark_down();
            }
            Move::Finish(stage) => break stage,
        }
    };
    drop(guests);
    let after_shutdown = books.census();
    drop(handle);
    let (panics, panics_total) = books.journal.panics();
    let report = Arc::new(EscalationReport {
        name: books.name.clone(),
        stage,
        at_request,
        after_drain: ladder.after_drain,
        after_sever: ladder.after_sever,
        after_shutdown,
        times: ladder.times,
        overdue,
        given_up: books.given_up(),
        held_guests,
        panics,
        panics_total,
        journal: books.journal.clone(),
    });
    let waited = books.publish(report.clone());
    if !waited && stage != Stage::Cooperative && books.claim() {
        eprintln!("{report}");
    }
}

/// Names what did not react: adopted and delegated futures, and tokio's tasks as far as tokio tells.
fn overdue_now(books: &Books) -> Vec<crate::report::FutureName> {
    let mut names = books.seated();
    let sites = books.journal.spawn_sites();
    if !sites.is_empty() {
        // Delegated futures are among them, under the line that spawns all of them, and named already.
        names.extend(
            sites
                .into_iter()
                .filter(|n| n.site.file() != delegate::FILE),
        );
    }
    names.truncate(crate::report::MAX_NAMED);
    debug_assert!(
        names
            .iter()
            .all(|n| n.kind != FutureKind::Spawned || cfg!(tokio_unstable))
    );
    names
}

/// Waits for the report of a close that has begun.
///
/// # Cancellation
/// Nothing is lost: the close goes on, and its report can be waited for again.
#[must_use = "futures do nothing unless polled"]
pub struct Closed<'a> {
    books: &'a Arc<Books>,
    place: Option<u64>,
}

impl<'a> Closed<'a> {
    pub(crate) fn new(books: &'a Arc<Books>) -> Self {
        Closed { books, place: None }
    }
}

impl Future for Closed<'_> {
    type Output = Arc<EscalationReport>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.books.wait_for_report(&mut this.place, task.waker()) {
            Some(report) => Poll::Ready(report),
            None => Poll::Pending,
        }
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.books.stop_waiting(place);
        }
    }
}
