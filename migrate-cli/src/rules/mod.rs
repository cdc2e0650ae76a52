//! The rules: what of tokio becomes what, one file each, and the one table that everything else derives from.
//!
//! `explain`, `rules`, the reference in `docs/migration-rules.md`, the analysis and the planner all read [`TABLE`].
//!
//! * A tokio item belongs to at most one rule; what no rule names stays on tokio.
//! * An item's [`Family`] says which values have to move together: a value never changes sides without the functions that make
//!   it, the fields that hold it and the calls that use it.

mod am001;
mod am002;
mod am010;
mod am011;
mod am013;
mod am014;
mod am015;
mod am020;
mod am021;
mod am022;
mod am030;
mod am040;
mod am041;
mod am042;
mod am043;
mod am044;
mod am050;
mod am051;
mod am052;
mod am053;
mod am054;
mod am090;

use std::collections::HashMap;
use std::sync::OnceLock;

/// Whether the result needs a human eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Safety {
    /// Same behaviour, apart from answering cancellation.
    Safe,
    /// Behaviour changes in a way that a reader has to agree with; applied with `--review`.
    Review,
}

impl Safety {
    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            Safety::Safe => "safe",
            Safety::Review => "review",
        }
    }
}

/// One rule, which is also its documentation.
#[derive(Debug)]
pub struct Rule {
    /// `AM` and three digits.
    pub code: &'static str,
    /// What it rewrites, in a few words.
    pub title: &'static str,
    /// The class of its edits, where an item does not say otherwise.
    pub safety: Safety,
    /// Tokio code.
    pub before: &'static str,
    /// What it becomes.
    pub after: &'static str,
    /// Why it becomes that, and what changes.
    pub why: &'static str,
    /// The tokio items it knows.
    pub items: &'static [Item],
}

impl Rule {
    /// The first sentence of why.
    pub fn gist(&self) -> &'static str {
        let why = self.why.trim();
        why.find(". ")
            .or_else(|| why.find(".\n"))
            .map_or(why, |end| &why[..end])
    }
}

/// Which values have to move together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Sockets, byte streams and their wrappers.
    Io,
    /// Directories that are read.
    Dir,
    /// `mpsc` channels.
    Mpsc,
    /// `oneshot` channels.
    Oneshot,
    /// `broadcast` channels.
    Broadcast,
    /// Read-write locks and their guards.
    RwLock,
    /// Mutexes and their guards.
    Mutex,
    /// Notifications.
    Notify,
    /// Semaphores and their permits.
    Semaphore,
    /// Values that are made once.
    OnceCell,
    /// Meeting points.
    Barrier,
    /// `watch` channels.
    Watch,
    /// Streams of signals.
    Signal,
    /// Instants.
    Clock,
    /// Intervals.
    Interval,
    /// Handles of tasks.
    Join,
    /// Runtimes.
    Runtime,
    /// Errors of timeouts.
    Timeout,
    /// Items that no value ties to others: `sleep`, `spawn`, attributes, macros.
    Free,
}

/// A tokio item and what becomes of it.
#[derive(Debug)]
pub struct Item {
    /// Its canonical path; a method stands under its type or trait.
    pub path: &'static str,
    /// The values it belongs to.
    pub family: Family,
    /// What becomes of it.
    pub op: Op,
    /// Why an edit needs review although its rule is safe.
    pub review: Option<&'static str>,
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A type, trait, module or variant gets another path.
    Path(&'static str),
    /// A call of a free function gets another path, and a `cx` first where asked.
    Function {
        /// The new path.
        to: &'static str,
        /// Whether `cx` becomes the first argument.
        cx: bool,
        /// What becomes the last argument.
        extra: Option<&'static str>,
    },
    /// A call of an associated function; its type is an item of its own.
    Associated {
        /// Whether `cx` becomes the first argument.
        cx: bool,
    },
    /// A call that becomes a method of `cx`.
    OnCx {
        /// The method.
        name: &'static str,
        /// What becomes the last argument.
        extra: Option<&'static str>,
        /// What its result becomes.
        fix: Fix,
    },
    /// A method call.
    Method {
        /// The new name, where it changes.
        name: Option<&'static str>,
        /// Whether `cx` becomes the first argument.
        cx: bool,
        /// What its result becomes.
        fix: Fix,
        /// Whether the result holds the receiver or a part of it.
        carries: bool,
    },
    /// A form with a planner of its own.
    Form(Form),
    /// It stays on tokio, with all that its value flows into: its counterpart differs in the way that is said here.
    Kept(&'static str),
}

/// How the result of a rewritten operation differs from tokio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Not at all, or only in the error type.
    Same,
    /// It was an `Option` and is a `Result`.
    OptionToResult,
    /// It was a bare value and is a `Result` that only cancellation makes an error.
    Fallible,
    /// It was a `Result` and is an `Outcome`.
    Outcome,
    /// It was the guard of a lock and is a `Result` that only cancellation makes an error.
    Guard,
    /// It was a bare value and is a `Result` that is never an error where tokio's code moves.
    Sure,
}

/// Forms that are more than a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `#[tokio::main]`.
    Main,
    /// `#[tokio::test]`.
    Test,
    /// `tokio::spawn(..)`.
    Spawn,
    /// `spawn_blocking(..)`.
    SpawnBlocking,
    /// `timeout(duration, future)`.
    Timeout,
    /// `handle.await`.
    AwaitHandle,
    /// `handle.abort()`.
    Abort,
    /// `receiver.await`.
    AwaitOneshot,
    /// `select! { .. }`.
    Select,
    /// `join!(..)`.
    Join,
    /// `pin!(..)`.
    Pin,
    /// `instant.elapsed()`.
    Elapsed,
    /// `runtime.block_on(..)`.
    BlockOn,
    /// `runtime::Builder::new_*()` and the calls chained to it.
    RuntimeBuilder,
    /// `Runtime::new()`.
    RuntimeNew,
    /// `builder.build()`.
    RuntimeBuild,
    /// A call in a builder's chain that has no counterpart and needs none.
    Dropped,
    /// `ctrl_c()`.
    CtrlC,
    /// `socket.send_to(bytes, to)`.
    SendTo,
    /// `semaphore.acquire()` and the like.
    Acquire,
    /// `time::pause()`.
    PauseClock,
    /// `time::advance(..)`.
    AdvanceClock,
}

const fn item(path: &'static str, family: Family, op: Op) -> Item {
    Item {
        path,
        family,
        op,
        review: None,
    }
}

const fn path(from: &'static str, family: Family, to: &'static str) -> Item {
    item(from, family, Op::Path(to))
}

const fn form(path: &'static str, family: Family, form: Form) -> Item {
    item(path, family, Op::Form(form))
}

/// An associated function that keeps its name, and gains a `cx` where asked.
const fn associated(path: &'static str, family: Family, cx: bool) -> Item {
    item(path, family, Op::Associated { cx })
}

/// A function, free or of a type, under another path; it gains a `cx` where asked.
const fn function(path: &'static str, family: Family, to: &'static str, cx: bool) -> Item {
    item(
        path,
        family,
        Op::Function {
            to,
            cx,
            extra: None,
        },
    )
}

/// What stays on tokio, and why.
const fn kept(from: &'static str, family: Family, why: &'static str) -> Item {
    item(from, family, Op::Kept(why))
}

/// A method that keeps its name and its arguments.
const fn plain(path: &'static str, family: Family) -> Item {
    method(path, family, false, Fix::Same, false)
}

/// A method that keeps its name and gains a `cx`.
const fn with_cx(path: &'static str, family: Family) -> Item {
    method(path, family, true, Fix::Same, false)
}

const fn method(path: &'static str, family: Family, cx: bool, fix: Fix, carries: bool) -> Item {
    item(
        path,
        family,
        Op::Method {
            name: None,
            cx,
            fix,
            carries,
        },
    )
}

const fn renamed(path: &'static str, family: Family, name: &'static str) -> Item {
    item(
        path,
        family,
        Op::Method {
            name: Some(name),
            cx: false,
            fix: Fix::Same,
            carries: false,
        },
    )
}

const fn reviewed(item: Item, why: &'static str) -> Item {
    Item {
        review: Some(why),
        ..item
    }
}

/// Every rule, in the order of its code.
pub const TABLE: &[&Rule] = &[
    &am001::RULE,
    &am002::RULE,
    &am010::RULE,
    &am011::RULE,
    &am013::RULE,
    &am014::RULE,
    &am015::RULE,
    &am020::RULE,
    &am021::RULE,
    &am022::RULE,
    &am030::RULE,
    &am040::RULE,
    &am041::RULE,
    &am042::RULE,
    &am043::RULE,
    &am044::RULE,
    &am050::RULE,
    &am051::RULE,
    &am052::RULE,
    &am053::RULE,
    &am054::RULE,
    &am090::RULE,
];

/// The rule with a code, in any case.
pub fn rule(code: &str) -> Option<&'static Rule> {
    TABLE
        .iter()
        .copied()
        .find(|rule| rule.code.eq_ignore_ascii_case(code))
}

/// The rule and the entry of a tokio item.
pub fn lookup(path: &str) -> Option<(&'static Rule, &'static Item)> {
    static INDEX: OnceLock<HashMap<&'static str, (&'static Rule, &'static Item)>> = OnceLock::new();
    INDEX
        .get_or_init(|| {
            TABLE
                .iter()
                .flat_map(|rule| {
                    rule.items
                        .iter()
                        .map(move |item| (item.path, (*rule, item)))
                })
                .collect()
        })
        .get(path)
        .copied()
}

/// The entry of a method of a tokio type, looked for on the type and on the traits it has.
pub fn method_of(ty: &str, name: &str) -> Option<(&'static Rule, &'static Item)> {
    lookup(&format!("{ty}::{name}")).or_else(|| {
        traits_of(ty)
            .iter()
            .find_map(|owner| lookup(&format!("{owner}::{name}")))
    })
}

const READ: &str = "tokio::io::AsyncReadExt";
const WRITE: &str = "tokio::io::AsyncWriteExt";
const BUFFERED: &str = "tokio::io::AsyncBufReadExt";

/// The extension traits whose methods a tokio type or trait bound has.
pub fn traits_of(ty: &str) -> &'static [&'static str] {
    match ty {
        "tokio::net::TcpStream"
        | "tokio::net::UnixStream"
        | "tokio::io::DuplexStream"
        | "tokio::io::BufStream"
        | "tokio::fs::File" => &[READ, WRITE, BUFFERED],
        "tokio::net::tcp::OwnedReadHalf"
        | "tokio::net::tcp::ReadHalf"
        | "tokio::net::unix::OwnedReadHalf"
        | "tokio::io::ReadHalf"
        | "tokio::io::Stdin"
        | "tokio::process::ChildStdout"
        | "tokio::process::ChildStderr"
        | "tokio::io::AsyncRead" => &[READ],
        "tokio::net::tcp::OwnedWriteHalf"
        | "tokio::net::tcp::WriteHalf"
        | "tokio::net::unix::OwnedWriteHalf"
        | "tokio::io::WriteHalf"
        | "tokio::io::Stdout"
        | "tokio::io::Stderr"
        | "tokio::process::ChildStdin"
        | "tokio::io::AsyncWrite" => &[WRITE],
        "tokio::io::BufReader" => &[BUFFERED, READ, WRITE],
        "tokio::io::BufWriter" => &[WRITE, READ],
        "tokio::io::AsyncBufRead" => &[BUFFERED, READ],
        "tokio::io::AsyncReadExt" => &[READ],
        "tokio::io::AsyncWriteExt" => &[WRITE],
        "tokio::io::AsyncBufReadExt" => &[BUFFERED, READ],
        _ => &[],
    }
}

/// The family that a tokio item belongs to, whether or not a rule names it.
pub fn family_of(path: &str) -> Option<Family> {
    if let Some((_, item)) = lookup(path) {
        return Some(item.family);
    }
    // A method or variant of a known type.
    if let Some((owner, _)) = path.rsplit_once("::")
        && let Some((_, item)) = lookup(owner)
        && matches!(item.op, Op::Path(_))
    {
        return Some(item.family);
    }
    const BY_PREFIX: &[(&str, Family)] = &[
        ("tokio::net", Family::Io),
        ("tokio::io", Family::Io),
        ("tokio::fs", Family::Io),
        ("tokio::process", Family::Io),
        ("tokio::sync::mpsc", Family::Mpsc),
        ("tokio::sync::oneshot", Family::Oneshot),
        ("tokio::sync::broadcast", Family::Broadcast),
        ("tokio::sync::watch", Family::Watch),
        ("tokio::signal::unix", Family::Signal),
        ("tokio::time::Instant", Family::Clock),
        ("tokio::time::Interval", Family::Interval),
        ("tokio::time::interval", Family::Interval),
        ("tokio::time::interval_at", Family::Interval),
        ("tokio::time::MissedTickBehavior", Family::Interval),
        ("tokio::time::error", Family::Timeout),
        ("tokio::task::JoinHandle", Family::Join),
        ("tokio::task::AbortHandle", Family::Join),
        ("tokio::task::JoinError", Family::Join),
        ("tokio::runtime", Family::Runtime),
    ];
    BY_PREFIX
        .iter()
        .find(|(prefix, _)| asupersync_source::known::is_prefix(prefix, path))
        .map(|(_, family)| *family)
}

/// Operations that lose nothing when they are dropped half-way.
pub(crate) const DROP_SAFE: &[&str] = &[
    "tokio::net::TcpListener::accept",
    "tokio::io::AsyncReadExt::read",
    "tokio::io::AsyncReadExt::read_buf",
    "tokio::io::AsyncWriteExt::write",
    "tokio::io::Lines::next_line",
    "tokio::sync::mpsc::Receiver::recv",
    "tokio::sync::mpsc::UnboundedReceiver::recv",
    "tokio::sync::mpsc::Sender::reserve",
    "tokio::sync::oneshot::Receiver::await",
    "tokio::net::UdpSocket::send",
    "tokio::net::UdpSocket::send_to",
    "tokio::net::UdpSocket::recv",
    "tokio::net::UdpSocket::recv_from",
    "tokio::net::UdpSocket::peek",
    "tokio::net::UdpSocket::peek_from",
    "tokio::net::UdpSocket::readable",
    "tokio::sync::broadcast::Receiver::recv",
    "tokio::signal::unix::Signal::recv",
    "tokio::sync::watch::Receiver::changed",
    "tokio::sync::watch::Receiver::wait_for",
    "tokio::sync::Notify::notified",
    "tokio::sync::Semaphore::acquire",
    "tokio::sync::Semaphore::acquire_many",
    "tokio::sync::Barrier::wait",
    "tokio::sync::RwLock::read",
    "tokio::sync::RwLock::write",
    "tokio::sync::RwLock::read_owned",
    "tokio::sync::RwLock::write_owned",
    "tokio::sync::Mutex::lock",
    "tokio::sync::Mutex::lock_owned",
    "tokio::time::sleep",
    "tokio::time::sleep_until",
    "tokio::signal::ctrl_c",
    "tokio::io::AsyncReadExt::read_u8",
    "tokio::io::AsyncWriteExt::write_u8",
    "tokio::io::AsyncWriteExt::flush",
    "tokio::io::AsyncBufReadExt::read_until",
    "tokio::task::yield_now",
];

/// Operations whose futures do not say that they lose nothing, though they do, and operations without a rule that lose nothing
/// when they are dropped half-way.
pub(crate) const TOKIO_DROP_SAFE: &[&str] = &[
    "tokio::time::Interval::tick",
    "tokio::sync::watch::Sender::closed",
    "tokio::sync::mpsc::Sender::closed",
    "tokio::task::JoinSet::join_next",
];

/// The type of files.
pub(crate) const FILE: &str = "tokio::fs::File";

/// The trait of tokio's whose method a method of files stands for.
pub(crate) fn replaced_trait(item: &str) -> Option<&'static str> {
    match item.rsplit("::").next()? {
        "read" | "read_to_end" => Some(READ),
        "write" | "write_all" => Some(WRITE),
        "seek" => Some("tokio::io::AsyncSeekExt"),
        _ => None,
    }
}

/// Whether a type or trait is that of a stream, or of a wrapper of one: what a file of the runtime's is not.
pub(crate) fn takes_streams(ty: &str) -> bool {
    asupersync_source::known::is_prefix("tokio", ty)
        && ty != FILE
        && !traits_of(ty).is_empty()
        && !ty.ends_with("Ext")
}

/// The variant of the runtime's that is to be matched where a variant of tokio's is: what makes the code leave that waits.
pub(crate) fn matched_with(item: &str) -> Option<&'static str> {
    (item == "tokio::sync::broadcast::error::RecvError::Closed").then_some("Cancelled(_)")
}

/// Whether what stays on tokio under this path works without a tokio runtime around it.
pub fn needs_no_runtime(path: &str) -> bool {
    const ALONE: &[&str] = &[
        "tokio::sync",
        "tokio::select",
        "tokio::join",
        "tokio::try_join",
        "tokio::pin",
        "tokio::task_local",
        "tokio::io::AsyncRead",
        "tokio::io::AsyncWrite",
        "tokio::io::AsyncBufRead",
        "tokio::io::AsyncSeek",
        "tokio::io::AsyncReadExt",
        "tokio::io::AsyncWriteExt",
        "tokio::io::AsyncBufReadExt",
        "tokio::io::AsyncSeekExt",
        "tokio::io::ReadBuf",
        "tokio::io::BufReader",
        "tokio::io::BufWriter",
        "tokio::io::BufStream",
        "tokio::io::DuplexStream",
        "tokio::io::duplex",
        "tokio::io::copy",
        "tokio::io::copy_buf",
        "tokio::io::copy_bidirectional",
        "tokio::io::split",
        "tokio::io::ReadHalf",
        "tokio::io::WriteHalf",
        "tokio::io::Lines",
        "tokio::io::Empty",
        "tokio::io::Sink",
        "tokio::io::empty",
        "tokio::io::sink",
        "tokio::task::yield_now",
        "tokio::task::JoinError",
        "tokio::time::error",
    ];
    ALONE
        .iter()
        .any(|prefix| asupersync_source::known::is_prefix(prefix, path))
}

/// The reference page of all rules, in Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# Migration rules\n\nGenerated by `asupersync-migrate rules --format markdown`. *Safe* edits keep the behaviour; \
         *review* edits change it in the way described and are applied with `--review`.\n\n| code | rewrites | class |\n|---|---|---|\n",
    );
    for rule in TABLE {
        out.push_str(&format!(
            "| [{0}](#{1}) | {2} | {3} |\n",
            rule.code,
            rule.code.to_lowercase(),
            rule.title,
            rule.safety.word()
        ));
    }
    for rule in TABLE {
        out.push_str(&format!("\n## {}\n\n{}\n", rule.code, explain_body(rule)));
    }
    out
}

/// What `explain` prints for a rule.
pub fn explain(rule: &Rule) -> String {
    format!("{}: {}\n\n{}", rule.code, rule.title, explain_body(rule))
}

fn explain_body(rule: &Rule) -> String {
    let mut out = format!(
        "{} ({}).\n\nBefore:\n\n```rust\n{}\n```\n\nAfter:\n\n```rust\n{}\n```\n\n{}\n",
        rule.title,
        rule.safety.word(),
        rule.before.trim(),
        rule.after.trim(),
        rule.why.trim()
    );
    let reviewed: Vec<&Item> = rule
        .items
        .iter()
        .filter(|item| item.review.is_some())
        .collect();
    if rule.safety == Safety::Safe && !reviewed.is_empty() {
        out.push_str("\nNeeds review:\n\n");
        for item in reviewed {
            out.push_str(&format!(
                "- `{}`: {}\n",
                item.path,
                item.review.unwrap_or_default()
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_in_order_and_items_belong_to_one_rule() {
        let codes: Vec<&str> = TABLE.iter().map(|rule| rule.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        let mut seen = BTreeSet::new();
        for rule in TABLE {
            for item in rule.items {
                assert!(seen.insert(item.path), "{} stands twice", item.path);
                assert!(item.path.starts_with("tokio::"), "{}", item.path);
            }
        }
    }

    #[test]
    fn every_rule_explains_itself() {
        for rule in TABLE {
            for text in [rule.title, rule.before, rule.after, rule.why] {
                assert!(!text.trim().is_empty(), "{}", rule.code);
            }
            assert_ne!(rule.before, rule.after, "{}", rule.code);
            assert!(reference().contains(rule.why.trim()));
        }
    }

    #[test]
    fn methods_are_found_on_types_and_their_traits() {
        let code = |ty, name| method_of(ty, name).map(|(rule, _)| rule.code);
        assert_eq!(code("tokio::sync::mpsc::Receiver", "recv"), Some("AM040"));
        assert_eq!(code("tokio::net::TcpStream", "read_exact"), Some("AM050"));
        assert_eq!(code("tokio::net::TcpStream", "peek"), None);
    }
}
