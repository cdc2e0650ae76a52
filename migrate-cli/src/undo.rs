//! Writing changes so that they can be taken back, and taking them back.
//!
//! * The state of the last run is one JSON file with the texts before and after.
//! * Nothing is restored when any of the files has changed since.

use crate::report::FileChange;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Why changes cannot be written or taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// No run is recorded.
    #[error("there is no run to undo in {}", .0.display())]
    Nothing(PathBuf),
    /// A file has changed since.
    #[error("{} has changed since the last run; restore it from version control instead", .0.display())]
    Changed(PathBuf),
    /// The record cannot be read.
    #[error("the record {} cannot be read: {source}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Record {
    files: Vec<RecordedFile>,
}

#[derive(Serialize, Deserialize)]
struct RecordedFile {
    path: PathBuf,
    before: String,
    after: String,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> UndoError + '_ {
    move |source| UndoError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Writes changes, after recording how to take them back.
pub(crate) fn write(state: &Path, changes: &[FileChange]) -> Result<(), UndoError> {
    let record = Record {
        files: changes
            .iter()
            .map(|change| RecordedFile {
                path: change.path.clone(),
                before: change.before.clone(),
                after: change.after.clone(),
            })
            .collect(),
    };
    fs::create_dir_all(state).map_err(io(state))?;
    let path = state.join("last.json");
    let text = serde_json::to_string(&record).map_err(|source| UndoError::Record {
        path: path.clone(),
        source,
    })?;
    fs::write(&path, text).map_err(io(&path))?;
    for change in changes {
        fs::write(&change.path, &change.after).map_err(io(&change.path))?;
    }
    Ok(())
}

/// Takes back the last run; returns the files.
pub(crate) fn restore(state: &Path) -> Result<Vec<PathBuf>, UndoError> {
    let path = state.join("last.json");
    if !path.is_file() {
        return Err(UndoError::Nothing(state.to_owned()));
    }
    let text = fs::read_to_string(&path).map_err(io(&path))?;
    let record: Record = serde_json::from_str(&text).map_err(|source| UndoError::Record {
        path: path.clone(),
        source,
    })?;
    for file in &record.files {
        let now = fs::read_to_string(&file.path).map_err(io(&file.path))?;
        if now != file.after {
            return Err(UndoError::Changed(file.path.clone()));
        }
    }
    for file in &record.files {
        fs::write(&file.path, &file.before).map_err(io(&file.path))?;
    }
    fs::remove_file(&path).map_err(io(&path))?;
    Ok(record.files.into_iter().map(|file| file.path).collect())
}
