//! AM053: files.

use super::{
    Family, Fix, Item, Rule, Safety, associated, function, kept, method, path, plain, with_cx,
};

/// A file may be a stream.
const F: Family = Family::Io;
const D: Family = Family::Dir;

const STD: &str = "it has no counterpart: `cx.spawn_blocking` and `std::fs`";

const fn option(from: &'static str) -> Item {
    method(from, F, false, Fix::Same, true)
}

pub(super) const RULE: Rule = Rule {
    code: "AM053",
    title: "`tokio::fs`",
    safety: Safety::Safe,
    before: "
let mut text = String::new();
let mut file = fs::File::open(path).await?;
file.read_to_string(&mut text).await?;
fs::write(copy, &text).await?;",
    after: "
let mut text = String::new();
let mut file = fs::File::open(cx, path).await?;
file.io(cx).read_to_string(cx, &mut text).await?;
fs::write(cx, copy, &text).await?;",
    why: "
Every operation takes the `Cx`, and its errors say what was tried on which path. What was handed to the system is done there also when
the task is asked to stop in the meantime, as before. A file is a stream through `file.io(cx)` only: where it flows into a wrapper, a
copy or a function that takes any stream, it stays on tokio.",
    items: &[
        path("tokio::fs", Family::Free, "asupersync::fs"),
        function("tokio::fs::read", Family::Free, "asupersync::fs::read", true),
        function("tokio::fs::read_to_string", Family::Free, "asupersync::fs::read_to_string", true),
        function("tokio::fs::write", Family::Free, "asupersync::fs::write", true),
        function("tokio::fs::copy", Family::Free, "asupersync::fs::copy", true),
        function("tokio::fs::rename", Family::Free, "asupersync::fs::rename", true),
        function("tokio::fs::hard_link", Family::Free, "asupersync::fs::hard_link", true),
        function("tokio::fs::try_exists", Family::Free, "asupersync::fs::try_exists", true),
        function("tokio::fs::set_permissions", Family::Free, "asupersync::fs::set_permissions", true),
        function("tokio::fs::canonicalize", Family::Free, "asupersync::fs::canonicalize", true),
        function("tokio::fs::create_dir", Family::Free, "asupersync::fs::create_dir", true),
        function("tokio::fs::create_dir_all", Family::Free, "asupersync::fs::create_dir_all", true),
        function("tokio::fs::metadata", Family::Free, "asupersync::fs::metadata", true),
        function("tokio::fs::symlink_metadata", Family::Free, "asupersync::fs::symlink_metadata", true),
        function("tokio::fs::read_link", Family::Free, "asupersync::fs::read_link", true),
        function("tokio::fs::remove_dir", Family::Free, "asupersync::fs::remove_dir", true),
        function("tokio::fs::remove_dir_all", Family::Free, "asupersync::fs::remove_dir_all", true),
        function("tokio::fs::remove_file", Family::Free, "asupersync::fs::remove_file", true),
        kept("tokio::fs::symlink", Family::Free, STD),
        kept("tokio::fs::DirBuilder::new", Family::Free, STD),
        function("tokio::fs::read_dir", D, "asupersync::fs::read_dir", true),
        path("tokio::fs::ReadDir", D, "asupersync::fs::ReadDir"),
        path("tokio::fs::DirEntry", D, "asupersync::fs::DirEntry"),
        method("tokio::fs::ReadDir::next_entry", D, true, Fix::Same, true),
        plain("tokio::fs::DirEntry::path", D),
        plain("tokio::fs::DirEntry::file_name", D),
        with_cx("tokio::fs::DirEntry::metadata", D),
        with_cx("tokio::fs::DirEntry::file_type", D),
        path("tokio::fs::File", F, "asupersync::fs::File"),
        associated("tokio::fs::File::open", F, true),
        associated("tokio::fs::File::create", F, true),
        kept("tokio::fs::File::create_new", F, "open it with `OpenOptions::new().write(true).create_new(true)`"),
        kept("tokio::fs::File::from_std", F, "it takes the file's path too, for messages"),
        kept("tokio::fs::File::into_std", F, "`try_into_std` gives the file back while a cancelled call runs"),
        with_cx("tokio::fs::File::read", F),
        with_cx("tokio::fs::File::read_to_end", F),
        with_cx("tokio::fs::File::write", F),
        with_cx("tokio::fs::File::write_all", F),
        with_cx("tokio::fs::File::seek", F),
        with_cx("tokio::fs::File::sync_all", F),
        with_cx("tokio::fs::File::sync_data", F),
        with_cx("tokio::fs::File::set_len", F),
        with_cx("tokio::fs::File::metadata", F),
        with_cx("tokio::fs::File::set_permissions", F),
        path("tokio::fs::OpenOptions", F, "asupersync::fs::OpenOptions"),
        associated("tokio::fs::OpenOptions::new", F, false),
        option("tokio::fs::OpenOptions::read"),
        option("tokio::fs::OpenOptions::write"),
        option("tokio::fs::OpenOptions::append"),
        option("tokio::fs::OpenOptions::truncate"),
        option("tokio::fs::OpenOptions::create"),
        option("tokio::fs::OpenOptions::create_new"),
        method("tokio::fs::OpenOptions::open", F, true, Fix::Same, true),
    ],
};
