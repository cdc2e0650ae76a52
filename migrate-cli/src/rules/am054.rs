//! AM054: signals of the process.

use super::{Family, Fix, Item, Rule, Safety, associated, function, method, path};

const F: Family = Family::Signal;

const fn kind(from: &'static str) -> Item {
    associated(from, F, false)
}

pub(super) const RULE: Rule = Rule {
    code: "AM054",
    title: "`signal::unix`",
    safety: Safety::Review,
    before: "
let mut hangup = signal(SignalKind::hangup())?;
loop {
    hangup.recv().await;
    reload()?;
}",
    after: "
let mut hangup = asupersync::signal::unix(cx, SignalKind::hangup())?;
loop {
    hangup.recv(cx).await?;
    reload()?;
}",
    why: "
A wait for a signal ends early when the task is asked to stop, and the code leaves as its callers expect. After the last stream of a
signal the signal does again what it does by default, where tokio never lets it. While a stream of SIGTERM or SIGINT is open, that
signal cancels nothing by itself.",
    items: &[
        path("tokio::signal::unix", F, "asupersync::signal"),
        path("tokio::signal::unix::Signal", F, "asupersync::signal::Signal"),
        path("tokio::signal::unix::SignalKind", F, "asupersync::signal::SignalKind"),
        function("tokio::signal::unix::signal", F, "asupersync::signal::unix", true),
        method("tokio::signal::unix::Signal::recv", F, true, Fix::Fallible, false),
        kind("tokio::signal::unix::SignalKind::alarm"),
        kind("tokio::signal::unix::SignalKind::child"),
        kind("tokio::signal::unix::SignalKind::hangup"),
        kind("tokio::signal::unix::SignalKind::interrupt"),
        kind("tokio::signal::unix::SignalKind::io"),
        kind("tokio::signal::unix::SignalKind::pipe"),
        kind("tokio::signal::unix::SignalKind::quit"),
        kind("tokio::signal::unix::SignalKind::terminate"),
        kind("tokio::signal::unix::SignalKind::user_defined1"),
        kind("tokio::signal::unix::SignalKind::user_defined2"),
        kind("tokio::signal::unix::SignalKind::window_change"),
        kind("tokio::signal::unix::SignalKind::from_raw"),
    ],
};
