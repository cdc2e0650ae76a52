//! AM040: channels.

use super::{
    Family, Fix, Form, Item, Op, Rule, Safety, form, item, kept, method, path, plain, with_cx,
};

const M: Family = Family::Mpsc;
const O: Family = Family::Oneshot;

const fn constructor(
    from: &'static str,
    family: Family,
    to: &'static str,
    extra: Option<&'static str>,
) -> Item {
    item(
        from,
        family,
        Op::Function {
            to,
            cx: false,
            extra,
        },
    )
}

const LEASE: &str = "an owned permit is an obligation of its task: reserve it by hand, and `transfer` it where it moves into another";
const CAPACITY: &str = "`capacity()` is what tokio calls `max_capacity()`: what is free is the capacity less what `statistics()` counts";

pub(super) const RULE: Rule = Rule {
    code: "AM040",
    title: "`mpsc` and `oneshot` channels",
    safety: Safety::Safe,
    before: "
while let Some(line) = lines.recv().await {
    writer.write_all(line.as_bytes()).await?;
}",
    after: "
let cx = cx.cleanup();
while let Ok(line) = lines.recv(cx).await {
    writer.write_all(cx, line.as_bytes()).await?;
}",
    why: "
A wait on a channel ends early when the task is asked to stop; the queue keeps its values. A single receive and a send therefore
take the task's `cx`. A loop that consumes a channel until its senders are gone would lose what is queued, so it drains: it waits
through `cx.cleanup()`, ends when its senders end, and is bounded by the cleanup budget. That needs review: check that the senders
do end when the region is cancelled.",
    items: &[
        path("tokio::sync::mpsc", M, "asupersync::channel::mpsc"),
        path("tokio::sync::mpsc::Sender", M, "asupersync::channel::mpsc::Sender"),
        path("tokio::sync::mpsc::Receiver", M, "asupersync::channel::mpsc::Receiver"),
        path("tokio::sync::mpsc::UnboundedSender", M, "asupersync::channel::mpsc::UnboundedSender"),
        path("tokio::sync::mpsc::UnboundedReceiver", M, "asupersync::channel::mpsc::UnboundedReceiver"),
        path("tokio::sync::mpsc::WeakSender", M, "asupersync::channel::mpsc::WeakSender"),
        path("tokio::sync::mpsc::PermitIterator", M, "asupersync::channel::mpsc::PermitIterator"),
        path("tokio::sync::mpsc::Permit", M, "asupersync::channel::mpsc::Permit"),
        path("tokio::sync::mpsc::error::SendError", M, "asupersync::channel::mpsc::SendError"),
        path("tokio::sync::mpsc::error::TrySendError", M, "asupersync::channel::mpsc::TrySendError"),
        path("tokio::sync::mpsc::error::TrySendError::Full", M, "asupersync::channel::mpsc::TrySendError::Full"),
        path("tokio::sync::mpsc::error::TrySendError::Closed", M, "asupersync::channel::mpsc::TrySendError::Closed"),
        path("tokio::sync::mpsc::error::TryRecvError", M, "asupersync::channel::mpsc::TryRecvError"),
        path("tokio::sync::mpsc::error::TryRecvError::Empty", M, "asupersync::channel::mpsc::TryRecvError::Empty"),
        path("tokio::sync::mpsc::error::TryRecvError::Disconnected", M, "asupersync::channel::mpsc::TryRecvError::Closed"),
        constructor("tokio::sync::mpsc::channel", M, "asupersync::channel::mpsc::channel", None),
        constructor(
            "tokio::sync::mpsc::unbounded_channel",
            M,
            "asupersync::channel::mpsc::unbounded_channel",
            Some("\"senders never wait\""),
        ),
        with_cx("tokio::sync::mpsc::Sender::send", M),
        plain("tokio::sync::mpsc::Sender::try_send", M),
        method("tokio::sync::mpsc::Sender::reserve", M, true, Fix::Same, true),
        with_cx("tokio::sync::mpsc::Sender::reserve_many", M),
        with_cx("tokio::sync::mpsc::Sender::try_reserve_many", M),
        method("tokio::sync::mpsc::Sender::try_reserve", M, true, Fix::Same, true),
        plain("tokio::sync::mpsc::Sender::blocking_send", M),
        plain("tokio::sync::mpsc::Sender::same_channel", M),
        method("tokio::sync::mpsc::Sender::downgrade", M, false, Fix::Same, true),
        method("tokio::sync::mpsc::WeakSender::upgrade", M, false, Fix::Same, true),
        kept("tokio::sync::mpsc::Sender::reserve_owned", M, LEASE),
        kept("tokio::sync::mpsc::Sender::try_reserve_owned", M, LEASE),
        kept("tokio::sync::mpsc::Sender::capacity", M, CAPACITY),
        kept("tokio::sync::mpsc::Receiver::capacity", M, CAPACITY),
        plain("tokio::sync::mpsc::Sender::is_closed", M),
        plain("tokio::sync::mpsc::UnboundedSender::send", M),
        plain("tokio::sync::mpsc::UnboundedSender::is_closed", M),
        plain("tokio::sync::mpsc::UnboundedSender::same_channel", M),
        method("tokio::sync::mpsc::Receiver::blocking_recv", M, false, Fix::OptionToResult, true),
        method("tokio::sync::mpsc::UnboundedReceiver::blocking_recv", M, false, Fix::OptionToResult, true),
        plain("tokio::sync::mpsc::Permit::send", M),
        method("tokio::sync::mpsc::Receiver::recv", M, true, Fix::OptionToResult, true),
        method("tokio::sync::mpsc::Receiver::try_recv", M, false, Fix::Same, true),
        plain("tokio::sync::mpsc::Receiver::close", M),
        method("tokio::sync::mpsc::UnboundedReceiver::recv", M, true, Fix::OptionToResult, true),
        method("tokio::sync::mpsc::UnboundedReceiver::try_recv", M, false, Fix::Same, true),
        plain("tokio::sync::mpsc::UnboundedReceiver::close", M),
        path("tokio::sync::oneshot", O, "asupersync::channel::oneshot"),
        path("tokio::sync::oneshot::Sender", O, "asupersync::channel::oneshot::Sender"),
        path("tokio::sync::oneshot::Receiver", O, "asupersync::channel::oneshot::Receiver"),
        path("tokio::sync::oneshot::error::RecvError", O, "asupersync::channel::oneshot::RecvError"),
        path("tokio::sync::oneshot::error::TryRecvError", O, "asupersync::channel::oneshot::TryRecvError"),
        path("tokio::sync::oneshot::error::TryRecvError::Empty", O, "asupersync::channel::oneshot::TryRecvError::Empty"),
        path("tokio::sync::oneshot::error::TryRecvError::Closed", O, "asupersync::channel::oneshot::TryRecvError::Closed"),
        constructor("tokio::sync::oneshot::channel", O, "asupersync::channel::oneshot::channel", None),
        plain("tokio::sync::oneshot::Sender::send", O),
        plain("tokio::sync::oneshot::Sender::is_closed", O),
        plain("tokio::sync::oneshot::Receiver::close", O),
        method("tokio::sync::oneshot::Receiver::blocking_recv", O, false, Fix::Same, true),
        method("tokio::sync::oneshot::Receiver::try_recv", O, false, Fix::Same, true),
        form("tokio::sync::oneshot::Receiver::await", O, Form::AwaitOneshot),
    ],
};
