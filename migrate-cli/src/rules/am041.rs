//! AM041: locks.

use super::{Family, Fix, Item, Op, Rule, Safety, item, kept, method, path, plain};

const L: Family = Family::RwLock;
const M: Family = Family::Mutex;

/// An associated function that keeps its name and its arguments.
const fn wrapped(from: &'static str, family: Family) -> Item {
    item(from, family, Op::Associated { cx: false })
}

/// A function of a type under another name.
const fn function(from: &'static str, family: Family, to: &'static str) -> Item {
    item(
        from,
        family,
        Op::Function {
            to,
            cx: false,
            extra: None,
        },
    )
}

/// A wait for the lock.
const fn waits(from: &'static str, family: Family) -> Item {
    method(from, family, true, Fix::Guard, true)
}

/// A method whose result holds the lock.
const fn carried(from: &'static str, family: Family) -> Item {
    method(from, family, false, Fix::Same, true)
}

/// A lock that blocks its thread, which only a poisoning mutex makes fail.
const fn blocks(from: &'static str) -> Item {
    method(from, M, false, Fix::Sure, true)
}

const MAX_READERS: &str = "there is room for as many readers as tokio's default: use `RwLock::new`, and a `Semaphore` before it where readers must be few";

pub(super) const RULE: Rule = Rule {
    code: "AM041",
    title: "`RwLock` and `Mutex`",
    safety: Safety::Safe,
    before: "
async fn lookup(table: &RwLock<Table>, key: &str) -> io::Result<Option<Entry>> {
    Ok(table.read().await.get(key).cloned())
}

async fn forget(table: &RwLock<Table>, key: &str) {
    table.write().await.remove(key);
}",
    after: "
async fn lookup(cx: &Cx, table: &RwLock<Table>, key: &str) -> io::Result<Option<Entry>> {
    Ok(table.read(cx).await?.get(key).cloned())
}

async fn forget(cx: &Cx, table: &RwLock<Table>, key: &str) {
    table.write(cx.cleanup()).await.unwrap().remove(key);
}",
    why: "
A wait for a lock ends early when the task is asked to stop, and the function fails as its callers expect: `?` where the error type
takes the error (a mutex has one of its own, which no I/O error is made of). Where there is no such way out the wait goes through `cx.cleanup()`, which does not end early, so that it cannot
fail. Waiters stand in one fair line, as before; a mutex is not poisoned by a panic, as before.",
    items: &[
        path("tokio::sync::RwLock", L, "asupersync::sync::RwLock"),
        path("tokio::sync::RwLockReadGuard", L, "asupersync::sync::ReadGuard"),
        path("tokio::sync::RwLockWriteGuard", L, "asupersync::sync::WriteGuard"),
        path("tokio::sync::RwLockMappedWriteGuard", L, "asupersync::sync::MappedWriteGuard"),
        path("tokio::sync::OwnedRwLockReadGuard", L, "asupersync::sync::OwnedReadGuard"),
        path("tokio::sync::OwnedRwLockWriteGuard", L, "asupersync::sync::OwnedWriteGuard"),
        path("tokio::sync::OwnedRwLockMappedWriteGuard", L, "asupersync::sync::OwnedMappedWriteGuard"),
        wrapped("tokio::sync::RwLock::new", L),
        wrapped("tokio::sync::RwLock::default", L),
        wrapped("tokio::sync::RwLock::from", L),
        function("tokio::sync::RwLock::const_new", L, "asupersync::sync::RwLock::new"),
        kept("tokio::sync::RwLock::with_max_readers", L, MAX_READERS),
        kept("tokio::sync::RwLock::const_with_max_readers", L, MAX_READERS),
        waits("tokio::sync::RwLock::read", L),
        waits("tokio::sync::RwLock::write", L),
        waits("tokio::sync::RwLock::read_owned", L),
        waits("tokio::sync::RwLock::write_owned", L),
        carried("tokio::sync::RwLock::try_read", L),
        carried("tokio::sync::RwLock::try_write", L),
        carried("tokio::sync::RwLock::try_read_owned", L),
        carried("tokio::sync::RwLock::try_write_owned", L),
        carried("tokio::sync::RwLock::blocking_read", L),
        carried("tokio::sync::RwLock::blocking_write", L),
        plain("tokio::sync::RwLock::get_mut", L),
        plain("tokio::sync::RwLock::into_inner", L),
        carried("tokio::sync::RwLockWriteGuard::downgrade", L),
        carried("tokio::sync::OwnedRwLockWriteGuard::downgrade", L),
        function("tokio::sync::RwLockReadGuard::map", L, "asupersync::sync::ReadGuard::map"),
        function("tokio::sync::RwLockReadGuard::try_map", L, "asupersync::sync::ReadGuard::try_map"),
        function("tokio::sync::RwLockWriteGuard::map", L, "asupersync::sync::WriteGuard::map"),
        function("tokio::sync::RwLockWriteGuard::try_map", L, "asupersync::sync::WriteGuard::try_map"),
        function("tokio::sync::RwLockWriteGuard::downgrade_map", L, "asupersync::sync::WriteGuard::downgrade_map"),
        function("tokio::sync::RwLockWriteGuard::try_downgrade_map", L, "asupersync::sync::WriteGuard::try_downgrade_map"),
        function("tokio::sync::RwLockWriteGuard::into_mapped", L, "asupersync::sync::WriteGuard::into_mapped"),
        function("tokio::sync::OwnedRwLockReadGuard::map", L, "asupersync::sync::OwnedReadGuard::map"),
        function("tokio::sync::OwnedRwLockReadGuard::try_map", L, "asupersync::sync::OwnedReadGuard::try_map"),
        function("tokio::sync::OwnedRwLockWriteGuard::map", L, "asupersync::sync::OwnedWriteGuard::map"),
        function("tokio::sync::OwnedRwLockWriteGuard::try_map", L, "asupersync::sync::OwnedWriteGuard::try_map"),
        path("tokio::sync::Mutex", M, "asupersync::sync::Mutex"),
        path("tokio::sync::MutexGuard", M, "asupersync::sync::MutexGuard"),
        path("tokio::sync::MappedMutexGuard", M, "asupersync::sync::MappedMutexGuard"),
        path("tokio::sync::OwnedMutexGuard", M, "asupersync::sync::OwnedMutexGuard"),
        path("tokio::sync::OwnedMappedMutexGuard", M, "asupersync::sync::OwnedMappedMutexGuard"),
        wrapped("tokio::sync::Mutex::new", M),
        wrapped("tokio::sync::Mutex::default", M),
        wrapped("tokio::sync::Mutex::from", M),
        function("tokio::sync::Mutex::const_new", M, "asupersync::sync::Mutex::new"),
        waits("tokio::sync::Mutex::lock", M),
        waits("tokio::sync::Mutex::lock_owned", M),
        carried("tokio::sync::Mutex::try_lock", M),
        carried("tokio::sync::Mutex::try_lock_owned", M),
        blocks("tokio::sync::Mutex::blocking_lock"),
        blocks("tokio::sync::Mutex::blocking_lock_owned"),
        plain("tokio::sync::Mutex::get_mut", M),
        plain("tokio::sync::Mutex::into_inner", M),
        function("tokio::sync::MutexGuard::map", M, "asupersync::sync::MutexGuard::map"),
        function("tokio::sync::MutexGuard::try_map", M, "asupersync::sync::MutexGuard::try_map"),
        function("tokio::sync::OwnedMutexGuard::map", M, "asupersync::sync::OwnedMutexGuard::map"),
        function("tokio::sync::OwnedMutexGuard::try_map", M, "asupersync::sync::OwnedMutexGuard::try_map"),
        function("tokio::sync::MutexGuard::mutex", M, "asupersync::sync::MutexGuard::mutex"),
        function("tokio::sync::OwnedMutexGuard::mutex", M, "asupersync::sync::OwnedMutexGuard::mutex"),
    ],
};
