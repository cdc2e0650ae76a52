//! What `#[asupersync::main]` and `#[asupersync::test]` expand to calls of.
//!
//! | the run ended with | exit code |
//! |---|---|
//! | a panic, of the body or of a child nobody else answered for | 101 |
//! | an error of the body (printed) or of a child | 1 |
//! | code abandoned or promises leaked while draining | 1 |
//! | a cancellation other than by the wish to stop | 1 |
//! | a cancellation by the wish to stop, and none of the above | 0 |
//! | a value | 0, or the value itself if it is an `ExitCode` |

use super::Runtime;
use super::account;
use crate::cx::{RegionError, Scope};
use crate::exec::region::RegionOptions;
use crate::time::TimeoutError;
use crate::types::cancel::{CancelKind, CancelReason, Cancelled, reason_in};
use crate::types::error::Error;
use crate::types::outcome::Severity;
use crate::types::policy::Policy;
use crate::types::report::RegionReport;
use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::process::ExitCode;

/// The exit code of a panic, as the standard library chooses it.
const PANICKED: u8 = 101;
/// Asks for the root region's report on standard error: `1` as text, `json` as one line of JSON.
const REPORT: &str = "ASUPERSYNC_REPORT";

/// On which threads a program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    /// On threads of the runtime's own.
    MultiThread {
        /// How many; by default one per available core.
        worker_threads: Option<usize>,
    },
    /// On the thread that makes the call.
    CurrentThread,
}

impl Flavour {
    fn build(self) -> Result<Runtime, Error> {
        let builder = Runtime::builder();
        match self {
            Flavour::CurrentThread => builder.current_thread(),
            Flavour::MultiThread {
                worker_threads: Some(n),
            } => builder.worker_threads(n),
            Flavour::MultiThread {
                worker_threads: None,
            } => builder,
        }
        .build()
    }
}

/// What the body of `main` may return.
#[diagnostic::on_unimplemented(
    message = "`main` cannot return `{Self}`",
    note = "return nothing, a `Result<(), E>` whose `E` implements `Debug`, or an `ExitCode`"
)]
pub trait Termination {
    /// How the body ended.
    #[doc(hidden)]
    fn end(self) -> End;
}

/// How the body of `main` ended.
#[doc(hidden)]
#[derive(Debug)]
pub enum End {
    /// With this code.
    Code(ExitCode),
    /// With an error: what it says, and the cancellation it wraps, if any.
    Failed {
        message: String,
        reason: Option<Box<CancelReason>>,
    },
}

impl Termination for () {
    fn end(self) -> End {
        End::Code(ExitCode::SUCCESS)
    }
}

impl Termination for ExitCode {
    fn end(self) -> End {
        End::Code(self)
    }
}

impl<T: Termination, E: fmt::Debug + 'static> Termination for Result<T, E> {
    fn end(self) -> End {
        match self {
            Ok(value) => value.end(),
            Err(e) => {
                let known = known(&e);
                End::Failed {
                    message: known.map_or_else(|| format!("{e:?}"), told),
                    reason: known
                        .or_else(|| in_anyhow(&e))
                        .and_then(reason_in)
                        .cloned()
                        .map(Box::new),
                }
            }
        }
    }
}

/// The error in one of the types that `?` commonly makes of one, as `main` asks
/// for no more than `Debug`.
fn known(e: &dyn Any) -> Option<&(dyn StdError + 'static)> {
    fn look<E: StdError + 'static>(e: &dyn Any) -> Option<&(dyn StdError + 'static)> {
        e.downcast_ref::<E>().map(|e| e as _)
    }
    let boxed = e
        .downcast_ref::<Box<dyn StdError + Send + Sync>>()
        .map(|e| &**e as &(dyn StdError + 'static));
    let local = || e.downcast_ref::<Box<dyn StdError>>().map(|e| &**e);
    boxed
        .or_else(local)
        .or_else(|| look::<Cancelled>(e))
        .or_else(|| look::<std::io::Error>(e))
        .or_else(|| look::<RegionError>(e))
        .or_else(|| look::<TimeoutError>(e))
        .or_else(|| look::<Error>(e))
}

/// `anyhow` tells its errors itself, with a backtrace if there is one.
#[cfg(feature = "anyhow")]
fn in_anyhow(e: &dyn Any) -> Option<&(dyn StdError + 'static)> {
    e.downcast_ref::<anyhow::Error>().map(|e| &**e as _)
}

#[cfg(not(feature = "anyhow"))]
fn in_anyhow(_: &dyn Any) -> Option<&(dyn StdError + 'static)> {
    None
}

/// What the error says, and what it came of if it does not say that itself.
fn told(e: &(dyn StdError + 'static)) -> String {
    let mut text = e.to_string();
    let mut below = e.source();
    while let Some(cause) = below {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        below = cause.source();
    }
    text
}

/// Runs `main`: SIGTERM and SIGINT ask it to stop, and the report decides about the exit code.
#[doc(hidden)]
pub fn main_entry<R, F, Fut>(flavour: Flavour, policy: Policy, body: F) -> ExitCode
where
    R: Termination,
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = R>,
{
    match flavour.build() {
        Ok(runtime) => main_on(runtime, policy, body),
        Err(e) => refuse(&e),
    }
}

/// As `#[asupersync::main]`, on a runtime that was built for it. `policy` says
/// what the root region does when a task fails.
pub fn main_on<R, F, Fut>(runtime: Runtime, policy: Policy, body: F) -> ExitCode
where
    R: Termination,
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = R>,
{
    let signals = match runtime.deliver_signals() {
        Ok(signals) => signals,
        Err(e) => return refuse(&e),
    };
    let options = RegionOptions {
        policy,
        ..RegionOptions::named("main")
    };
    let (reported, live) = runtime.run(options, body);
    let end = reported.value.map(Termination::end);
    if let Some(End::Failed { message, reason }) = &end
        && !(reason.is_some() && stopped(&reported.report))
    {
        eprintln!("Error: {message}");
    }
    match std::env::var(REPORT).as_deref() {
        Ok("json") => eprintln!("{}", account::json(&reported.report, live)),
        Ok("" | "0") | Err(_) => {}
        Ok(_) => eprintln!("{}", account::text(&reported.report, live)),
    }
    let code = judge(&reported.report, end.as_ref());
    // An error of the body is printed above, a panic printed itself.
    if code == 1 && !matches!(end, Some(End::Failed { .. })) {
        eprintln!("Error: {}", RegionError::of(reported.report));
    }
    // Signals end first: a request during the teardown would find nobody.
    drop(signals);
    drop(runtime);
    match (code, end) {
        (0, Some(End::Code(code))) => code,
        (code, _) => ExitCode::from(code),
    }
}

fn refuse(e: &dyn fmt::Display) -> ExitCode {
    eprintln!("Error: {e}");
    ExitCode::FAILURE
}

/// Whether the wish to stop is what cancelled the region.
fn stopped(report: &RegionReport) -> bool {
    report
        .reason
        .as_ref()
        .is_some_and(|r| r.root_cause().kind == CancelKind::Shutdown)
}

/// The exit code by the table at the top.
fn judge(report: &RegionReport, end: Option<&End>) -> u8 {
    let failed = !report.abandoned.is_empty() || !report.leaks.is_empty();
    match (report.severity, end) {
        (Severity::Panicked, _) => PANICKED,
        // Without a value and without a panic, the body was abandoned.
        (Severity::Err, _) | (_, None) => 1,
        _ if failed => 1,
        (_, Some(End::Failed { reason: None, .. })) => 1,
        (
            _,
            Some(End::Failed {
                reason: Some(_), ..
            }),
        ) => u8::from(!stopped(report)),
        (Severity::Cancelled, Some(End::Code(_))) => u8::from(!stopped(report)),
        (Severity::Ok, Some(End::Code(_))) => 0,
    }
}

/// Runs a test.
///
/// # Panics
/// With the body's panic; when the runtime cannot be made; and when a child
/// failed, was cancelled or panicked without anybody answering for it.
#[doc(hidden)]
pub fn test_entry<R, F, Fut>(flavour: Flavour, body: F) -> R
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = R>,
{
    let runtime = flavour.build().unwrap_or_else(|e| panic!("{e}"));
    runtime.block_on(body).unwrap_or_else(|e| panic!("{e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id::RegionId;
    use crate::types::outcome::Severity as S;
    use crate::types::policy::Name;
    use crate::types::report::{Abandoned, DrainStats};
    use std::time::Duration;

    fn report(severity: S, kind: Option<CancelKind>, abandoned: bool) -> RegionReport {
        let region = RegionId::new(0, 0);
        let (name, last_checkpoint) = (Name::NONE, None);
        let after = Duration::ZERO;
        let lost = Abandoned {
            task: None,
            name: name.clone(),
            region,
            last_checkpoint,
            after,
            overdue: Duration::ZERO,
            seen: false,
            held: Vec::new(),
        };
        RegionReport {
            region,
            name,
            severity,
            primary: None,
            failures: Vec::new(),
            counts: [0; 4],
            stopped: 0,
            reason: kind.map(CancelReason::new),
            drain: DrainStats::default(),
            leaks: Vec::new(),
            abandoned: if abandoned { vec![lost] } else { Vec::new() },
            quiescent: true,
            stuck: Vec::new(),
        }
    }

    #[test]
    fn exit_codes_follow_the_table() {
        use CancelKind::{Shutdown, User};
        let ok = || Some(().end());
        let failed = |kind: Option<CancelKind>| {
            let reason = kind.map(|k| Box::new(CancelReason::new(k)));
            Some(End::Failed {
                message: String::new(),
                reason,
            })
        };
        let cases = [
            (report(S::Ok, None, false), ok(), 0),
            (report(S::Ok, None, false), failed(None), 1),
            (report(S::Ok, None, false), failed(Some(User)), 1),
            (report(S::Cancelled, Some(Shutdown), true), None, 1),
            (report(S::Err, None, false), ok(), 1),
            (report(S::Panicked, None, false), ok(), 101),
            (report(S::Panicked, Some(Shutdown), false), ok(), 101),
            (report(S::Cancelled, Some(User), false), ok(), 1),
            (report(S::Cancelled, Some(Shutdown), false), ok(), 0),
            (
                report(S::Cancelled, Some(Shutdown), false),
                failed(Some(Shutdown)),
                0,
            ),
            (report(S::Cancelled, Some(Shutdown), false), failed(None), 1),
            (report(S::Cancelled, Some(Shutdown), true), ok(), 1),
        ];
        for (i, (report, end, code)) in cases.iter().enumerate() {
            assert_eq!(judge(report, end.as_ref()), *code, "case {i}");
        }
    }

    #[test]
    fn a_cancellation_is_recognised_in_common_errors() {
        let cancelled = || Cancelled::new(std::sync::Arc::new(CancelKind::Shutdown.into()));
        let boxed: Box<dyn StdError + Send + Sync> = cancelled().into();
        let local: Box<dyn StdError> = cancelled().into();
        let is_one = |e: &dyn Any| known(e).and_then(reason_in).is_some();
        assert!(is_one(&cancelled()));
        assert!(is_one(&std::io::Error::from(cancelled())));
        assert!(is_one(&boxed));
        assert!(is_one(&local));
        assert!(!is_one(&"text".to_owned()));
    }

    #[test]
    fn a_known_error_is_told_in_words_and_once() {
        let told = |end: End| match end {
            End::Failed { message, .. } => message,
            End::Code(_) => panic!("it is an error"),
        };
        let in_use = || std::io::Error::new(std::io::ErrorKind::AddrInUse, "port 80 is taken");
        assert_eq!(told(Err::<(), _>(in_use()).end()), "port 80 is taken");
        let boxed: Box<dyn StdError + Send + Sync> = in_use().into();
        assert_eq!(told(Err::<(), _>(boxed).end()), "port 80 is taken");
        let below = Error::new(crate::ErrorKind::ChildFailed, "no server").with_source(in_use());
        let message = told(Err::<(), _>(below).end());
        assert_eq!(message, "no server: port 80 is taken");
        // Of others nothing is known but this.
        assert_eq!(told(Err::<(), _>("text").end()), "\"text\"");
    }
}
