//! Races: the first body to end wins, the others are asked to cancel and awaited.
//!
//! Invariant: when a race returns, every arm has ended and its region is closed.
//! So a race takes as long as its winner and the slowest loser's cleanup, which
//! is bounded by the cleanup budget for `RaceLost`: three seconds by default. In
//! [`Cx::race`] the loser's region hears of it from the loser's task, and has the
//! budget for `ParentCancelled`: two.
//!
//! Who wins:
//!
//! 1. an arm wins when its region closes with a value before anybody else's, and
//!    nobody outside the race had asked it to cancel; ties go to the lower index;
//! 2. when the race itself is asked to cancel first, all arms are, and nobody
//!    wins: what they return is dropped;
//! 3. a panic ends the race, and is raised again once all arms have ended. That
//!    holds for a loser's panic as well: a race hides no bug.

use crate::cx::scope::Opened;
use crate::cx::{Cx, Interrupt, RegionError, Scope};
use crate::exec::drive::Reported;
use crate::exec::handle::TaskHandle;
use crate::exec::lock;
use crate::exec::region::RegionOptions;
use crate::types::cancel::{CancelKind, CancelReason, Cancelled};
use crate::types::event::Event;
use crate::types::outcome::{Outcome, PanicPayload};
use crate::types::report::RegionReport;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

/// The end of a race.
#[derive(Clone, Debug)]
pub struct Winner<T> {
    /// Which arm won, counted from 0.
    pub index: usize,
    /// What it returned.
    pub value: T,
    /// The accounts of the arms' regions, in the order of the arms; `None` for
    /// an arm that had not begun when another won. A failure among the tasks
    /// that an arm spawned stands here.
    pub reports: Vec<Option<RegionReport>>,
}

/// A contestant of [`Cx::race`]: the body of a task.
pub struct Arm<T> {
    body: Box<dyn FnOnce(Cx) -> Body<T> + Send>,
}

type Body<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T> Arm<T> {
    /// An arm that runs `body` in a task and a region of its own.
    pub fn new<F, Fut>(body: F) -> Self
    where
        F: FnOnce(Cx) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        Arm {
            body: Box::new(move |cx| Box::pin(body(cx))),
        }
    }
}

impl<T> fmt::Debug for Arm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arm").finish_non_exhaustive()
    }
}

impl Cx {
    /// Runs the arms as tasks, in parallel, and keeps the first that ends.
    ///
    /// The losers are asked to cancel with `RaceLost` and **awaited**: it takes as
    /// long as the winner and the slowest loser's cleanup, which its budget bounds.
    /// A tie goes to the lower index. A race of no arms never ends. To race bodies that
    /// borrow use the macro `race!`.
    ///
    /// # Cancellation
    /// Asked to cancel, it cancels all arms, awaits them, and drops what they return.
    ///
    /// # Errors
    /// [`Cancelled`] when the race was asked to cancel before an arm won.
    ///
    /// # Panics
    /// When an arm panics, after all arms have ended.
    pub async fn race<T>(
        &self,
        arms: impl IntoIterator<Item = Arm<T>>,
    ) -> Result<Winner<T>, Cancelled>
    where
        T: Send + 'static,
    {
        // The caller's code, which may panic: before there is a region to leave behind.
        let arms = arms.into_iter();
        // A region around the arms: if this future is dropped, it cancels and drains them.
        let opened = match Opened::new(self, RegionOptions::named("race")) {
            Ok(opened) => opened,
            Err(e) => return Err(refusal(e)),
        };
        let course = Course::begin(self);
        let body = async move |scope: Scope| {
            let handles = arms.map(|arm| enter(&scope, &course, arm)).collect();
            let mut tasks = Tasks { handles };
            let mut tally = Tally::new(tasks.handles.len());
            std::future::poll_fn(|task| tally.poll_field(&scope, task, &mut tasks)).await
        };
        let reported = opened.run(body, |_| None).await;
        course.end(self);
        if let Some(panic) = &reported.panic {
            raise(panic);
        }
        match reported.value {
            Some(result) => result,
            None => Err(cut_short(self, [&reported.report])),
        }
    }
}

/// How an arm ended.
#[doc(hidden)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one"
)]
pub enum Ended<T> {
    /// Its region is closed. `asked`: it was to stop by then. The task that runs an
    /// arm hears of a request before the arm's region does, which may be Closed
    /// before it is reached and then knows of none.
    Closed { reported: Reported<T>, asked: bool },
    /// It did not begin, because it could not.
    Refused(Cancelled),
    /// It did not begin, because another arm had won.
    Needless,
}

impl<T> Ended<T> {
    /// Runs an arm in its region.
    async fn of<F, Fut>(opened: Opened, body: F) -> Self
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let scope = opened.scope().clone();
        let reported = opened.run(body, |_| None).await;
        let asked = scope.is_cancel_requested();
        Ended::Closed { reported, asked }
    }

    fn report(&self) -> Option<&RegionReport> {
        match self {
            Ended::Closed { reported, .. } => Some(&reported.report),
            Ended::Refused(_) | Ended::Needless => None,
        }
    }

    fn panic(&self) -> Option<&PanicPayload> {
        match self {
            Ended::Closed { reported, .. } => reported.panic.as_ref(),
            Ended::Refused(_) | Ended::Needless => None,
        }
    }

    /// Whether this end decides a race in `cx` that is still undecided.
    fn decides(&self, cx: &Cx) -> bool {
        match self {
            // An arm may cancel its own region and return a value all the same.
            // What counts is whether the request came from outside the race.
            Ended::Closed { reported, asked } if reported.value.is_some() => {
                !asked || !cx.is_cancel_requested()
            }
            Ended::Closed { reported, .. } => reported.panic.is_some(),
            Ended::Refused(_) | Ended::Needless => false,
        }
    }
}

/// The arms of a race, however they run.
trait Field<T> {
    fn poll_arm(&mut self, index: usize, task: &mut Context<'_>) -> Poll<Ended<T>>;
    /// Asks an arm to cancel, if it has begun; tells whether it has.
    fn lose(&mut self, index: usize) -> bool;
}

/// Who has ended, and who won.
#[doc(hidden)]
pub struct Tally<T> {
    ended: Vec<Option<Ended<T>>>,
    /// The arm that decided the race.
    first: Option<usize>,
    interrupt: Interrupt,
}

impl<T> Tally<T> {
    /// A race of `arms` arms.
    pub fn new(arms: usize) -> Self {
        let ended = (0..arms).map(|_| None).collect();
        Tally {
            ended,
            first: None,
            interrupt: Interrupt::default(),
        }
    }

    /// Polls the arms of a `race!`.
    pub fn poll(
        &mut self,
        lanes: &Lanes<'_>,
        task: &mut Context<'_>,
        arms: &mut [Lane<'_, T>],
    ) -> Poll<Result<Winner<T>, Cancelled>> {
        let won = ready!(self.poll_field(lanes.cx, task, &mut InPlace { lanes, arms }));
        lanes.course.end(lanes.cx);
        Poll::Ready(won)
    }

    fn poll_field(
        &mut self,
        cx: &Cx,
        task: &mut Context<'_>,
        field: &mut impl Field<T>,
    ) -> Poll<Result<Winner<T>, Cancelled>> {
        if self.ended.is_empty() {
            // Nobody can win, so only a request ends this race.
            ready!(self.interrupt.poll(cx, task))?;
            return Poll::Pending;
        }
        let undecided = self.first.is_none();
        self.poll_arms(cx, task, field);
        if undecided && self.first.is_some() {
            for index in 0..self.ended.len() {
                if self.ended[index].is_none() && !field.lose(index) {
                    self.ended[index] = Some(Ended::Needless);
                }
            }
            // The losers notice in this very poll instead of after another turn.
            self.poll_arms(cx, task, field);
        }
        if self.ended.iter().any(Option::is_none) {
            return Poll::Pending;
        }
        Poll::Ready(self.settle(cx))
    }

    /// Polls every arm that runs, up to the one that decides the race.
    fn poll_arms(&mut self, cx: &Cx, task: &mut Context<'_>, field: &mut impl Field<T>) {
        for (index, ended) in self.ended.iter_mut().enumerate() {
            if ended.is_some() {
                continue;
            }
            if let Poll::Ready(end) = field.poll_arm(index, task) {
                let decides = self.first.is_none() && end.decides(cx);
                *ended = Some(end);
                if decides {
                    self.first = Some(index);
                    return;
                }
            }
        }
    }

    /// All arms have ended.
    fn settle(&mut self, cx: &Cx) -> Result<Winner<T>, Cancelled> {
        let mut ended: Vec<_> = std::mem::take(&mut self.ended)
            .into_iter()
            .flatten()
            .collect();
        let first = self.first.and_then(|index| ended[index].panic());
        if let Some(panic) = first.or_else(|| ended.iter().find_map(Ended::panic)) {
            raise(panic);
        }
        let reports = ended.iter().map(|end| end.report().cloned()).collect();
        let won = self.first.map(|index| (index, ended.swap_remove(index)));
        match won {
            Some((
                index,
                Ended::Closed {
                    reported:
                        Reported {
                            value: Some(value), ..
                        },
                    ..
                },
            )) => Ok(Winner {
                index,
                value,
                reports,
            }),
            _ => Err(ended
                .into_iter()
                .find_map(|end| match end {
                    Ended::Refused(cancelled) => Some(cancelled),
                    Ended::Closed { .. } | Ended::Needless => None,
                })
                .unwrap_or_else(|| cut_short(cx, reports.iter().flatten()))),
        }
    }
}

/// Raises a panic that was caught in an arm.
pub(super) fn raise(panic: &PanicPayload) -> ! {
    crate::exec::panics::resume(panic)
}

/// Why a race has no winner.
fn cut_short<'a>(cx: &Cx, reports: impl IntoIterator<Item = &'a RegionReport>) -> Cancelled {
    let reason = cx
        .cancel_reason()
        .or_else(|| reports.into_iter().find_map(|r| r.reason.clone()))
        .unwrap_or_else(|| {
            CancelReason::new(CancelKind::RaceLost).with_message("no arm returned a value")
        });
    Cancelled::new(Arc::new(reason))
}

/// A region that could not be opened.
pub(super) fn refusal(e: RegionError) -> Cancelled {
    match e {
        RegionError::Cancelled(cancelled) => cancelled,
        e => {
            let reason = CancelReason::new(CancelKind::RegionEnd).with_message(e.to_string());
            Cancelled::new(Arc::new(reason))
        }
    }
}

/// Names a race in the record of a run, so that an oracle can see that it
/// returns only when all who joined it are gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course(Option<u64>);

impl Course {
    pub(super) fn begin(cx: &Cx) -> Self {
        let tree = &cx.region_cell().tree;
        Course(tree.records.then(|| tree.fresh_race()))
    }

    /// An arm's region was opened.
    fn joined(self, arm: &Cx) {
        if let Some(race) = self.0 {
            let arm = arm.region_cell();
            arm.emit(|| Event::RaceJoined {
                race,
                region: arm.id,
            });
        }
    }

    /// The race is about to return.
    pub(super) fn end(self, cx: &Cx) {
        if let Some(race) = self.0 {
            cx.region_cell().emit(|| Event::RaceReturned { race });
        }
    }
}

/// Where the arms of a `race!` run, and how they are asked to cancel.
#[doc(hidden)]
pub struct Lanes<'a> {
    cx: &'a Cx,
    course: Course,
    /// The scopes of the arms that have begun.
    scopes: Mutex<Vec<Option<Scope>>>,
}

impl<'a> Lanes<'a> {
    /// Lanes for `arms` arms.
    pub fn new(cx: &'a Cx, arms: usize) -> Self {
        Lanes {
            cx,
            course: Course::begin(cx),
            scopes: Mutex::new((0..arms).map(|_| None).collect()),
        }
    }

    /// Runs an arm in a region of its own.
    pub async fn run<T, F, Fut>(&self, index: usize, body: F) -> Ended<T>
    where
        F: FnOnce(Scope) -> Fut,
        Fut: Future<Output = T>,
    {
        let opened = match Opened::new(self.cx, RegionOptions::named("race arm")) {
            Ok(opened) => opened,
            Err(e) => return Ended::Refused(refusal(e)),
        };
        self.course.joined(opened.scope());
        lock(&self.scopes)[index] = Some(opened.scope().clone());
        let ended = Ended::of(opened, body).await;
        lock(&self.scopes)[index] = None;
        ended
    }
}

/// An arm of a `race!` while it is polled.
#[doc(hidden)]
pub type Lane<'f, T> = Pin<&'f mut (dyn Future<Output = Ended<T>> + 'f)>;

/// Forgets the type of an arm for the time of a poll; the future that holds it
/// keeps its type, and so is `Send` when the arm is.
#[doc(hidden)]
pub fn erase<'f, T>(arm: Pin<&'f mut (impl Future<Output = Ended<T>> + 'f)>) -> Lane<'f, T> {
    arm
}

struct InPlace<'p, 'a, 'f, T> {
    lanes: &'p Lanes<'a>,
    arms: &'p mut [Lane<'f, T>],
}

impl<T> Field<T> for InPlace<'_, '_, '_, T> {
    fn poll_arm(&mut self, index: usize, task: &mut Context<'_>) -> Poll<Ended<T>> {
        self.arms[index].as_mut().poll(task)
    }

    fn lose(&mut self, index: usize) -> bool {
        let scope = lock(&self.lanes.scopes)[index].clone();
        scope.is_some_and(|scope| {
            scope.cancel(CancelKind::RaceLost);
            true
        })
    }
}

/// The arms of a [`Cx::race`].
struct Tasks<T> {
    handles: Vec<TaskHandle<Ended<T>>>,
}

impl<T> Field<T> for Tasks<T> {
    fn poll_arm(&mut self, index: usize, task: &mut Context<'_>) -> Poll<Ended<T>> {
        let outcome = ready!(Pin::new(&mut self.handles[index]).poll(task));
        Poll::Ready(match outcome {
            Outcome::Ok(ended) => ended,
            Outcome::Cancelled(reason) => Ended::Refused(Cancelled::new(Arc::new(reason))),
            Outcome::Err(never) => match never {},
            // The body's panics are caught below; this one is of a finalizer.
            Outcome::Panicked(panic) => raise(&panic),
        })
    }

    fn lose(&mut self, index: usize) -> bool {
        self.handles[index].cancel(CancelKind::RaceLost);
        true
    }
}

/// Starts an arm as a task that opens a region of its own.
pub(super) fn enter<T: Send + 'static>(
    scope: &Scope,
    course: &Course,
    arm: Arm<T>,
) -> TaskHandle<Ended<T>> {
    let course = *course;
    scope.task().name("race arm").spawn(async move |cx: Cx| {
        match Opened::new(&cx, RegionOptions::named("race arm")) {
            Err(e) => Ended::Refused(refusal(e)),
            Ok(opened) => {
                course.joined(opened.scope());
                let body = |scope: Scope| (arm.body)(Cx::clone(&scope));
                Ended::of(opened, body).await
            }
        }
    })
}
