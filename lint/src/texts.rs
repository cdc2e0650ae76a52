//! The texts of the files that findings point into.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Texts as they are on disk, read once.
#[derive(Default)]
pub(crate) struct Texts {
    by_path: HashMap<PathBuf, String>,
}

impl Texts {
    /// The text of a file; empty if it cannot be read any more.
    pub(crate) fn of(&mut self, path: &Path) -> &str {
        self.by_path
            .entry(path.to_owned())
            .or_insert_with(|| std::fs::read_to_string(path).unwrap_or_default())
    }
}
