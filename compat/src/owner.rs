//! Who closes a boundary: the bond between it and the region or task that opened it.
//!
//! Two things are placed with the owner. A daemon, the keeper, waits for the request to cancel or
//! for the end of the region and begins the close, so that code inside hears of it while the
//! owner's tasks are still draining. A finalizer waits until the ladder has ended, which is after
//! those tasks, whose cleanup may still need the boundary.
//!
//! Invariant: an owner whose boundary leaked does not end well. The finalizer fails, and the
//! region's report carries the boundary's.

use crate::asked::asked;
use crate::boundary::Boundary;
use crate::close::{self, Closed};
use crate::error::OpenError;
use crate::report::Stage;
use asupersync::Cx;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Makes the owner of `cx` the one who closes the boundary: the region it is the body of, or its task.
pub(crate) fn bind(cx: &Cx, boundary: &Boundary) -> Result<(), OpenError> {
    let (opener, begin) = (cx.clone(), BeginClose(boundary.clone()));
    let keeper = cx
        .task()
        .name(format!("keeper of boundary \"{}\"", boundary.name()))
        .daemon()
        .spawn_checked(move |cx: Cx| keep(cx, opener, begin));
    if keeper.is_err() {
        boundary.books().owner_done();
        return Err(OpenError::RegionClosed {
            name: boundary.name().into(),
        });
    }
    // Weak, so that a boundary closed early does not stay in memory for as long as its owner lives.
    let books = Arc::downgrade(boundary.books());
    let budgets = boundary.budgets();
    let finalizer = async move {
        let Some(books) = books.upgrade() else { return };
        books.owner_done();
        close::begin(&books, budgets);
        let report = Closed::new(&books).await;
        if report.stage == Stage::Leaked {
            // Not `panic!`: the report is the message, and the hook would print it a second time.
            std::panic::resume_unwind(Box::new(report.to_string()));
        }
        if report.stage == Stage::HardDrop && books.claim() {
            eprintln!("{report}");
        }
    };
    match cx.scope() {
        Some(region) => region.defer(finalizer),
        None => cx.defer(finalizer),
    }
    Ok(())
}

/// Waits until the region ends, the opener is asked to cancel, or the token fires.
async fn keep(cx: Cx, opener: Cx, begin: BeginClose) {
    let token = begin.0.cancel_token();
    let mut region = pin!(asked(&cx));
    let mut task = pin!(asked(&opener));
    let mut fired = pin!(token.cancelled());
    poll_fn(|task_cx| {
        let over = region.as_mut().poll(task_cx).is_ready()
            || task.as_mut().poll(task_cx).is_ready()
            || fired.as_mut().poll(task_cx).is_ready();
        if over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Begins the close when dropped: also if the keeper is cancelled before its first poll, or refused.
struct BeginClose(Boundary);

impl Drop for BeginClose {
    fn drop(&mut self) {
        self.0.begin_close();
    }
}
