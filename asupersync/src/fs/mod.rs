//! Files and directories, by the blocking pool.
//!
//! Operating systems have no files that tell when they are ready, so every call
//! here is the standard library's, made on a thread that may block, as a task of
//! the caller's region.
//!
//! *Cancellation.* A cancelled call returns at once with an error that wraps
//! [`Cancelled`](crate::Cancelled); the system call itself cannot be interrupted,
//! and the region waits for it. What had been asked for may thus still happen:
//! the class of each call, in [`CANCEL_CLASS`], says what the caller knows then.
//! Through [`Cx::cleanup`] calls do not fail that way.
//!
//! *Errors.* The system's, with what was tried and on which path;
//! `PermissionDenied` from a context without [`Capability::Fs`].
//!
//! In the lab the calls reach the real file system, one step each: give every
//! run a directory of its own.

mod atomic;
mod dir;
mod file;

pub use atomic::write_atomic;
pub use dir::{DirEntry, ReadDir, read_dir};
pub use file::{File, FileIo, OpenOptions};

use crate::cx::Cx;
use crate::io::CancelClass;
use crate::io::offload::offload;
use crate::types::caps::Capability;
use std::fs::{Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

/// The cancel class of every operation of this module.
pub const CANCEL_CLASS: &[(&str, CancelClass)] = &[
    ("read", CancelClass::Safe),
    ("read_to_string", CancelClass::Safe),
    ("metadata", CancelClass::Safe),
    ("symlink_metadata", CancelClass::Safe),
    ("canonicalize", CancelClass::Safe),
    ("read_link", CancelClass::Safe),
    ("try_exists", CancelClass::Safe),
    ("read_dir", CancelClass::Safe),
    ("ReadDir::next_entry", CancelClass::Safe),
    ("File::read", CancelClass::Safe),
    ("File::metadata", CancelClass::Safe),
    ("File::read_to_end", CancelClass::Resumable),
    ("DirEntry::metadata", CancelClass::Safe),
    ("DirEntry::file_type", CancelClass::Safe),
    ("write", CancelClass::Lossy),
    ("write_atomic", CancelClass::Lossy),
    ("copy", CancelClass::Lossy),
    ("rename", CancelClass::Lossy),
    ("remove_file", CancelClass::Lossy),
    ("remove_dir", CancelClass::Lossy),
    ("remove_dir_all", CancelClass::Lossy),
    ("create_dir", CancelClass::Lossy),
    ("create_dir_all", CancelClass::Lossy),
    ("hard_link", CancelClass::Lossy),
    ("set_permissions", CancelClass::Lossy),
    ("File::open", CancelClass::Lossy),
    ("File::create", CancelClass::Lossy),
    ("File::write", CancelClass::Lossy),
    ("File::write_all", CancelClass::Lossy),
    ("File::seek", CancelClass::Lossy),
    ("File::set_len", CancelClass::Lossy),
    ("File::set_permissions", CancelClass::Lossy),
    ("File::sync_all", CancelClass::Resumable),
    ("File::sync_data", CancelClass::Resumable),
];

/// Runs `f` where it may block; its error says what was tried, and on what.
async fn run<T, F>(cx: &Cx, what: &'static str, path: &Path, f: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce(&Path) -> io::Result<T> + Send + 'static,
{
    cx.require(Capability::Fs)?;
    let path = path.to_owned();
    offload(cx, move |_| f(&path).map_err(|e| explain(what, &path, e))).await
}

/// The same error, with what was tried and on what.
fn explain(what: &str, path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("cannot {what} `{}`: {e}", path.display()))
}

/// The bytes of a file.
///
/// *Cancellation.* Safe: it changes nothing.
///
/// # Errors
/// As the [module](self) says.
pub async fn read(cx: &Cx, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    run(cx, "read", path.as_ref(), |p| std::fs::read(p)).await
}

/// The text of a file, which must be UTF-8.
///
/// *Cancellation.* Safe: it changes nothing.
///
/// # Errors
/// As the [module](self) says; `InvalidData` when it is not UTF-8.
pub async fn read_to_string(cx: &Cx, path: impl AsRef<Path>) -> io::Result<String> {
    run(cx, "read", path.as_ref(), |p| std::fs::read_to_string(p)).await
}

/// Creates or replaces a file.
///
/// *Cancellation.* Lossy: the file is replaced all the same, but nobody tells
/// whether that went well. Not atomic either: see [`write_atomic`].
///
/// # Errors
/// As the [module](self) says; the file may then hold a part of `contents`.
pub async fn write(
    cx: &Cx,
    path: impl AsRef<Path>,
    contents: impl Into<Vec<u8>>,
) -> io::Result<()> {
    let contents = contents.into();
    run(cx, "write", path.as_ref(), |p| std::fs::write(p, contents)).await
}

/// Copies a file with its permissions; returns how many bytes that were.
///
/// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
///
/// # Errors
/// As the [module](self) says; the target may then hold a part.
pub async fn copy(cx: &Cx, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let to = to.as_ref().to_owned();
    run(cx, "copy", from.as_ref(), |p| std::fs::copy(p, to)).await
}

/// Renames a file or directory, replacing what is at `to`.
///
/// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
///
/// # Errors
/// As the [module](self) says.
pub async fn rename(cx: &Cx, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let to = to.as_ref().to_owned();
    run(cx, "rename", from.as_ref(), |p| std::fs::rename(p, to)).await
}

/// Makes another name for a file.
///
/// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
///
/// # Errors
/// As the [module](self) says.
pub async fn hard_link(
    cx: &Cx,
    original: impl AsRef<Path>,
    link: impl AsRef<Path>,
) -> io::Result<()> {
    let link = link.as_ref().to_owned();
    run(cx, "link", original.as_ref(), |p| {
        std::fs::hard_link(p, link)
    })
    .await
}

macro_rules! one_path {
    ($($(#[$doc:meta])* $name:ident: $what:literal -> $out:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// As the [module](self) says.
        pub async fn $name(cx: &Cx, path: impl AsRef<Path>) -> io::Result<$out> {
            run(cx, $what, path.as_ref(), |p| std::fs::$name(p)).await
        }
    )*};
}

one_path! {
    /// Removes a file.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    remove_file: "remove" -> ();
    /// Removes an empty directory.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    remove_dir: "remove" -> ();
    /// Removes a directory with all that is in it; links are removed, not followed.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    remove_dir_all: "remove" -> ();
    /// Makes a directory.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    create_dir: "create" -> ();
    /// Makes a directory and those above it that are missing.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    create_dir_all: "create" -> ();
    /// What the system knows of a file; follows links.
    ///
    /// *Cancellation.* Safe: it changes nothing.
    metadata: "look at" -> Metadata;
    /// What the system knows of a file or of a link.
    ///
    /// *Cancellation.* Safe: it changes nothing.
    symlink_metadata: "look at" -> Metadata;
    /// The absolute path, with no links in it.
    ///
    /// *Cancellation.* Safe: it changes nothing.
    canonicalize: "resolve" -> PathBuf;
    /// Where a link leads.
    ///
    /// *Cancellation.* Safe: it changes nothing.
    read_link: "read" -> PathBuf;
}

/// Whether there is something at a path; follows links.
///
/// *Cancellation.* Safe: it changes nothing.
///
/// # Errors
/// As the [module](self) says, when that cannot be told.
pub async fn try_exists(cx: &Cx, path: impl AsRef<Path>) -> io::Result<bool> {
    run(cx, "look at", path.as_ref(), |p| p.try_exists()).await
}

/// Changes the permissions of a file.
///
/// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
///
/// # Errors
/// As the [module](self) says.
pub async fn set_permissions(
    cx: &Cx,
    path: impl AsRef<Path>,
    permissions: Permissions,
) -> io::Result<()> {
    run(cx, "change", path.as_ref(), |p| {
        std::fs::set_permissions(p, permissions)
    })
    .await
}
