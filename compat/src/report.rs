//! The account of a closed boundary: how far the ladder had to go, what it found and what it dropped.
//!
//! A report never claims more than was counted: its stage is
//! [`Stage::Leaked`] whenever a task, an adopted future or a thread was alive
//! at the last count.

use crate::journal::Journal;
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// Dropped futures that a report names; further ones are only counted.
pub const MAX_NAMED: usize = 64;

/// How far a close had to go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// Everything ended by itself once it was asked to.
    Cooperative,
    /// Something did not react in the cooperative budget and was dropped; nothing is left.
    HardDrop,
    /// Something could not be dropped and is still alive: the boundary is closed to use, but it is not quiescent.
    Leaked,
}

/// What was alive at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Tasks on the boundary's tokio runtime, delegated futures included.
    pub tasks: usize,
    /// Futures adopted by the boundary.
    pub adopted: usize,
    /// Threads of the runtime: workers and blocking threads. Only those that outlive the
    /// shutdown are counted; before it, they are the runtime at rest.
    pub threads: usize,
    /// How many of the runtime's threads exist to run blocking jobs, busy or idle.
    pub blocking: usize,
}

impl Census {
    /// Whether nothing is alive that a closed boundary must not have.
    pub fn is_empty(&self) -> bool {
        self.tasks == 0 && self.adopted == 0 && self.threads == 0
    }
}

/// How long each rung took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StageTimes {
    /// Firing the token and revoking guests.
    pub cancel: Duration,
    /// Waiting for everything to end by itself.
    pub drain: Duration,
    /// Dropping adopted futures.
    pub sever: Duration,
    /// Shutting the runtime down.
    pub shutdown: Duration,
}

impl StageTimes {
    /// From the request to the report.
    pub fn total(&self) -> Duration {
        self.cancel + self.drain + self.sever + self.shutdown
    }
}

/// What kind of future a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FutureKind {
    /// Polled by our worker inside the runtime's context.
    Adopted,
    /// Given to the runtime by `delegate`.
    Delegated,
    /// Spawned by a library with `tokio::spawn`; named only under `--cfg tokio_unstable`.
    Spawned,
}

/// A future as a report names it: the name it was given and the line that made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FutureName {
    /// Whose it was.
    pub kind: FutureKind,
    /// The name it was given, if any.
    pub name: Option<Cow<'static, str>>,
    /// The call that made it.
    pub site: &'static Location<'static>,
}

impl fmt::Display for FutureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FutureKind::Adopted => "adopted future",
            FutureKind::Delegated => "delegated future",
            FutureKind::Spawned => "tokio task",
        })?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, " ({})", Place(self.site))
    }
}

/// A source position with the last components of its path, which is what a reader recognises.
pub(crate) struct Place<'a>(pub(crate) &'a Location<'a>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KEPT: usize = 4;
        let file = self.0.file();
        let start = file
            .rmatch_indices('/')
            .nth(KEPT - 1)
            .map_or(0, |(i, _)| i + 1);
        write!(f, "{}:{}", &file[start..], self.0.line())
    }
}

/// A panic on one of the boundary's threads, or inside one of its futures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PanicRecord {
    /// What it said.
    pub message: String,
    /// Where, as `file:line`.
    pub place: String,
    /// On which thread.
    pub thread: String,
}

impl fmt::Display for PanicRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" at {} on thread \"{}\"",
            self.message, self.place, self.thread
        )
    }
}

/// A guest that somebody still borrowed when the cooperative budget was spent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldGuest {
    /// The client's type.
    pub type_name: &'static str,
    /// How many borrows were alive.
    pub borrows: usize,
}

/// The account of a closed boundary.
#[derive(Clone, Debug)]
pub struct EscalationReport {
    /// The boundary's name.
    pub name: Arc<str>,
    /// How far the close had to go.
    pub stage: Stage,
    /// What was alive when it was requested.
    pub at_request: Census,
    /// What was alive when the drain ended.
    pub after_drain: Census,
    /// What was alive when severing ended.
    pub after_sever: Census,
    /// What was alive when the runtime had been shut down: all zero unless the stage is `Leaked`.
    pub after_shutdown: Census,
    /// How long each rung took.
    pub times: StageTimes,
    /// What did not react in the cooperative budget, at most [`MAX_NAMED`].
    pub overdue: Vec<FutureName>,
    /// Adopted futures that their owner dropped unfinished while the boundary drained, at most [`MAX_NAMED`].
    pub given_up: Vec<FutureName>,
    /// Guests that were still borrowed when the drain ended.
    pub held_guests: Vec<HeldGuest>,
    /// Panics since the boundary opened, at most [`MAX_NAMED`].
    pub panics: Vec<PanicRecord>,
    /// How many panics there were.
    pub panics_total: usize,
    /// What watches the threads that are left.
    pub(crate) journal: Arc<Journal>,
}

impl EscalationReport {
    /// Whether nothing of the boundary was alive at the last count.
    pub fn is_quiescent(&self) -> bool {
        self.stage != Stage::Leaked
    }

    /// How many of the boundary's threads are alive right now. After a leak this may
    /// still fall to zero, when what blocked them returns.
    pub fn threads_alive(&self) -> usize {
        self.journal.threads_alive()
    }
}

impl fmt::Display for EscalationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boundary \"{}\" ", self.name)?;
        let took = self.times.total();
        match self.stage {
            Stage::Cooperative => write!(f, "closed cooperatively in {took:?}")?,
            Stage::HardDrop => write!(
                f,
                "closed in {took:?}, but had to drop what did not end in {:?} after it was asked to",
                self.times.drain
            )?,
            Stage::Leaked => write!(
                f,
                "IS NOT QUIESCENT: after {took:?} {} could not be dropped",
                Alive(self.after_shutdown)
            )?,
        }
        write!(f, "\n  at the request: {}", Alive(self.at_request))?;
        if self.stage > Stage::Cooperative {
            write!(
                f,
                "\n  after {:?} of draining: {}",
                self.times.drain,
                Alive(self.after_drain)
            )?;
            if !self.times.sever.is_zero() {
                write!(
                    f,
                    "\n  after {:?} of severing: {}",
                    self.times.sever,
                    Alive(self.after_sever)
                )?;
            }
            write!(
                f,
                "\n  after {:?} of shutdown: {}",
                self.times.shutdown,
                Alive(self.after_shutdown)
            )?;
        }
        for name in &self.overdue {
            write!(f, "\n  did not react to cancellation: {name}")?;
        }
        let named = self
            .overdue
            .iter()
            .filter(|n| n.kind != FutureKind::Adopted)
            .count();
        let unnamed = self.after_drain.tasks.saturating_sub(named);
        if unnamed > 0 {
            write!(
                f,
                "\n  did not react to cancellation: {unnamed} tokio tasks"
            )?;
            if !cfg!(tokio_unstable) {
                f.write_str(" (build with RUSTFLAGS=\"--cfg tokio_unstable\" to see where they were spawned)")?;
            }
        }
        if self.after_shutdown.threads > 0 {
            write!(
                f,
                "\n  blocked forever or for too long: {} threads named \"{}\"",
                self.after_shutdown.threads, self.name
            )?;
        }
        for guest in &self.held_guests {
            write!(
                f,
                "\n  still borrowed: guest {} by {}",
                guest.type_name, guest.borrows
            )?;
        }
        for name in &self.given_up {
            write!(f, "\n  dropped unfinished by its owner: {name}")?;
        }
        for panic in &self.panics {
            write!(f, "\n  panicked: {panic}")?;
        }
        let more = self.panics_total.saturating_sub(self.panics.len());
        if more > 0 {
            write!(f, "\n  and {more} more panics")?;
        }
        Ok(())
    }
}

/// A census as a reader wants it: only what is there.
struct Alive(Census);

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Census {
            tasks,
            adopted,
            threads,
            ..
        } = self.0;
        let parts = [
            (tasks, "task"),
            (adopted, "adopted future"),
            (threads, "thread"),
        ];
        let mut first = true;
        for (count, noun) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let sep = if first { "" } else { ", " };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{sep}{count} {noun}{plural}")?;
            first = false;
        }
        if first {
            f.write_str("nothing alive")?;
        }
        Ok(())
    }
}
