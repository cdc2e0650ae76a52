//! AM041: locks.

use super::{Family, Fix, Item, Rule, Safety, associated, function, kept, method, path, plain};

const L: Family = Family::RwLock;
const M: Family = Family::Mutex;

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
        associated("tokio::sync::RwLock::new", L, false),
        associated("tokio::sync::RwLock::default", L, false),
        associated("tokio::sync::RwLock::from", L, false),
        function("tokio::sync::RwLock::const_new", L, "asupersync::sync::RwLock::new", false),
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
        function("tokio::sync::RwLockReadGuard::map", L, "asupersync::sync::ReadGuard::map", false),
        function("tokio::sync::RwLockReadGuard::try_map", L, "asupersync::sync::ReadGuard::try_map", false),
        function("tokio::sync::RwLockWriteGuard::map", L, "asupersync::sync::WriteGuard::map", false),
        function("tokio::sync::RwLockWriteGuard::try_map", L, "asupersync::sync::WriteGuard::try_map", false),
        function("tokio::sync::RwLockWriteGuard::downgrade_map", L, "asupersync::sync::WriteGuard::downgrade_map", false),
        function("tokio::sync::RwLockWriteGuard::try_downgrade_map", L, "asupersync::sync::WriteGuard::try_downgrade_map", false),
        function("tokio::sync::RwLockWriteGuard::into_mapped", L, "asupersync::sync::WriteGuard::into_mapped", false),
        function("tokio::sync::OwnedRwLockReadGuard::map", L, "asupersync::sync::OwnedReadGuard::map", false),
        function("tokio::sync::OwnedRwLockReadGuard::try_map", L, "asupersync::sync::OwnedReadGuard::try_map", false),
        function("tokio::sync::OwnedRwLockWriteGuard::map", L, "asupersync::sync::OwnedWriteGuard::map", false),
        function("tokio::sync::OwnedRwLockWriteGuard::try_map", L, "asupersync::sync::OwnedWriteGuard::try_map", false),
        path("tokio::sync::Mutex", M, "asupersync::sync::Mutex"),
        path("tokio::sync::MutexGuard", M, "asupersync::sync::MutexGuard"),
        path("tokio::sync::MappedMutexGuard", M, "asupersync::sync::MappedMutexGuard"),
        path("tokio::sync::OwnedMutexGuard", M, "asupersync::sync::OwnedMutexGuard"),
        path("tokio::sync::OwnedMappedMutexGuard", M, "asupersync::sync::OwnedMappedMutexGuard"),
        associated("tokio::sync::Mutex::new", M, false),
        associated("tokio::sync::Mutex::default", M, false),
        associated("tokio::sync::Mutex::from", M, false),
        function("tokio::sync::Mutex::const_new", M, "asupersync::sync::Mutex::new", false),
        waits("tokio::sync::Mutex::lock", M),
        waits("tokio::sync::Mutex::lock_owned", M),
        carried("tokio::sync::Mutex::try_lock", M),
        carried("tokio::sync::Mutex::try_lock_owned", M),
        blocks("tokio::sync::Mutex::blocking_lock"),
        blocks("tokio::sync::Mutex::blocking_lock_owned"),
        plain("tokio::sync::Mutex::get_mut", M),
        plain("tokio::sync::Mutex::into_inner", M),
        function("tokio::sync::MutexGuard::map", M, "asupersync::sync::MutexGuard::map", false),
        function("tokio::sync::MutexGuard::try_map", M, "asupersync::sync::MutexGuard::try_map", false),
        function("tokio::sync::OwnedMutexGuard::map", M, "asupersync::sync::OwnedMutexGuard::map", false),
        function("tokio::sync::OwnedMutexGuard::try_map", M, "asupersync::sync::OwnedMutexGuard::try_map", false),
        function("tokio::sync::MutexGuard::mutex", M, "asupersync::sync::MutexGuard::mutex", false),
        function("tokio::sync::OwnedMutexGuard::mutex", M, "asupersync::sync::OwnedMutexGuard::mutex", false),
    ],
};
