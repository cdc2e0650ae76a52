//! The runtime's own error: a closed set of kinds, each with whose turn it is next.

use std::fmt;

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The region no longer admits children.
    RegionClosed,
    /// A limit of the region refused the child.
    AdmissionDenied,
    /// A configuration value is unusable.
    Config,
    /// A handle outlived what it names.
    StaleHandle,
    /// The operating system refused a resource.
    Resource,
}

/// Whether trying again can help.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Recoverability {
    /// It may succeed later, unchanged.
    Transient,
    /// It cannot succeed unless the program changes.
    Permanent,
    /// Not known.
    Unknown,
}

/// An error of the runtime itself.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind that says what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// With the error below it.
    #[must_use]
    pub fn with_source(mut self, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(e.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether trying again can help.
    pub fn recoverability(&self) -> Recoverability {
        match self.kind {
            ErrorKind::RegionClosed | ErrorKind::Config | ErrorKind::StaleHandle => {
                Recoverability::Permanent
            }
            ErrorKind::AdmissionDenied | ErrorKind::Resource => Recoverability::Transient,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(e) => write!(f, ": {e}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
