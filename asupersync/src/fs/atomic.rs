//! Replacing a file so that readers see the old one or the new one.

use super::run;
use crate::cx::Cx;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Creates or replaces a file in one step: everybody, also after a crash of the
/// machine, finds the old contents or the new, whole.
///
/// Writes a new file beside the old one, with the old one's permissions, brings
/// it to the disk, and renames it. That is one blocking call, which a
/// cancellation does not cut in two. If it fails, for instance because the disk
/// is full, the old file stays, and the new one is removed; after a crash a file
/// with the ending `.tmp` may be left beside it.
///
/// *Cancellation.* Lossy: the caller cannot tell whether the file was replaced.
///
/// # Errors
/// As the [module](super) says; `InvalidInput` for a path that names no file.
pub async fn write_atomic(
    cx: &Cx,
    path: impl AsRef<Path>,
    contents: impl Into<Vec<u8>>,
) -> io::Result<()> {
    let contents = contents.into();
    let nonce = cx.random_u64();
    run(cx, "replace", path.as_ref(), move |path| {
        replace(path, &contents, nonce)
    })
    .await
}

fn replace(path: &Path, contents: &[u8], nonce: u64) -> io::Result<()> {
    // Through a link: replacing the link itself would leave what it leads to as it was.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut fresh_name = OsString::from(".");
    fresh_name.push(name);
    fresh_name.push(format!(".{nonce:016x}.tmp"));
    let fresh = Fresh {
        path: dir.join(fresh_name),
        placed: false,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&fresh.path)?;
    match std::fs::metadata(path) {
        Ok(old) => file.set_permissions(old.permissions())?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    file.write_all(contents)?;
    file.sync_all()?;
    fresh.place(path)?;
    // The name, too, has to reach the disk; where a directory cannot be opened, the system sees to it.
    match File::open(dir) {
        Ok(dir) if cfg!(unix) => dir.sync_all(),
        _ => Ok(()),
    }
}

/// A file that goes away again unless it is put in its place.
struct Fresh {
    path: PathBuf,
    placed: bool,
}

impl Fresh {
    fn place(mut self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.placed {
            // The error that led here says more than that this failed, too.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
