//! Things a task has promised to finish: reserved, then committed or aborted.

/// What kind of promise an obligation is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ObligationKind {
    /// A reserved place in a channel.
    SendPermit,
    /// A received message that must be acknowledged.
    Ack,
    /// A request that must be answered.
    Reply,
    /// A staged effect that must be committed or rolled back.
    Effect,
    /// A borrowed resource; giving it back by drop is a resolution.
    Lease,
    /// An I/O operation in flight.
    IoOp,
}

impl ObligationKind {
    /// Every kind, in the order of its declaration.
    pub const ALL: [ObligationKind; 6] = [
        ObligationKind::SendPermit,
        ObligationKind::Ack,
        ObligationKind::Reply,
        ObligationKind::Effect,
        ObligationKind::Lease,
        ObligationKind::IoOp,
    ];

    /// Whether dropping it unresolved in a running task is a violation in strict mode.
    pub const fn is_strict(self) -> bool {
        match self {
            ObligationKind::SendPermit
            | ObligationKind::Ack
            | ObligationKind::Reply
            | ObligationKind::Effect => true,
            ObligationKind::Lease | ObligationKind::IoOp => false,
        }
    }
}

/// Why an obligation was aborted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AbortCause {
    /// Its holder was asked to cancel, is finalizing, or is unwinding.
    Cancel,
    /// The operation failed.
    Error,
    /// The holder called `abort`.
    Explicit,
    /// The holder dropped it while running normally.
    Dropped,
    /// Its holder was dropped by escalation.
    Escalated,
}

/// How an obligation ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resolution {
    /// The promised effect happened.
    Committed,
    /// It did not, and everything reserved for it was given back.
    Aborted(AbortCause),
    /// Its holder completed while it was still reserved.
    Leaked,
}

/// What the runtime does when an obligation leaks: when it is still reserved as
/// its holder completes. It is in the region's report in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LeakResponse {
    /// The holder ends with a panic that says so, unless it is unwinding
    /// already or has ended with one. The lab's default.
    Panic,
    /// A line on the error stream. Production's default.
    #[default]
    Log,
    /// Nothing more than the report.
    Count,
}
