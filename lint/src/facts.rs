//! Facts about libraries that several rules use: which calls spawn, which lose something when dropped, which block.
//!
//! Cancel safety is data (`data/cancel-safety.tsv`), with the tokio version it was read from. Paths are canonical as
//! [`asupersync_source::known::canonical`] makes them.

use std::sync::OnceLock;

/// What dropping a future before it is done loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Work done in part.
    Partial,
    /// The value being sent.
    Message,
    /// The place among the waiters.
    Queue,
}

/// One operation that is not cancel safe.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) path: &'static str,
    pub(crate) loss: Loss,
    pub(crate) lost: &'static str,
    pub(crate) instead: &'static str,
}

/// Every operation that is not cancel safe.
pub(crate) fn operations() -> &'static [Operation] {
    static TABLE: OnceLock<Vec<Operation>> = OnceLock::new();
    TABLE.get_or_init(|| {
        include_str!("../data/cancel-safety.tsv")
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(operation)
            .collect()
    })
}

fn operation(line: &'static str) -> Operation {
    let columns: Vec<&'static str> = line.split('\t').collect();
    let [path, class, _basis, lost, instead] = columns[..] else {
        panic!("cancel-safety table: `{line}` has not five columns");
    };
    let loss = match class {
        "partial" => Loss::Partial,
        "message" => Loss::Message,
        "queue" => Loss::Queue,
        _ => panic!("cancel-safety table: `{class}` is no class"),
    };
    Operation {
        path,
        loss,
        lost,
        instead,
    }
}

/// The operation at a path, if its loss is one of those asked for.
pub(crate) fn operation_at(path: &str, losses: &[Loss]) -> Option<&'static Operation> {
    operations()
        .iter()
        .find(|operation| operation.path == path && losses.contains(&operation.loss))
}

/// The paths of all operations with one of these losses.
pub(crate) fn operations_with(losses: &[Loss]) -> Vec<&'static str> {
    operations()
        .iter()
        .filter(|operation| losses.contains(&operation.loss))
        .map(|operation| operation.path)
        .collect()
}

/// Calls that start a task whose handle does not stop it when dropped.
pub(crate) const SPAWNS: &[&str] = &[
    "tokio::task::spawn",
    "tokio::task::spawn_local",
    "tokio::task::spawn_blocking",
    "tokio::runtime::Handle::spawn",
    "tokio::runtime::Handle::spawn_blocking",
    "tokio::runtime::Runtime::spawn",
    "tokio::runtime::Runtime::spawn_blocking",
    "tokio::task::LocalSet::spawn_local",
    "tokio::task::Builder::spawn",
    "tokio::task::Builder::spawn_on",
    "tokio::task::Builder::spawn_local",
    "tokio::task::Builder::spawn_blocking",
    "async_std::task::spawn",
    "async_std::task::spawn_local",
    "async_std::task::spawn_blocking",
];

/// Timers that drop the future they are given.
pub(crate) const TIMEOUTS: &[&str] = &["tokio::time::timeout", "tokio::time::timeout_at"];

/// Reads of the ambient clock and waits on it.
pub(crate) const AMBIENT_TIME: &[&str] = &[
    "std::time::Instant::now",
    "std::time::Instant::elapsed",
    "std::time::SystemTime::now",
    "std::time::SystemTime::elapsed",
    "tokio::time::Instant::now",
    "tokio::time::Instant::elapsed",
    "tokio::time::sleep",
    "tokio::time::sleep_until",
    "tokio::time::interval",
    "tokio::time::interval_at",
    "tokio::time::timeout",
    "tokio::time::timeout_at",
    "std::thread::sleep",
    "std::thread::sleep_ms",
    "async_std::task::sleep",
];

/// Sleeps that hold the thread.
pub(crate) const BLOCKING_SLEEPS: &[&str] = &["std::thread::sleep", "std::thread::sleep_ms"];

/// Input and output that hold the thread.
pub(crate) const BLOCKING_IO: &[&str] = &[
    "std::fs::read",
    "std::fs::read_to_string",
    "std::fs::write",
    "std::fs::copy",
    "std::fs::rename",
    "std::fs::remove_file",
    "std::fs::remove_dir",
    "std::fs::remove_dir_all",
    "std::fs::create_dir",
    "std::fs::create_dir_all",
    "std::fs::read_dir",
    "std::fs::metadata",
    "std::fs::canonicalize",
    "std::fs::hard_link",
    "std::fs::read_link",
    "std::fs::set_permissions",
    "std::fs::symlink_metadata",
    "std::fs::File::open",
    "std::fs::File::create",
    "std::fs::File::create_new",
    "std::fs::File::sync_all",
    "std::fs::File::sync_data",
    "std::fs::OpenOptions::open",
    "std::net::TcpStream::connect",
    "std::net::TcpStream::connect_timeout",
    "std::net::TcpListener::accept",
    "std::net::UdpSocket::recv_from",
    "std::net::UdpSocket::recv",
    "std::io::Stdin::read_line",
    "std::io::read_to_string",
];

/// Waits for a child process that hold the thread.
pub(crate) const BLOCKING_PROCESS: &[&str] = &[
    "std::process::Command::output",
    "std::process::Command::status",
    "std::process::Child::wait",
    "std::process::Child::wait_with_output",
];

/// Waits for another thread.
pub(crate) const BLOCKING_CHANNEL: &[&str] = &[
    "std::sync::mpsc::Receiver::recv",
    "std::sync::mpsc::Receiver::recv_timeout",
    "std::thread::JoinHandle::join",
];

/// Stands for every function of the linted crates that returns a `JoinHandle`; no path, so nothing else can have it.
pub(crate) const HANDLE_RETURNING: &str = "{returns a handle}";

/// Likewise for every function that returns one of [`OBLIGATIONS`].
pub(crate) const OBLIGATION_RETURNING: &str = "{returns an obligation}";

/// Likewise for every function that awaits what is not cancel safe.
pub(crate) const CANCEL_UNSAFE: &str = "{is not cancel safe}";

/// Likewise for every function the user's configuration says blocks.
pub(crate) const BLOCKING_CONFIGURED: &str = "{blocks, says the configuration}";

/// Whether a watched path stands for functions that are found, not named.
pub(crate) fn is_marker(path: &str) -> bool {
    path.starts_with('{')
}

/// Promises that somebody waits for: used or given back, they are resolved; forgotten, they are not.
pub(crate) const OBLIGATIONS: &[&str] = &[
    "asupersync::channel::mpsc::Permit",
    "asupersync::channel::mpsc::OwnedPermit",
    "asupersync::channel::mpsc::PermitIterator",
    "asupersync::channel::oneshot::Permit",
    "tokio::sync::mpsc::Permit",
    "tokio::sync::mpsc::OwnedPermit",
    "tokio::sync::mpsc::PermitIterator",
];

/// Guards, permits and entered spans: values whose life is what they do.
pub(crate) const GUARDS: &[&str] = &[
    "tokio::sync::MutexGuard",
    "tokio::sync::OwnedMutexGuard",
    "tokio::sync::MappedMutexGuard",
    "tokio::sync::RwLockReadGuard",
    "tokio::sync::RwLockWriteGuard",
    "tokio::sync::OwnedRwLockReadGuard",
    "tokio::sync::OwnedRwLockWriteGuard",
    "tokio::sync::mpsc::Permit",
    "tokio::sync::mpsc::OwnedPermit",
    "tokio::sync::mpsc::PermitIterator",
    "asupersync::channel::mpsc::Permit",
    "asupersync::channel::mpsc::OwnedPermit",
    "asupersync::channel::mpsc::PermitIterator",
    "asupersync::channel::oneshot::Permit",
    "futures_util::lock::MutexGuard",
    "tracing::span::Entered",
    "tracing::span::EnteredSpan",
];

/// Calls that make one of [`OBLIGATIONS`].
pub(crate) const RESERVES: &[&str] = &[
    "asupersync::channel::mpsc::Sender::reserve",
    "asupersync::channel::mpsc::Sender::reserve_owned",
    "asupersync::channel::mpsc::Sender::try_reserve",
    "asupersync::channel::mpsc::Sender::reserve_many",
    "asupersync::channel::mpsc::Sender::try_reserve_many",
    "asupersync::channel::oneshot::Sender::reserve",
    "tokio::sync::mpsc::Sender::reserve",
    "tokio::sync::mpsc::Sender::reserve_owned",
    "tokio::sync::mpsc::Sender::try_reserve",
    "tokio::sync::mpsc::Sender::try_reserve_owned",
    "tokio::sync::mpsc::Sender::reserve_many",
    "tokio::sync::mpsc::Sender::try_reserve_many",
];

/// Calls that run a future to its end on this thread.
pub(crate) const BLOCK_ON: &[&str] = &[
    "tokio::runtime::Runtime::block_on",
    "tokio::runtime::Handle::block_on",
    "tokio::task::LocalSet::block_on",
    "futures::executor::block_on",
    "async_std::task::block_on",
    "pollster::block_on",
    "smol::block_on",
];

/// Channels without a bound.
pub(crate) const UNBOUNDED: &[&str] = &[
    "tokio::sync::mpsc::unbounded_channel",
    "std::sync::mpsc::channel",
    "futures::channel::mpsc::unbounded",
    "async_channel::unbounded",
    "flume::unbounded",
];

/// Other names under which clippy must also know a path, because it looks for the item where it is defined or re-exported.
pub(crate) fn compiler_names(path: &'static str) -> Vec<String> {
    let Some(rest) = path.strip_prefix("futures::") else {
        return vec![path.to_owned()];
    };
    // The `futures` crate re-exports; a program may depend on `futures_util` alone.
    let inner = match rest.split("::").next().unwrap_or(rest) {
        "SinkExt" => format!("futures_util::sink::{rest}"),
        "StreamExt" | "TryStreamExt" => format!("futures_util::stream::{rest}"),
        "AsyncReadExt" | "AsyncWriteExt" | "AsyncBufReadExt" => format!("futures_util::io::{rest}"),
        "channel" => format!("futures_channel::{}", &rest["channel::".len()..]),
        "executor" => format!("futures_executor::{}", &rest["executor::".len()..]),
        _ => format!("futures_util::{rest}"),
    };
    vec![inner]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_has_no_path_twice_and_only_canonical_ones() {
        let mut seen = BTreeSet::new();
        for operation in operations() {
            assert!(seen.insert(operation.path), "{} twice", operation.path);
            assert_eq!(
                asupersync_source::known::canonical(operation.path),
                operation.path
            );
        }
        let lists = [
            SPAWNS,
            TIMEOUTS,
            AMBIENT_TIME,
            BLOCKING_SLEEPS,
            BLOCKING_IO,
            BLOCKING_PROCESS,
            BLOCKING_CHANNEL,
            BLOCK_ON,
            UNBOUNDED,
        ];
        for path in lists.concat() {
            assert_eq!(asupersync_source::known::canonical(path), path);
        }
    }

    #[test]
    fn every_class_has_members() {
        for (loss, least) in [(Loss::Partial, 26), (Loss::Message, 1), (Loss::Queue, 15)] {
            assert!(operations_with(&[loss]).len() >= least, "{loss:?}");
        }
    }
}
