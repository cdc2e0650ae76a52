//! An open file.
//!
//! The system's file and what was read from it ahead stand behind one lock,
//! which only code on the blocking pool holds across a system call. Invariants:
//!
//! 1. calls of one file take place one after the other, in the order in which
//!    they were made: before it makes another, a file waits for the one that is
//!    on the pool, also when nobody waits for its result any more;
//! 2. bytes that the system delivered to a call that was cancelled meanwhile are
//!    kept, and are what the next read delivers; a write or a relative seek first
//!    goes back to where the caller thinks the file is.

use super::{explain, run};
use crate::cx::{Cx, Interrupt};
use crate::exec::handle::TaskHandle;
use crate::exec::lock;
use crate::io::offload::{offload, result_of, start};
use crate::types::caps::Capability;
use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use std::fmt;
use std::fs::{Metadata, Permissions};
use std::future::{Future, poll_fn};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

/// Most bytes that one call reads or writes: its buffer is a copy.
const MAX_CHUNK: usize = 2 * 1024 * 1024;

/// An open file; closed when it and every call in progress are gone.
pub struct File {
    path: PathBuf,
    core: Arc<Mutex<Core>>,
    /// The call on the pool, also one whose caller was cancelled.
    call: Option<Call>,
}

struct Call {
    handle: TaskHandle<io::Result<u64>>,
    interrupt: Interrupt,
}

struct Core {
    file: std::fs::File,
    /// Read by a call that did not live to deliver it; from `at` on.
    ahead: Vec<u8>,
    at: usize,
}

impl Core {
    fn unread(&self) -> &[u8] {
        &self.ahead[self.at..]
    }

    /// Reads until there is something unread, or the file is at its end.
    fn fill(&mut self, most: usize) -> io::Result<u64> {
        if !self.unread().is_empty() {
            return Ok(0);
        }
        let mut chunk = vec![0; most.min(MAX_CHUNK)];
        let n = loop {
            match self.file.read(&mut chunk) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        chunk.truncate(n);
        self.ahead = chunk;
        self.at = 0;
        Ok(0)
    }

    /// Delivers what is unread.
    fn deliver(&mut self, to: &mut [u8]) -> usize {
        let n = to.len().min(self.unread().len());
        to[..n].copy_from_slice(&self.unread()[..n]);
        self.at += n;
        if self.unread().is_empty() {
            // A large chunk is not kept for a file that is read once.
            self.ahead = Vec::new();
            self.at = 0;
        }
        n
    }

    /// The file where the caller thinks it is.
    fn settled(&mut self) -> io::Result<&mut std::fs::File> {
        let unread = self.unread().len() as i64;
        if unread > 0 {
            self.file.seek(SeekFrom::Current(-unread))?;
        }
        self.ahead = Vec::new();
        self.at = 0;
        Ok(&mut self.file)
    }
}

impl File {
    /// Opens a file to read it.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn open(cx: &Cx, path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(cx, path).await
    }

    /// Creates a file, or empties the one that is there, to write it.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn create(cx: &Cx, path: impl AsRef<Path>) -> io::Result<File> {
        let options = OpenOptions::new().write(true).create(true).truncate(true);
        options.open(cx, path).await
    }

    /// Takes over a file of the standard library's; `path` is for messages.
    pub fn from_std(file: std::fs::File, path: impl Into<PathBuf>) -> File {
        File {
            path: path.into(),
            core: Arc::new(Mutex::new(Core {
                file,
                ahead: Vec::new(),
                at: 0,
            })),
            call: None,
        }
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `f` on the pool, after whatever a cancelled call has left there.
    async fn with<F>(&mut self, cx: &Cx, what: &'static str, f: F) -> io::Result<u64>
    where
        F: FnOnce(&mut Core) -> io::Result<u64> + Send + 'static,
    {
        poll_fn(|task| self.poll_idle(cx, task)).await?;
        if cx.is_cleanup() {
            cx.require(Capability::Fs)?;
            return offload(cx, self.job(what, f)).await;
        }
        self.start(cx, what, f)?;
        poll_fn(|task| self.poll_call(cx, task)).await
    }

    fn start<F>(&mut self, cx: &Cx, what: &'static str, f: F) -> io::Result<()>
    where
        F: FnOnce(&mut Core) -> io::Result<u64> + Send + 'static,
    {
        cx.checkpoint()?;
        cx.require(Capability::Fs)?;
        let handle = start(cx, self.job(what, f));
        self.call = Some(Call {
            handle,
            interrupt: Interrupt::default(),
        });
        Ok(())
    }

    /// `f` as a closure for the pool.
    fn job<F>(&self, what: &'static str, f: F) -> impl FnOnce(&Cx) -> io::Result<u64> + use<F>
    where
        F: FnOnce(&mut Core) -> io::Result<u64>,
    {
        let (core, path) = (self.core.clone(), self.path.clone());
        move |_| f(&mut lock(&core)).map_err(|e| explain(what, &path, e))
    }

    /// Whether a read needs no call.
    fn has_unread(&self) -> bool {
        self.call.is_none() && !lock(&self.core).unread().is_empty()
    }

    /// The result of the call in progress.
    fn poll_call(&mut self, cx: &Cx, task: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let call = self.call.as_mut().expect("a call is in progress");
        if let Poll::Ready(outcome) = Pin::new(&mut call.handle).poll(task) {
            self.call = None;
            return Poll::Ready(result_of(outcome));
        }
        ready!(call.interrupt.poll(cx, task))?;
        Poll::Pending
    }

    /// Waits for a call that nobody waits for any more. What it returned is lost;
    /// what it read is not.
    fn poll_idle(&mut self, cx: &Cx, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.call.is_some() {
            let left = ready!(self.poll_call(cx, task));
            if self.call.is_some() {
                // It goes on, and this wait was cancelled.
                return Poll::Ready(left.map(|_| ()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads some bytes, at most two million; 0 at the end of the file, or into
    /// an empty buffer.
    ///
    /// *Cancellation.* Safe: the next read delivers what this one would have.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn read(&mut self, cx: &Cx, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf.len();
        if most == 0 {
            return Ok(0);
        }
        if !self.has_unread() {
            self.with(cx, "read", move |core| core.fill(most)).await?;
        }
        cx.require(Capability::Fs)?;
        Ok(lock(&self.core).deliver(buf))
    }

    /// Reads to the end of the file; returns how many bytes were appended to `buf`.
    ///
    /// *Cancellation.* Resumable: what was read is in `buf`, and calling again goes on there.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn read_to_end(&mut self, cx: &Cx, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        loop {
            self.with(cx, "read", |core| core.fill(MAX_CHUNK)).await?;
            let mut core = lock(&self.core);
            let n = core.unread().len();
            if n == 0 {
                return Ok(buf.len() - before);
            }
            let start = buf.len();
            buf.resize(start + n, 0);
            core.deliver(&mut buf[start..]);
        }
    }

    /// Writes some bytes, at most two million; returns how many.
    ///
    /// *Cancellation.* Lossy: they are written all the same.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn write(&mut self, cx: &Cx, bytes: &[u8]) -> io::Result<usize> {
        self.with(cx, "write", write(bytes)).await.map(size)
    }

    /// Writes all bytes.
    ///
    /// *Cancellation.* Lossy: a part is written all the same.
    ///
    /// # Errors
    /// As the [module](super) says; a part may have been written.
    pub async fn write_all(&mut self, cx: &Cx, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(MAX_CHUNK) {
            let chunk = chunk.to_vec();
            let write = move |core: &mut Core| core.settled()?.write_all(&chunk).map(|()| 0);
            self.with(cx, "write", write).await?;
        }
        Ok(())
    }

    /// Goes to a place in the file; returns its distance from the start in bytes.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    ///
    /// # Errors
    /// As the [module](super) says; `InvalidInput` for a place before the start.
    pub async fn seek(&mut self, cx: &Cx, to: SeekFrom) -> io::Result<u64> {
        self.with(cx, "seek in", move |core| core.settled()?.seek(to))
            .await
    }

    /// Brings contents and metadata to the disk.
    ///
    /// *Cancellation.* Resumable: calling again waits for the rest.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn sync_all(&mut self, cx: &Cx) -> io::Result<()> {
        let sync = |core: &mut Core| core.file.sync_all().map(|()| 0);
        self.with(cx, "sync", sync).await.map(drop)
    }

    /// Brings the contents to the disk.
    ///
    /// *Cancellation.* Resumable: calling again waits for the rest.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn sync_data(&mut self, cx: &Cx) -> io::Result<()> {
        let sync = |core: &mut Core| core.file.sync_data().map(|()| 0);
        self.with(cx, "sync", sync).await.map(drop)
    }

    /// Cuts the file, or extends it with zeros.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn set_len(&mut self, cx: &Cx, bytes: u64) -> io::Result<()> {
        let resize = move |core: &mut Core| core.file.set_len(bytes).map(|()| 0);
        self.with(cx, "resize", resize).await.map(drop)
    }

    /// What the system knows of it, every earlier call of this file included.
    ///
    /// *Cancellation.* Safe: it changes nothing.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn metadata(&mut self, cx: &Cx) -> io::Result<Metadata> {
        let found = Arc::new(Mutex::new(None));
        let slot = found.clone();
        let look = move |core: &mut Core| {
            *lock(&slot) = Some(core.file.metadata()?);
            Ok(0)
        };
        self.with(cx, "look at", look).await?;
        let metadata = lock(&found).take();
        Ok(metadata.expect("a call that succeeded has left it"))
    }

    /// Changes its permissions.
    ///
    /// *Cancellation.* Lossy: it happens all the same, and nobody tells how it went.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn set_permissions(&mut self, cx: &Cx, permissions: Permissions) -> io::Result<()> {
        let change = move |core: &mut Core| core.file.set_permissions(permissions).map(|()| 0);
        self.with(cx, "change", change).await.map(drop)
    }

    /// The file as the traits of `futures-io` see it, for code that knows no `Cx`.
    ///
    /// Calls run as tasks of the context's region. Dropping the view, or
    /// cancelling its user, loses what [`File::read`] and [`File::write`] lose.
    /// Not for the cleanup view, from which nothing can be spawned into a region
    /// that is closing.
    pub fn io<'a>(&'a mut self, cx: &'a Cx) -> FileIo<'a> {
        FileIo {
            file: self,
            cx,
            call: None,
        }
    }

    /// The standard library's file, where the caller thinks it is.
    ///
    /// # Errors
    /// Gives the file back while a cancelled call is still on the pool.
    pub fn try_into_std(self) -> Result<io::Result<std::fs::File>, File> {
        let File { path, core, call } = self;
        match Arc::try_unwrap(core) {
            Ok(core) => {
                let core = core.into_inner();
                let mut core = core.unwrap_or_else(std::sync::PoisonError::into_inner);
                let settled = core.settled().map(|_| ());
                Ok(settled.map(|()| core.file))
            }
            Err(core) => Err(File { path, core, call }),
        }
    }
}

/// A write for the pool, of as much as one call takes.
fn write(bytes: &[u8]) -> impl FnOnce(&mut Core) -> io::Result<u64> + use<> {
    let chunk = bytes[..bytes.len().min(MAX_CHUNK)].to_vec();
    move |core| core.settled()?.write(&chunk).map(|n| n as u64)
}

/// A count of bytes that came from a buffer in memory.
fn size(n: u64) -> usize {
    usize::try_from(n).expect("no longer than the buffer")
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A file with a context; see [`File::io`].
pub struct FileIo<'a> {
    file: &'a mut File,
    cx: &'a Cx,
    /// What this view has called last; a call of the file's that is none of
    /// these was left there by another user.
    call: Option<Kind>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Seek,
    Sync,
}

impl FileIo<'_> {
    /// Polls the call in progress if it is this one; else waits for that, and makes this.
    fn poll_kind<F>(
        &mut self,
        task: &mut Context<'_>,
        kind: Kind,
        what: &'static str,
        f: impl FnOnce() -> F,
    ) -> Poll<io::Result<u64>>
    where
        F: FnOnce(&mut Core) -> io::Result<u64> + Send + 'static,
    {
        if self.call != Some(kind) {
            ready!(self.file.poll_idle(self.cx, task))?;
            self.file.start(self.cx, what, f())?;
            self.call = Some(kind);
        }
        let result = ready!(self.file.poll_call(self.cx, task));
        if self.file.call.is_none() {
            self.call = None;
        }
        Poll::Ready(result)
    }
}

impl AsyncRead for FileIo<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let most = buf.len();
        if most == 0 {
            return Poll::Ready(Ok(0));
        }
        if !this.file.has_unread() {
            let fill = || move |core: &mut Core| core.fill(most);
            ready!(this.poll_kind(task, Kind::Read, "read", fill))?;
        }
        Poll::Ready(Ok(lock(&this.file.core).deliver(buf)))
    }
}

impl AsyncWrite for FileIo<'_> {
    /// As with any writer, whoever was told to wait comes back with the same bytes.
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self
            .get_mut()
            .poll_kind(task, Kind::Write, "write", || write(bytes));
        written.map_ok(size)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The system has every byte of a completed write.
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sync = || |core: &mut Core| core.file.sync_data().map(|()| 0);
        let synced = self.get_mut().poll_kind(task, Kind::Sync, "sync", sync);
        synced.map_ok(drop)
    }
}

impl AsyncSeek for FileIo<'_> {
    fn poll_seek(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let seek = || move |core: &mut Core| core.settled()?.seek(to);
        self.get_mut().poll_kind(task, Kind::Seek, "seek in", seek)
    }
}

impl fmt::Debug for FileIo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileIo")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// How to open a file: the standard library's options.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    inner: std::fs::OpenOptions,
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, on: bool) -> Self {
            self.inner.$name(on);
            self
        }
    )*};
}

impl OpenOptions {
    /// Nothing is allowed yet.
    #[expect(clippy::new_without_default, reason = "as in the standard library")]
    pub fn new() -> Self {
        OpenOptions {
            inner: std::fs::OpenOptions::new(),
        }
    }

    options! {
        /// To read.
        read,
        /// To write.
        write,
        /// To write at the end, wherever that is at the time.
        append,
        /// Emptied first.
        truncate,
        /// Made if it is not there.
        create,
        /// Made; an error if it is there.
        create_new,
    }

    /// Opens the file.
    ///
    /// *Cancellation.* Lossy: a file that was to be created or emptied may have been.
    ///
    /// # Errors
    /// As the [module](super) says.
    pub async fn open(self, cx: &Cx, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        let file = run(cx, "open", path, move |p| self.inner.open(p)).await?;
        Ok(File::from_std(file, path))
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(inner: std::fs::OpenOptions) -> Self {
        OpenOptions { inner }
    }
}
