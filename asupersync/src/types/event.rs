//! Everything that happens, as one closed enum: it feeds telemetry, oracles and replay.
//!
//! Rules and shells return or emit events; nobody calls an observer by hand.

use super::cancel::CancelKind;
use super::caps::{CapSet, Capability};
use super::id::{ObligationId, RegionId, TaskId};
use super::obligation::{ObligationKind, Resolution};
use super::outcome::Severity;
use super::time::Time;

/// One thing that happened, without its place in the order: the world that
/// records it adds the sequence number and the time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A region was opened under `parent` by a task.
    RegionOpened {
        /// The new region.
        region: RegionId,
        /// The region above, or `None` for a root.
        parent: Option<RegionId>,
        /// The task that awaits it.
        opener: TaskId,
        /// Whether it was opened by cleanup: no request from above reaches it.
        shielded: bool,
    },
    /// A region was asked to cancel, or ended on purpose.
    RegionCancelled {
        /// Which region.
        region: RegionId,
        /// Why.
        kind: CancelKind,
        /// Whether it follows from a request to the region above or to the opener.
        swept: bool,
    },
    /// A request has reached everybody that it has to.
    CascadeEnded {
        /// Where it began, or the region of the task where it did.
        region: RegionId,
        /// The task where it began.
        task: Option<TaskId>,
        /// Live, unshielded tasks and regions below those that passed it on.
        fuel: u32,
        /// How often somebody was reached.
        reached: u32,
        /// How often somebody who had been reached before.
        again: u32,
    },
    /// A region's awaiting future was dropped; the parent drains it.
    RegionHandedOver {
        /// Which region.
        region: RegionId,
    },
    /// A region has nothing alive and runs its finalizers.
    RegionFinalizing {
        /// Which region.
        region: RegionId,
    },
    /// A region is quiescent.
    RegionClosed {
        /// Which region.
        region: RegionId,
    },
    /// A task was admitted.
    TaskSpawned {
        /// The new task.
        task: TaskId,
        /// Its owner.
        region: RegionId,
    },
    /// A task's future was polled.
    TaskPolled {
        /// Which task.
        task: TaskId,
    },
    /// A task was made runnable.
    TaskScheduled {
        /// Which task.
        task: TaskId,
    },
    /// A request to cancel reached a task.
    CancelRequested {
        /// Which task.
        task: TaskId,
        /// Why.
        kind: CancelKind,
    },
    /// A task saw the request at a checkpoint.
    CancelObserved {
        /// Which task.
        task: TaskId,
    },
    /// A task passed a checkpoint under a mask although asked to cancel.
    CancelMasked {
        /// Which task.
        task: TaskId,
    },
    /// A task's body ended; its deferred work runs now.
    TaskFinalizing {
        /// Which task.
        task: TaskId,
    },
    /// A task's future was dropped because its cleanup budget was spent.
    TaskEscalated {
        /// Which task.
        task: TaskId,
    },
    /// A task has its outcome.
    TaskCompleted {
        /// Which task.
        task: TaskId,
        /// Its owner.
        region: RegionId,
        /// How it ended.
        severity: Severity,
    },
    /// An obligation was reserved.
    ObligationReserved {
        /// The holder.
        task: TaskId,
        /// Which of the holder's obligations.
        obligation: ObligationId,
        /// What was promised.
        kind: ObligationKind,
    },
    /// An obligation that was just reserved or moved is a region's: of its body, or
    /// of work that was deferred to its end.
    ObligationOfRegion {
        /// The holder.
        task: TaskId,
        /// Which of the holder's obligations.
        obligation: ObligationId,
        /// The region.
        region: RegionId,
    },
    /// A region's body returned a value that can own something: what the body had
    /// promised may leave the region with it.
    RegionReturned {
        /// Which region.
        region: RegionId,
    },
    /// An obligation moved to another task, in one step.
    ObligationMoved {
        /// The holder so far, and which of its obligations.
        from: (TaskId, ObligationId),
        /// The holder from now on, and which of its obligations.
        to: (TaskId, ObligationId),
        /// What was promised.
        kind: ObligationKind,
    },
    /// An obligation was resolved, or found leaked.
    ObligationResolved {
        /// The holder.
        task: TaskId,
        /// Which of the holder's obligations.
        obligation: ObligationId,
        /// What was promised.
        kind: ObligationKind,
        /// How.
        how: Resolution,
    },
    /// The region of an arm of a race was opened.
    RaceJoined {
        /// Which race.
        race: u64,
        /// The arm's region.
        region: RegionId,
    },
    /// A race is about to return.
    RaceReturned {
        /// Which race.
        race: u64,
    },
    /// Code of a region goes on although its cleanup budget is spent: it does not
    /// return from a poll, or may not be dropped.
    StillRunning {
        /// Which region.
        region: RegionId,
        /// The task; `None` for the region's body or a finalizer.
        task: Option<TaskId>,
    },
    /// Work was deferred to the end of a region or task.
    Deferred {
        /// The region, or the task's.
        region: RegionId,
        /// The task; `None` for the region's own.
        task: Option<TaskId>,
        /// How much deferred work the owner had before.
        index: u32,
    },
    /// Deferred work began.
    FinalizerBegan {
        /// The region, or the task's.
        region: RegionId,
        /// The task; `None` for the region's own.
        task: Option<TaskId>,
        /// How much deferred work the owner has left.
        index: u32,
    },
    /// A finalizer of a region ran.
    FinalizerRan {
        /// Which region.
        region: RegionId,
    },
    /// A timer was set.
    TimerSet {
        /// When it is due.
        due: Time,
    },
    /// A timer fired.
    TimerFired {
        /// When it was due.
        due: Time,
    },
    /// A timer was removed before it fired.
    TimerCancelled {
        /// When it was due.
        due: Time,
    },
    /// A virtual connection carried bytes or changed state.
    Net {
        /// Which connection.
        conn: u64,
        /// What happened, as a small code the network documents.
        what: u8,
        /// Bytes, or zero.
        bytes: u64,
    },
    /// A socket operation has to wait for the network; its task is the one being polled.
    SocketAwaited,
    /// A value was drawn from the entropy source.
    EntropyDrawn,
    /// The program said something.
    Note {
        /// Who.
        task: TaskId,
        /// What.
        note: &'static str,
    },
    /// The program put an event of its own into the trace.
    User {
        /// Who.
        task: TaskId,
        /// What.
        event: UserEvent,
    },
    /// A context that may do less than its maker was given to a task.
    CapsNarrowed {
        /// Whose context it is.
        task: TaskId,
        /// What the maker's context may do.
        from: CapSet,
        /// What the new one may.
        to: CapSet,
    },
    /// A narrowed context was asked for an effect that it may perform.
    EffectAllowed {
        /// Whose context it is.
        task: TaskId,
        /// What was asked for.
        capability: Capability,
        /// What the context may do.
        held: CapSet,
    },
    /// A context was asked for an effect that it may not perform.
    EffectDenied {
        /// Whose context it is.
        task: TaskId,
        /// What was asked for.
        capability: Capability,
    },
    /// A task waited through the context of another.
    ForeignCx {
        /// Whose context it is.
        owner: TaskId,
        /// Who used it.
        user: TaskId,
    },
}

/// What a program says about itself: a name, and a number that goes with it.
///
/// Fixed in size, so that a trace stays a list of plain values.
///
/// ```
/// use asupersync::types::event::UserEvent;
/// assert_eq!(UserEvent::from("started"), UserEvent::from(("started", 0)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UserEvent {
    /// What happened.
    pub name: &'static str,
    /// How much of it, or which one; 0 when there is nothing to count.
    pub value: u64,
}

impl From<&'static str> for UserEvent {
    fn from(name: &'static str) -> Self {
        UserEvent { name, value: 0 }
    }
}

impl From<(&'static str, u64)> for UserEvent {
    fn from((name, value): (&'static str, u64)) -> Self {
        UserEvent { name, value }
    }
}
