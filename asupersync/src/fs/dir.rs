//! Walking through a directory.

use super::run;
use crate::cx::Cx;
use crate::exec::lock;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Entries fetched by one blocking call.
const BATCH: usize = 32;

/// The entries of a directory, in the system's order, without `.` and `..`.
///
/// *Cancellation.* Safe: it changes nothing.
///
/// # Errors
/// As the [module](super) says.
///
/// ```
/// use asupersync::{Cx, fs};
///
/// async fn names(cx: &Cx, dir: &std::path::Path) -> std::io::Result<Vec<String>> {
///     let mut entries = fs::read_dir(cx, dir).await?;
///     let mut names = Vec::new();
///     while let Some(entry) = entries.next_entry(cx).await? {
///         names.push(entry.file_name().to_string_lossy().into_owned());
///     }
///     Ok(names)
/// }
/// ```
pub async fn read_dir(cx: &Cx, path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let inner = run(cx, "list", path, |p| std::fs::read_dir(p)).await?;
    Ok(ReadDir {
        path: path.to_owned(),
        shared: Arc::new(Mutex::new(Pending {
            inner,
            ready: VecDeque::new(),
            ended: false,
        })),
    })
}

/// The entries of a directory; see [`read_dir`].
#[derive(Debug)]
pub struct ReadDir {
    path: PathBuf,
    shared: Arc<Mutex<Pending>>,
}

/// What was fetched stays here, so that a cancelled call loses nothing.
#[derive(Debug)]
struct Pending {
    inner: std::fs::ReadDir,
    ready: VecDeque<io::Result<DirEntry>>,
    ended: bool,
}

impl Pending {
    fn fetch(&mut self) {
        while self.ready.len() < BATCH && !self.ended {
            match self.inner.next() {
                Some(entry) => self.ready.push_back(entry.map(DirEntry::of)),
                None => self.ended = true,
            }
        }
    }
}

impl ReadDir {
    /// The next entry; `None` after the last.
    ///
    /// *Cancellation.* Safe: the entry comes with the next call.
    ///
    /// # Errors
    /// As the [module](super) says; the next call goes on behind the entry that failed.
    pub async fn next_entry(&mut self, cx: &Cx) -> io::Result<Option<DirEntry>> {
        let take = |shared: &Mutex<Pending>| {
            let mut pending = lock(shared);
            let entry = pending.ready.pop_front();
            let ended = pending.ended;
            (entry, ended)
        };
        let (entry, ended) = take(&self.shared);
        if let Some(entry) = entry {
            cx.checkpoint()?;
            return entry.map(Some);
        }
        if ended {
            return Ok(None);
        }
        let shared = self.shared.clone();
        run(cx, "list", &self.path, move |_| {
            lock(&shared).fetch();
            Ok(())
        })
        .await?;
        take(&self.shared).0.transpose()
    }
}

/// What a directory says about something in it.
#[derive(Debug)]
pub struct DirEntry {
    inner: std::fs::DirEntry,
}

impl DirEntry {
    fn of(inner: std::fs::DirEntry) -> Self {
        DirEntry { inner }
    }

    /// The path of the directory, with the name behind it.
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// The name.
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }

    /// What the system knows of it; does not follow links.
    ///
    /// *Cancellation.* Safe: it changes nothing.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn metadata(&self, cx: &Cx) -> io::Result<Metadata> {
        super::symlink_metadata(cx, self.path()).await
    }

    /// Whether it is a file, a directory, or a link; does not follow links.
    ///
    /// *Cancellation.* Safe: it changes nothing.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn file_type(&self, cx: &Cx) -> io::Result<FileType> {
        self.metadata(cx).await.map(|m| m.file_type())
    }
}
