//! AM042: broadcast channels.

use super::{
    Family, Fix, Item, Rule, Safety, associated, function, kept, method, path, plain, reviewed,
};

const B: Family = Family::Broadcast;

const SENDERS: &str = "ask `statistics().senders`, which does not count weak senders";

/// A method whose result is of the same channel.
const fn carried(from: &'static str) -> Item {
    method(from, B, false, Fix::Same, true)
}

pub(super) const RULE: Rule = Rule {
    code: "AM042",
    title: "`broadcast` channels",
    safety: Safety::Safe,
    before: "
match notices.recv().await {
    Ok(notice) => show(notice),
    Err(RecvError::Lagged(missed)) => warn(missed),
    Err(RecvError::Closed) => return,
}",
    after: "
match notices.recv(cx).await {
    Ok(notice) => show(notice),
    Err(RecvError::Lagged(missed)) => warn(missed),
    Err(RecvError::Closed | RecvError::Cancelled(_)) => return,
}",
    why: "
A receive ends early when the task is asked to stop, with an error of its own: whoever matches a closed channel leaves for it too.
A receiver that goes on after any error would go on for ever then, so it stays on tokio.",
    items: &[
        path("tokio::sync::broadcast", B, "asupersync::channel::broadcast"),
        path("tokio::sync::broadcast::Sender", B, "asupersync::channel::broadcast::Sender"),
        path("tokio::sync::broadcast::WeakSender", B, "asupersync::channel::broadcast::WeakSender"),
        path("tokio::sync::broadcast::Receiver", B, "asupersync::channel::broadcast::Receiver"),
        path("tokio::sync::broadcast::error::SendError", B, "asupersync::channel::broadcast::SendError"),
        path("tokio::sync::broadcast::error::RecvError", B, "asupersync::channel::broadcast::RecvError"),
        path("tokio::sync::broadcast::error::RecvError::Closed", B, "asupersync::channel::broadcast::RecvError::Closed"),
        path("tokio::sync::broadcast::error::RecvError::Lagged", B, "asupersync::channel::broadcast::RecvError::Lagged"),
        path("tokio::sync::broadcast::error::TryRecvError", B, "asupersync::channel::broadcast::TryRecvError"),
        path("tokio::sync::broadcast::error::TryRecvError::Empty", B, "asupersync::channel::broadcast::TryRecvError::Empty"),
        path("tokio::sync::broadcast::error::TryRecvError::Closed", B, "asupersync::channel::broadcast::TryRecvError::Closed"),
        path("tokio::sync::broadcast::error::TryRecvError::Lagged", B, "asupersync::channel::broadcast::TryRecvError::Lagged"),
        reviewed(
            function("tokio::sync::broadcast::channel", B, "asupersync::channel::broadcast::channel", false),
            ROUNDED,
        ),
        reviewed(
            associated("tokio::sync::broadcast::Sender::new", B, false),
            ROUNDED,
        ),
        plain("tokio::sync::broadcast::Sender::send", B),
        carried("tokio::sync::broadcast::Sender::subscribe"),
        carried("tokio::sync::broadcast::Sender::downgrade"),
        carried("tokio::sync::broadcast::WeakSender::upgrade"),
        plain("tokio::sync::broadcast::Sender::receiver_count", B),
        plain("tokio::sync::broadcast::Sender::len", B),
        plain("tokio::sync::broadcast::Sender::is_empty", B),
        plain("tokio::sync::broadcast::Sender::same_channel", B),
        method("tokio::sync::broadcast::Sender::closed", B, true, Fix::Fallible, false),
        kept("tokio::sync::broadcast::Sender::strong_count", B, SENDERS),
        kept("tokio::sync::broadcast::Receiver::sender_strong_count", B, SENDERS),
        method("tokio::sync::broadcast::Receiver::recv", B, true, Fix::Same, true),
        carried("tokio::sync::broadcast::Receiver::try_recv"),
        carried("tokio::sync::broadcast::Receiver::blocking_recv"),
        carried("tokio::sync::broadcast::Receiver::resubscribe"),
        plain("tokio::sync::broadcast::Receiver::is_empty", B),
        plain("tokio::sync::broadcast::Receiver::is_closed", B),
        plain("tokio::sync::broadcast::Receiver::same_channel", B),
        kept("tokio::sync::broadcast::Receiver::len", B, "it counts in `u64`, since a receiver may be far behind: convert it by hand"),
    ],
};

/// Of a capacity that is written as a power of two nothing has to be reviewed.
const ROUNDED: &str = "the capacity is exact, where tokio rounds it up to a power of two: a receiver that is behind misses values \
                       sooner";
