//! AM044: the latest value of something.

use super::{Family, Fix, Item, Rule, Safety, associated, function, kept, method, path, plain};

const W: Family = Family::Watch;

const fn carried(from: &'static str, cx: bool) -> Item {
    method(from, W, cx, Fix::Same, true)
}

pub(super) const RULE: Rule = Rule {
    code: "AM044",
    title: "`watch` channels",
    safety: Safety::Safe,
    before: "
while settings.changed().await.is_ok() {
    apply(&settings.borrow_and_update());
}",
    after: "
while settings.changed(cx).await.is_ok() {
    apply(&settings.borrow_and_update());
}",
    why: "
A wait for a change ends early when the task is asked to stop, with an error as for a channel whose sender is gone. What `borrow` returns
holds no lock, so it may be kept while somebody sends; in return, a value that is changed in place has to be `Clone`.",
    items: &[
        path("tokio::sync::watch", W, "asupersync::channel::watch"),
        path("tokio::sync::watch::Sender", W, "asupersync::channel::watch::Sender"),
        path("tokio::sync::watch::Receiver", W, "asupersync::channel::watch::Receiver"),
        path("tokio::sync::watch::Ref", W, "asupersync::channel::watch::Ref"),
        path("tokio::sync::watch::error::SendError", W, "asupersync::channel::watch::SendError"),
        path("tokio::sync::watch::error::RecvError", W, "asupersync::channel::watch::RecvError"),
        function("tokio::sync::watch::channel", W, "asupersync::channel::watch::channel", false),
        associated("tokio::sync::watch::Sender::new", W, false),
        plain("tokio::sync::watch::Sender::send", W),
        plain("tokio::sync::watch::Sender::send_modify", W),
        plain("tokio::sync::watch::Sender::send_if_modified", W),
        carried("tokio::sync::watch::Sender::borrow", false),
        carried("tokio::sync::watch::Sender::subscribe", false),
        plain("tokio::sync::watch::Sender::receiver_count", W),
        plain("tokio::sync::watch::Sender::is_closed", W),
        kept("tokio::sync::watch::Sender::send_replace", W, "it gives a `Ref` of the old value: `into_owned` it by hand"),
        carried("tokio::sync::watch::Receiver::changed", true),
        carried("tokio::sync::watch::Receiver::wait_for", true),
        carried("tokio::sync::watch::Receiver::borrow", false),
        carried("tokio::sync::watch::Receiver::borrow_and_update", false),
        plain("tokio::sync::watch::Receiver::mark_changed", W),
        plain("tokio::sync::watch::Receiver::mark_unchanged", W),
        plain("tokio::sync::watch::Receiver::same_channel", W),
        kept("tokio::sync::watch::Receiver::has_changed", W, "it is a `bool` here; whether the sender is gone says `is_closed`"),
    ],
};
