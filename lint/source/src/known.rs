//! What is known of std, tokio and futures without their source: names, results of functions, canonical paths.
//!
//! The signatures are data (`data/signatures.txt`), parsed once. A name that the table lacks is not an error anywhere: a type
//! is then unknown, and only a glob import of the crate that has it stays unresolved.

use crate::types::Ty;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

/// A result as the table writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    Unknown,
    Receiver,
    ReceiverArgument(usize),
    Argument(usize),
    Turbofish(usize),
    SpawnedOutput,
    This,
    Path(String, Vec<Template>),
    Tuple(Vec<Template>),
    Future(Box<Template>),
}

/// What a call supplies to a template.
#[derive(Default)]
pub(crate) struct Supply<'a> {
    /// The type the method was found on, for `Self` and `$0`.
    pub(crate) this: Option<&'a Ty>,
    /// The receiver as it stands, for `$R`.
    pub(crate) receiver: Option<&'a Ty>,
    /// The types of the arguments, for `$A0` and `$F` (the output of the future that is the first).
    pub(crate) arguments: &'a [Ty],
    /// The generic arguments written at the call, for `$T0`.
    pub(crate) turbofish: &'a [Ty],
}

impl Template {
    pub(crate) fn fill(&self, supply: &Supply<'_>) -> Ty {
        let of = |list: &[Ty], at: usize| list.get(at).cloned().unwrap_or(Ty::Unknown);
        match self {
            Template::Unknown => Ty::Unknown,
            Template::This => supply.this.cloned().unwrap_or(Ty::Unknown),
            Template::Receiver => supply.receiver.cloned().unwrap_or(Ty::Unknown),
            Template::ReceiverArgument(at) => supply
                .this
                .map_or(Ty::Unknown, |this| of(this.arguments(), *at)),
            Template::Argument(at) => of(supply.arguments, *at),
            Template::Turbofish(at) => of(supply.turbofish, *at),
            Template::SpawnedOutput => of(supply.arguments, 0).awaited(),
            Template::Path(path, arguments) => Ty::Path {
                path: path.clone(),
                arguments: arguments.iter().map(|part| part.fill(supply)).collect(),
            },
            Template::Tuple(parts) => {
                Ty::Tuple(parts.iter().map(|part| part.fill(supply)).collect())
            }
            Template::Future(output) => Ty::Future(Box::new(output.fill(supply))),
        }
    }
}

pub(crate) struct Known {
    /// Absolute path of a function, method or (with a dot) field, to its result.
    results: HashMap<String, Template>,
    /// Every path that exists, modules included.
    names: HashSet<String>,
    /// Trait path to its methods.
    traits: BTreeMap<String, Vec<String>>,
}

impl Known {
    pub(crate) fn get() -> &'static Known {
        static TABLE: OnceLock<Known> = OnceLock::new();
        TABLE.get_or_init(|| parse(include_str!("../data/signatures.txt")))
    }

    pub(crate) fn result(&self, path: &str) -> Option<&Template> {
        self.results.get(path)
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.names.contains(path)
    }

    pub(crate) fn traits_with<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a str> {
        self.traits
            .iter()
            .filter(move |(_, methods)| methods.iter().any(|known| known == method))
            .map(|(path, _)| path.as_str())
    }
}

fn parse(text: &str) -> Known {
    let mut known = Known {
        results: HashMap::new(),
        names: HashSet::new(),
        traits: BTreeMap::new(),
    };
    let mut header = String::new();
    let mut is_trait = false;
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(entry) = line.strip_prefix("  ") {
            let (name, result) = entry
                .split_once(": ")
                .unwrap_or_else(|| panic!("signature table: `{line}` has no result"));
            let name = name.trim_end_matches('!');
            let path = format!("{header}::{name}");
            known.results.insert(path.clone(), template(result));
            add_name(&mut known.names, &path);
            if is_trait {
                known
                    .traits
                    .entry(header.clone())
                    .or_default()
                    .push(name.to_owned());
            }
        } else {
            let (kind, path) = line
                .split_once(' ')
                .unwrap_or_else(|| panic!("signature table: `{line}` is no header"));
            is_trait = kind == "trait";
            header = path.to_owned();
            add_name(&mut known.names, path);
        }
    }
    known
}

fn add_name(names: &mut HashSet<String>, path: &str) {
    let mut end = path.len();
    loop {
        if !names.insert(path[..end].to_owned()) {
            return;
        }
        match path[..end].rfind("::") {
            Some(at) => end = at,
            None => return,
        }
    }
}

fn template(text: &str) -> Template {
    let text = text.trim();
    if let Some(output) = text.strip_prefix("async ") {
        return Template::Future(Box::new(template(output)));
    }
    if let Some(inner) = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        return Template::Tuple(split(inner).into_iter().map(template).collect());
    }
    match text {
        "_" => return Template::Unknown,
        "Self" => return Template::This,
        "$F" => return Template::SpawnedOutput,
        "$R" => return Template::Receiver,
        _ => {}
    }
    let number = |digits: &str| {
        digits
            .parse()
            .unwrap_or_else(|_| panic!("signature table: `{text}` is no placeholder"))
    };
    if let Some(digits) = text.strip_prefix("$A") {
        return Template::Argument(number(digits));
    }
    if let Some(digits) = text.strip_prefix("$T") {
        return Template::Turbofish(number(digits));
    }
    if let Some(digits) = text.strip_prefix('$') {
        return Template::ReceiverArgument(number(digits));
    }
    let (name, arguments) = match text.split_once('<') {
        Some((name, rest)) => {
            let inner = rest.strip_suffix('>').unwrap_or(rest);
            (name, split(inner).into_iter().map(template).collect())
        }
        None => (text, Vec::new()),
    };
    let path = |path: &str, arguments| Template::Path(path.to_owned(), arguments);
    match name {
        "io" => {
            let mut arguments = arguments;
            arguments.push(path("std::io::Error", Vec::new()));
            path("std::result::Result", arguments)
        }
        "res" => path("std::result::Result", arguments),
        "opt" => path("std::option::Option", arguments),
        other => path(other, arguments),
    }
}

/// Splits at the commas that stand in no bracket.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        parts.push(&text[start..]);
    }
    parts
}

/// The one name under which re-exported items of std, tokio and futures are known, by prefix; the longest match wins.
const CANONICAL: &[(&str, &str)] = &[
    ("core", "std"),
    ("alloc", "std"),
    ("tokio::spawn", "tokio::task::spawn"),
    ("tokio::time::Duration", "std::time::Duration"),
    ("tokio::sync::Notified", "tokio::sync::futures::Notified"),
    ("tokio::net::tcp::TcpListener", "tokio::net::TcpListener"),
    ("tokio::net::tcp::TcpStream", "tokio::net::TcpStream"),
    ("futures_util", "futures"),
    ("futures_core", "futures"),
    ("futures_sink", "futures"),
    ("futures_channel", "futures::channel"),
    ("futures_executor", "futures::executor"),
    ("futures_io", "futures::io"),
    ("futures::sink::SinkExt", "futures::SinkExt"),
    ("futures::stream::StreamExt", "futures::StreamExt"),
    ("futures::stream::TryStreamExt", "futures::TryStreamExt"),
    ("futures::stream::Stream", "futures::Stream"),
    ("futures::future::FutureExt", "futures::FutureExt"),
    ("futures::future::TryFutureExt", "futures::TryFutureExt"),
    ("futures::io::AsyncReadExt", "futures::AsyncReadExt"),
    ("futures::io::AsyncWriteExt", "futures::AsyncWriteExt"),
    ("futures::io::AsyncBufReadExt", "futures::AsyncBufReadExt"),
    ("futures::prelude", "futures"),
    ("futures::prelude::future", "futures::future"),
    ("futures::prelude::stream", "futures::stream"),
    ("asupersync::cx", "asupersync"),
    ("asupersync::exec::handle", "asupersync"),
    ("asupersync::lab::LabRuntime", "asupersync::LabRuntime"),
    ("asupersync::runtime::Runtime", "asupersync::Runtime"),
    ("asupersync::time::TimeoutError", "asupersync::TimeoutError"),
    ("asupersync::types::budget", "asupersync"),
    ("asupersync::types::cancel", "asupersync"),
    ("asupersync::types::outcome", "asupersync"),
    ("asupersync::types::time", "asupersync"),
    ("asupersync_compat::context", "asupersync_compat"),
    ("tracing::span::Span", "tracing::Span"),
    ("async_std::spawn", "async_std::task::spawn"),
    (
        "tokio_util::sync::cancellation_token::CancellationToken",
        "tokio_util::sync::CancellationToken",
    ),
];

/// The canonical form of an absolute path: `tokio::spawn` is `tokio::task::spawn`, `core::mem::drop` is `std::mem::drop`.
pub fn canonical(path: &str) -> String {
    canonical_of(path.to_owned())
}

/// The same of a path that is given away: most are canonical.
pub(crate) fn canonical_of(mut path: String) -> String {
    // Each step replaces a prefix by a longer or final one; `core` -> `std` -> .. ends after as many steps as rows apply.
    for _ in 0..CANONICAL.len() {
        let rows = rows_of(path.split("::").next().unwrap_or_default());
        let best = rows
            .iter()
            .filter(|(from, _)| is_prefix(from, &path))
            .max_by_key(|(from, _)| from.len());
        let Some((from, to)) = best else {
            break;
        };
        path = format!("{to}{}", &path[from.len()..]);
    }
    path
}

type Row = (&'static str, &'static str);

/// The rows of [`CANONICAL`] about a crate.
fn rows_of(name: &str) -> &'static [Row] {
    static BY_CRATE: OnceLock<HashMap<&str, Vec<Row>>> = OnceLock::new();
    let table = BY_CRATE.get_or_init(|| {
        let mut table: HashMap<&str, Vec<Row>> = HashMap::new();
        for (from, to) in CANONICAL {
            let of_crate = from.split("::").next().unwrap_or(from);
            table.entry(of_crate).or_default().push((from, to));
        }
        table
    });
    table.get(name).map_or(&[], Vec::as_slice)
}

/// Whether `prefix` is `path` or one of its leading segments.
pub fn is_prefix(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether a path is one the compiler would know: plain identifiers, no kind of target in its crate segment.
pub fn is_plain(path: &str) -> bool {
    path.split("::").all(|segment| {
        !segment.is_empty()
            && segment
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// Names every module sees without an import.
pub(crate) fn prelude(name: &str) -> Option<&'static str> {
    Some(match name {
        "Option" => "std::option::Option",
        "Some" => "std::option::Option::Some",
        "None" => "std::option::Option::None",
        "Result" => "std::result::Result",
        "Ok" => "std::result::Result::Ok",
        "Err" => "std::result::Result::Err",
        "Vec" => "std::vec::Vec",
        "Box" => "std::boxed::Box",
        "String" => "std::string::String",
        "drop" => "std::mem::drop",
        "Drop" => "std::ops::Drop",
        "Iterator" => "std::iter::Iterator",
        "Clone" => "std::clone::Clone",
        "Default" => "std::default::Default",
        "Send" => "std::marker::Send",
        "Sync" => "std::marker::Sync",
        "Fn" => "std::ops::Fn",
        "FnMut" => "std::ops::FnMut",
        "FnOnce" => "std::ops::FnOnce",
        "From" => "std::convert::From",
        "Into" => "std::convert::Into",
        "AsRef" => "std::convert::AsRef",
        "ToOwned" => "std::borrow::ToOwned",
        "ToString" => "std::string::ToString",
        "Future" => "std::future::Future",
        "IntoFuture" => "std::future::IntoFuture",
        _ => return None,
    })
}

/// Types a method call looks through, to their first type argument.
pub(crate) fn derefs_to_argument(path: &str) -> bool {
    matches!(
        path,
        "std::sync::Arc"
            | "std::rc::Rc"
            | "std::boxed::Box"
            | "std::pin::Pin"
            | "std::borrow::Cow"
            | "std::cell::Ref"
            | "std::cell::RefMut"
            | "std::sync::MutexGuard"
            | "std::sync::RwLockReadGuard"
            | "std::sync::RwLockWriteGuard"
            | "std::sync::LazyLock"
            | "std::mem::ManuallyDrop"
            | "tokio::sync::MutexGuard"
            | "tokio::sync::OwnedMutexGuard"
            | "tokio::sync::MappedMutexGuard"
            | "tokio::sync::RwLockReadGuard"
            | "tokio::sync::RwLockWriteGuard"
            | "tokio::sync::OwnedRwLockReadGuard"
            | "tokio::sync::OwnedRwLockWriteGuard"
            | "tokio::sync::watch::Ref"
            | "parking_lot::MutexGuard"
            | "parking_lot::RwLockReadGuard"
            | "parking_lot::RwLockWriteGuard"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names_are_fixpoints() {
        for (from, _) in CANONICAL {
            let once = canonical(from);
            assert_eq!(canonical(&once), once, "{from}");
        }
        assert_eq!(canonical("tokio::spawn"), "tokio::task::spawn");
        assert_eq!(canonical("core::mem::drop"), "std::mem::drop");
        assert_eq!(
            canonical("futures_util::sink::SinkExt::send"),
            "futures::SinkExt::send"
        );
        assert_eq!(canonical("tokio::spawner"), "tokio::spawner");
    }

    #[test]
    fn the_table_parses_and_answers() {
        let known = Known::get();
        assert!(known.exists("tokio::time::sleep"));
        assert!(known.exists("tokio::sync::mpsc"));
        assert!(!known.exists("tokio::time::slip"));
        assert!(
            known
                .traits_with("read_exact")
                .any(|of| of == "tokio::io::AsyncReadExt")
        );
        assert_eq!(
            known.result("tokio::sync::mpsc::Receiver::recv"),
            Some(&Template::Future(Box::new(Template::Path(
                "std::option::Option".to_owned(),
                vec![Template::ReceiverArgument(0)]
            ))))
        );
    }
}
