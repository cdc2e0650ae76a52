//! AM030: time.

use super::{Family, Fix, Form, Item, Op, Rule, Safety, form, item, path, renamed, reviewed};

const fn on_cx(
    from: &'static str,
    family: Family,
    name: &'static str,
    extra: Option<&'static str>,
    fix: Fix,
) -> Item {
    item(from, family, Op::OnCx { name, extra, fix })
}

const TICK: Op = Op::Method {
    name: None,
    cx: true,
    fix: Fix::Fallible,
    carries: false,
};

pub(super) const RULE: Rule = Rule {
    code: "AM030",
    title: "sleeps, intervals, timeouts and instants",
    safety: Safety::Safe,
    before: "
use tokio::time::{sleep, Instant};
let started = Instant::now();
sleep(PAUSE).await;
log(started.elapsed());",
    after: "
let started = cx.now();
cx.sleep(PAUSE).await?;
log(cx.now().since(started));",
    why: "
Time belongs to the world the task runs in, so it is asked of the `Cx`; in the lab it is virtual. A sleep ends early when the task
is asked to stop, and the rewrite leaves the function the way its callers expect: `?` where the error type takes `Cancelled`,
`return` where nothing is returned. Where neither is possible the wait goes through `cx.cleanup()`, which does not end early.",
    items: &[
        on_cx("tokio::time::sleep", Family::Free, "sleep", None, Fix::Fallible),
        on_cx("tokio::time::sleep_until", Family::Clock, "sleep_until", None, Fix::Fallible),
        on_cx("tokio::task::yield_now", Family::Free, "yield_now", None, Fix::Fallible),
        on_cx(
            "tokio::time::interval",
            Family::Interval,
            "interval",
            Some("asupersync::Missed::Burst"),
            Fix::Same,
        ),
        path("tokio::time::Interval", Family::Interval, "asupersync::time::Interval"),
        item("tokio::time::Interval::tick", Family::Interval, TICK),
        reviewed(
            form("tokio::time::timeout", Family::Timeout, Form::Timeout),
            "at expiry the work is asked to stop and waited for, where tokio drops it at once; only operations that lose nothing are \
             still dropped",
        ),
        path("tokio::time::error::Elapsed", Family::Timeout, "asupersync::TimeoutError"),
        on_cx("tokio::time::Instant::now", Family::Clock, "now", None, Fix::Same),
        path("tokio::time::Instant", Family::Clock, "asupersync::Time"),
        renamed("tokio::time::Instant::duration_since", Family::Clock, "since"),
        renamed("tokio::time::Instant::saturating_duration_since", Family::Clock, "since"),
        form("tokio::time::Instant::elapsed", Family::Clock, Form::Elapsed),
    ],
};
