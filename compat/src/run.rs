//! A whole program in one boundary's context, for code that is half migrated.
//!
//! Every worker and the thread that calls [`run`] stand in the context of one boundary, so tokio's
//! types work in any task and `tokio::spawn` lands on that boundary, which has an owner: the call
//! to [`run`], which does not return before it is closed by the ladder.
//!
//! Invariants:
//! 1. the boundary opens before the first worker and closes after the last, so no
//!    task of the program ever sees it half closed;
//! 2. its token fires as soon as the root region is asked to cancel or has nothing left to do;
//! 3. the boundary is closed also if the program panics.

use crate::asked::asked;
use crate::boundary::Boundary;
use crate::close::{self, Closed};
use crate::config::{BoundaryConfig, Budgets};
use crate::context::with_cx;
use crate::cover;
use crate::report::{EscalationReport, Stage};
use crate::scoped::RunError;
use asupersync::{Cx, Runtime, Scope};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::process::{ExitCode, Termination};
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long tasks of a half-migrated program may take to end by themselves; tokio would drop them at once.
const PROGRAM_BUDGETS: Budgets = Budgets {
    cooperative: Duration::from_millis(500),
    hard: Duration::from_millis(500),
};
/// When set, reports are printed whatever they say.
const REPORT_VARIABLE: &str = "ASUPERSYNC_REPORT";

/// How a half-migrated program runs.
///
/// ```
/// # use asupersync_compat::Program;
/// let answer = Program::new().current_thread().run(async |_scope| {
///     // A task of tokio's, a timer of tokio's, in a program of ours.
///     tokio::spawn(async {
///         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///         42
///     })
///     .await
///     .unwrap()
/// });
/// assert_eq!(answer.unwrap(), 42);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a program does nothing until it is run"]
pub struct Program {
    workers: Workers,
    boundary: BoundaryConfig,
}

#[derive(Clone, Copy, Debug)]
enum Workers {
    PerCore,
    Some(usize),
    CallerOnly,
}

impl Default for Program {
    fn default() -> Self {
        let Budgets { cooperative, hard } = PROGRAM_BUDGETS;
        let boundary = BoundaryConfig::new("program")
            .cooperative(cooperative)
            .hard(hard);
        Program {
            workers: Workers::PerCore,
            boundary,
        }
    }
}

impl Program {
    /// One worker of ours per core, two of the boundary's.
    pub fn new() -> Self {
        Program::default()
    }

    /// With this many workers of ours.
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.workers = Workers::Some(workers);
        self
    }

    /// With all tasks of ours on the calling thread.
    pub fn current_thread(mut self) -> Self {
        self.workers = Workers::CallerOnly;
        self
    }

    /// With this boundary.
    pub fn boundary(mut self, config: BoundaryConfig) -> Self {
        self.boundary = config;
        self
    }

    /// Runs `body` in the root region, then closes the boundary.
    ///
    /// SIGTERM and SIGINT resolve every `cx.shutdown_signal()`, or cancel the root region if nobody listens.
    ///
    /// # Errors
    /// [`RunError`]. What the boundary had to drop or could not drop is no error here, as it is none with
    /// tokio, but the report is written to standard error.
    ///
    /// # Panics
    /// A panic of the body is raised again once everything is closed.
    pub fn run<T, F, Fut>(self, body: F) -> Result<T, RunError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let boundary = Boundary::start(&self.boundary, None)?;
        // Whatever happens in here, the boundary is closed before it gets out.
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_in(&boundary, body)));
        let report = close_now(&boundary);
        if report.stage != Stage::Cooperative || std::env::var_os(REPORT_VARIABLE).is_some() {
            eprintln!("{report}");
        }
        ran.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// As [`Program::run`], for the last line of `main`: an error is printed and becomes the exit code.
    pub fn run_main<T, F, Fut>(self, body: F) -> ExitCode
    where
        T: Termination,
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        match self.run(body) {
            Ok(value) => value.report(),
            Err(error) => {
                eprintln!("Error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn run_in<T, F, Fut>(&self, boundary: &Boundary, body: F) -> Result<T, RunError>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let handle = boundary
            .books()
            .handle()
            .expect("a boundary that nobody else knows is open");
        let builder = match self.workers {
            Workers::PerCore => Runtime::builder(),
            Workers::Some(workers) => Runtime::builder().worker_threads(workers),
            Workers::CallerOnly => Runtime::builder().current_thread(),
        };
        let covered = handle.clone();
        let runtime = builder
            .on_worker_start(move || cover::enter(&covered))
            .on_worker_stop(cover::leave)
            .build()
            .map_err(RunError::Start)?;
        let _context = handle.enter();
        let _covered = cover::caller();
        let token = boundary.cancel_token();
        let value = runtime.block_on(async move |scope: Scope| {
            let fire = token.drop_guard();
            let ends = async move |cx: Cx| {
                asked(&cx).await;
                drop(fire);
            };
            let _ = scope
                .task()
                .name("cancellation bridge")
                .daemon()
                .spawn(ends);
            let cx = Cx::clone(&scope);
            with_cx(&cx, body(scope)).await
        })?;
        Ok(value)
    }
}

/// Runs `body` in the root region of a runtime whose every thread stands in one boundary's context.
///
/// It is `Program::new().run(body)`, and the form that takes the place of `#[tokio::main]` while a program is
/// being migrated; `asupersync_compat::run(..).unwrap()` in a `#[test]` takes that of `#[tokio::test]`.
///
/// # Errors
/// As [`Program::run`].
///
/// # Panics
/// As [`Program::run`].
pub fn run<T, F, Fut>(body: F) -> Result<T, RunError>
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = T>,
{
    Program::new().run(body)
}

/// As [`run`], for the last line of `main`: `fn main() -> ExitCode { asupersync_compat::run_main(async |scope| ..) }`.
pub fn run_main<T, F, Fut>(body: F) -> ExitCode
where
    T: Termination,
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = T>,
{
    Program::new().run_main(body)
}

/// Closes the boundary and blocks until it is.
fn close_now(boundary: &Boundary) -> Arc<EscalationReport> {
    boundary.books().claim();
    boundary.books().owner_done();
    close::begin(boundary.books(), boundary.budgets());
    let mut closed = pin!(Closed::new(boundary.books()));
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        match closed.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(report) => return report,
            Poll::Pending => thread::park(),
        }
    }
}

/// Wakes the thread that waits in [`close_now`].
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
