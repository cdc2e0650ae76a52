//! AM043: notifications, permits, values that are made once, and meeting points.

use super::{
    Family, Fix, Form, Item, Rule, Safety, associated, form, function, kept, method, path, plain,
    renamed, reviewed,
};

const N: Family = Family::Notify;
const S: Family = Family::Semaphore;
const O: Family = Family::OnceCell;
const B: Family = Family::Barrier;

const LEASE: &str = "an owned permit is a lease of its task: acquire it by hand, and `transfer` it where it moves into another";
const BLOCKING: &str = "a permit is the lease of a task: `cx.block_on(semaphore.acquire(cx, n))` in a closure of `cx.spawn_blocking`";

const fn acquires(from: &'static str) -> Item {
    form(from, S, Form::Acquire)
}

pub(super) const RULE: Rule = Rule {
    code: "AM043",
    title: "`Notify`, `Semaphore`, `OnceCell` and `Barrier`",
    safety: Safety::Safe,
    before: "
let _permit = limit.acquire().await.unwrap();
changed.notified().await;",
    after: "
let _permit = limit.acquire(cx.cleanup(), 1).await.unwrap();
changed.notified(cx).await?;",
    why: "
A wait ends early when the task is asked to stop, and the code leaves as its callers expect. Where it takes for granted that a permit is
given, or has no way out, it waits through `cx.cleanup()`, which does not end early. A permit is the lease of the task that acquired it, so
one that is owned, and may move into another task, stays on tokio.",
    items: &[
        path("tokio::sync::Notify", N, "asupersync::sync::Notify"),
        associated("tokio::sync::Notify::new", N, false),
        associated("tokio::sync::Notify::default", N, false),
        function("tokio::sync::Notify::const_new", N, "asupersync::sync::Notify::new", false),
        method("tokio::sync::Notify::notified", N, true, Fix::Fallible, false),
        plain("tokio::sync::Notify::notify_one", N),
        plain("tokio::sync::Notify::notify_last", N),
        plain("tokio::sync::Notify::notify_waiters", N),
        path("tokio::sync::Semaphore", S, "asupersync::sync::Semaphore"),
        path("tokio::sync::SemaphorePermit", S, "asupersync::sync::SemaphorePermit"),
        path("tokio::sync::AcquireError", S, "asupersync::sync::AcquireError"),
        path("tokio::sync::TryAcquireError", S, "asupersync::sync::TryAcquireError"),
        path("tokio::sync::TryAcquireError::NoPermits", S, "asupersync::sync::TryAcquireError::NoPermits"),
        path("tokio::sync::TryAcquireError::Closed", S, "asupersync::sync::TryAcquireError::Closed"),
        associated("tokio::sync::Semaphore::new", S, false),
        function("tokio::sync::Semaphore::const_new", S, "asupersync::sync::Semaphore::new", false),
        acquires("tokio::sync::Semaphore::acquire"),
        acquires("tokio::sync::Semaphore::acquire_many"),
        acquires("tokio::sync::Semaphore::try_acquire"),
        acquires("tokio::sync::Semaphore::try_acquire_many"),
        kept("tokio::sync::Semaphore::acquire_owned", S, LEASE),
        kept("tokio::sync::Semaphore::acquire_many_owned", S, LEASE),
        kept("tokio::sync::Semaphore::try_acquire_owned", S, LEASE),
        kept("tokio::sync::Semaphore::try_acquire_many_owned", S, LEASE),
        kept("tokio::sync::Semaphore::blocking_acquire", S, BLOCKING),
        kept("tokio::sync::Semaphore::blocking_acquire_many", S, BLOCKING),
        plain("tokio::sync::Semaphore::add_permits", S),
        plain("tokio::sync::Semaphore::forget_permits", S),
        plain("tokio::sync::Semaphore::available_permits", S),
        plain("tokio::sync::Semaphore::close", S),
        plain("tokio::sync::Semaphore::is_closed", S),
        plain("tokio::sync::SemaphorePermit::forget", S),
        plain("tokio::sync::SemaphorePermit::merge", S),
        renamed("tokio::sync::SemaphorePermit::num_permits", S, "permits"),
        path("tokio::sync::OnceCell", O, "asupersync::sync::OnceCell"),
        associated("tokio::sync::OnceCell::new", O, false),
        associated("tokio::sync::OnceCell::default", O, false),
        associated("tokio::sync::OnceCell::from", O, false),
        function("tokio::sync::OnceCell::const_new", O, "asupersync::sync::OnceCell::new", false),
        method("tokio::sync::OnceCell::get", O, false, Fix::Same, true),
        method("tokio::sync::OnceCell::get_mut", O, false, Fix::Same, true),
        method("tokio::sync::OnceCell::into_inner", O, false, Fix::Same, true),
        method("tokio::sync::OnceCell::take", O, false, Fix::Same, true),
        plain("tokio::sync::OnceCell::set", O),
        method("tokio::sync::OnceCell::get_or_init", O, true, Fix::Guard, true),
        kept("tokio::sync::OnceCell::get_or_try_init", O, "its error tells a failed attempt from a cancelled one: match `InitError` by hand"),
        kept("tokio::sync::OnceCell::initialized", O, "ask `get().is_some()`"),
        path("tokio::sync::Barrier", B, "asupersync::sync::Barrier"),
        path("tokio::sync::BarrierWaitResult", B, "asupersync::sync::BarrierWaitResult"),
        associated("tokio::sync::Barrier::new", B, false),
        reviewed(
            method("tokio::sync::Barrier::wait", B, true, Fix::Guard, false),
            "a task that leaves while it waits breaks the barrier for those it would have met, where tokio lets them wait on",
        ),
        plain("tokio::sync::BarrierWaitResult::is_leader", B),
    ],
};
