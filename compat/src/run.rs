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
use asupersync::runtime::{Termination, main_on};
use asupersync::{Cx, Runtime, Scope};
use asupersync::{Policy, RegionOptions};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

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

    /// Runs `body` in the root region, then closes the boundary. As with tokio, a task that
    /// panics does not stop the others: the root region's policy is `Collect`.
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
        self.covered(|runtime, token| {
            let _signals = runtime.deliver_signals().map_err(RunError::Signals)?;
            let options = RegionOptions {
                policy: Policy::Collect,
                ..RegionOptions::default()
            };
            let reported = runtime.block_on_with(options, |scope| root(scope, token, body));
            Ok(reported.into_result()?)
        })?
    }

    /// As [`Program::run`], in the manner of `#[asupersync::main]`: errors are printed, the exit code follows
    /// from the root region's report.
    pub fn run_main<R, F, Fut>(self, body: F) -> ExitCode
    where
        R: Termination,
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = R>,
    {
        let ran = self.covered(|runtime, token| {
            main_on(runtime, Policy::Collect, |scope| root(scope, token, body))
        });
        ran.unwrap_or_else(|error| {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        })
    }

    /// As [`Program::run`], in the manner of `#[asupersync::test]`: signals are left alone, and whatever goes wrong
    /// is a panic.
    ///
    /// # Panics
    /// With the body's panic; when nothing can be started; when a child failed without anybody answering for it.
    pub fn run_test<T, F, Fut>(self, body: F) -> T
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let ran = self.covered(|runtime, token| runtime.block_on(|scope| root(scope, token, body)));
        ran.and_then(|ended| Ok(ended?))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Calls `f` with a runtime whose threads stand in the context of a boundary, as this thread does
    /// meanwhile; then closes the boundary, also if `f` panics.
    fn covered<R>(self, f: impl FnOnce(Runtime, CancellationToken) -> R) -> Result<R, RunError> {
        let boundary = Boundary::start(&self.boundary, None)?;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let handle = boundary
                .books()
                .handle()
                .expect("a boundary that nobody else knows is open");
            let runtime = self.build(&handle)?;
            let _context = handle.enter();
            let _covered = cover::caller();
            Ok(f(runtime, boundary.cancel_token()))
        }));
        let report = close_now(&boundary);
        if report.stage != Stage::Cooperative || reports_wanted() {
            eprintln!("{report}");
        }
        ran.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn build(&self, handle: &Handle) -> Result<Runtime, RunError> {
        let builder = match self.workers {
            Workers::PerCore => Runtime::builder(),
            Workers::Some(workers) => Runtime::builder().worker_threads(workers),
            Workers::CallerOnly => Runtime::builder().current_thread(),
        };
        let covered = handle.clone();
        let builder = builder
            .on_worker_start(move || cover::enter(&covered))
            .on_worker_stop(cover::leave);
        builder.build().map_err(RunError::Start)
    }
}

/// The body of the root region: `body` with its context as the current one, and a daemon that fires `token`
/// when the region is asked to cancel or has nothing left to do.
async fn root<T, F, Fut>(scope: Scope, token: CancellationToken, body: F) -> T
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = T>,
{
    let fire = token.drop_guard();
    let ends = async move |cx: Cx| {
        asked(&cx).await;
        drop(fire);
    };
    scope
        .task()
        .name("cancellation bridge")
        .daemon()
        .spawn(ends);
    let cx = Cx::clone(&scope);
    with_cx(&cx, body(scope)).await
}

/// Runs `body` in the root region of a runtime whose every worker stands in one boundary's context.
///
/// It is `Program::new().run(body)`.
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

/// What takes the place of `#[tokio::main]` while a program is being migrated: `Program::new().run_main(body)`.
///
/// ```no_run
/// # use asupersync::Scope;
/// fn main() -> std::process::ExitCode {
///     asupersync_compat::run_main(async |scope: Scope| {
///         scope.spawn(async |cx| cx.shutdown_signal().await);
///         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///         Ok::<(), std::io::Error>(())
///     })
/// }
/// ```
pub fn run_main<R, F, Fut>(body: F) -> ExitCode
where
    R: Termination,
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = R>,
{
    Program::new().run_main(body)
}

/// What takes the place of `#[tokio::test]` while a program is being migrated: one thread, no signals, and panics
/// for errors.
///
/// ```
/// # use asupersync::Scope;
/// // #[test]
/// fn sleeps() {
///     asupersync_compat::run_test(async |_scope: Scope| {
///         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///     })
/// }
/// # sleeps()
/// ```
///
/// # Panics
/// As [`Program::run_test`].
pub fn run_test<T, F, Fut>(body: F) -> T
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = T>,
{
    Program::new().current_thread().run_test(body)
}

/// Whether reports are to be printed whatever they say.
fn reports_wanted() -> bool {
    std::env::var_os(REPORT_VARIABLE).is_some_and(|v| !v.is_empty() && v != "0")
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
