//! What is known of tokio and its neighbours by name.

use crate::model::{BYTES, STREAMS};
use crate::rules::{self, Family};

/// What a tokio function or method hands out, for receivers whose type is not known otherwise.
pub(super) fn results_of(item: &str) -> &'static [&'static str] {
    match item {
        "tokio::sync::mpsc::channel" => {
            &["tokio::sync::mpsc::Sender", "tokio::sync::mpsc::Receiver"]
        }
        "tokio::sync::mpsc::unbounded_channel" => &[
            "tokio::sync::mpsc::UnboundedSender",
            "tokio::sync::mpsc::UnboundedReceiver",
        ],
        "tokio::sync::oneshot::channel" => &[
            "tokio::sync::oneshot::Sender",
            "tokio::sync::oneshot::Receiver",
        ],
        "tokio::sync::mpsc::Sender::reserve_many"
        | "tokio::sync::mpsc::Sender::try_reserve_many" => &["tokio::sync::mpsc::Permit"],
        "tokio::sync::broadcast::channel" => &[
            "tokio::sync::broadcast::Sender",
            "tokio::sync::broadcast::Receiver",
        ],
        "tokio::sync::broadcast::Sender::subscribe" => &["tokio::sync::broadcast::Receiver"],
        "tokio::sync::RwLock::new" | "tokio::sync::RwLock::const_new" => &["tokio::sync::RwLock"],
        "tokio::sync::RwLock::read" | "tokio::sync::RwLock::try_read" => {
            &["tokio::sync::RwLockReadGuard"]
        }
        "tokio::sync::RwLock::write" | "tokio::sync::RwLock::try_write" => {
            &["tokio::sync::RwLockWriteGuard"]
        }
        "tokio::sync::RwLock::write_owned" | "tokio::sync::RwLock::try_write_owned" => {
            &["tokio::sync::OwnedRwLockWriteGuard"]
        }
        "tokio::sync::Mutex::new" | "tokio::sync::Mutex::const_new" => &["tokio::sync::Mutex"],
        "tokio::net::UdpSocket::bind" => &["tokio::net::UdpSocket"],
        "tokio::fs::File::open" | "tokio::fs::File::create" | "tokio::fs::OpenOptions::open" => {
            &[rules::FILE]
        }
        "tokio::fs::OpenOptions::new" => &["tokio::fs::OpenOptions"],
        "tokio::fs::read_dir" => &["tokio::fs::ReadDir"],
        "tokio::fs::ReadDir::next_entry" => &["tokio::fs::DirEntry"],
        "tokio::net::TcpListener::bind" => &["tokio::net::TcpListener"],
        "tokio::net::TcpStream::connect" | "tokio::net::TcpListener::accept" => {
            &["tokio::net::TcpStream"]
        }
        "tokio::net::TcpStream::into_split" => &[
            "tokio::net::tcp::OwnedReadHalf",
            "tokio::net::tcp::OwnedWriteHalf",
        ],
        "tokio::io::split" => &["tokio::io::ReadHalf", "tokio::io::WriteHalf"],
        "tokio::io::BufReader::new" => &["tokio::io::BufReader"],
        "tokio::io::BufWriter::new" => &["tokio::io::BufWriter"],
        "tokio::io::AsyncBufReadExt::lines" => &["tokio::io::Lines"],
        "tokio::time::interval" => &["tokio::time::Interval"],
        "tokio::time::Instant::now" => &["tokio::time::Instant"],
        "tokio::runtime::Runtime::new" => &["tokio::runtime::Runtime"],
        _ => &[],
    }
}

/// Whether a function or method takes futures of any kind, handles of tasks among them.
pub(super) fn combines_futures(callee: &str) -> bool {
    [
        "futures",
        "futures_lite",
        "futures_concurrency",
        "tokio_stream",
    ]
    .iter()
    .any(|name| asupersync_source::known::is_prefix(name, callee))
}

/// Whether an item belongs to a library whose types and functions take tokio's streams and channels.
pub(super) fn is_of_tokio_library(path: &str) -> bool {
    const NAMES: &[&str] = &[
        "axum",
        "h2",
        "hyper",
        "hyper_util",
        "tonic",
        "tower_http",
        "warp",
    ];
    let is_under = |prefix: &str| asupersync_source::known::is_prefix(prefix, path);
    let name = path.split("::").next().unwrap_or(path);
    match name {
        // The rest of it is about streams of any kind.
        "tokio_stream" => is_under("tokio_stream::wrappers"),
        "tokio_util" => {
            !is_under("tokio_util::sync::CancellationToken") && !is_under("tokio_util::task")
        }
        name => name.starts_with("tokio_") || NAMES.contains(&name),
    }
}

/// What the types of a library of tokio's hold, where they are wrappers of a byte stream and nothing else.
pub(super) fn held_by_library(path: &str) -> &'static [Family] {
    const WRAPPERS: &[&str] = &[
        "tokio_native_tls",
        "tokio_openssl",
        "tokio_rustls",
        "tokio_socks",
        "tokio_tungstenite",
    ];
    let name = path.split("::").next().unwrap_or(path);
    if WRAPPERS.contains(&name) {
        BYTES
    } else {
        STREAMS
    }
}

/// Methods that every type has, or may have, from a trait of the standard library: no use of tokio by themselves.
pub(super) fn is_of_std_trait(name: &str) -> bool {
    matches!(
        name,
        "as_ref"
            | "as_mut"
            | "borrow"
            | "borrow_mut"
            | "clone"
            | "clone_from"
            | "cmp"
            | "deref"
            | "eq"
            | "fmt"
            | "hash"
            | "into"
            | "ne"
            | "partial_cmp"
            | "source"
            | "to_owned"
            | "to_string"
            | "try_into"
            | "type_id"
    )
}

/// Whether methods called on a type of tokio's are mostly those of the value that it gives access to.
pub(super) fn is_guard(path: &str) -> bool {
    path.ends_with("Guard") || path == "tokio::sync::watch::Ref"
}

pub(super) fn is_receive(item: &str) -> bool {
    matches!(
        item,
        "tokio::sync::mpsc::Receiver::recv" | "tokio::sync::mpsc::UnboundedReceiver::recv"
    )
}
