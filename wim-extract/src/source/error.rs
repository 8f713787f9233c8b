//! Why a source cannot be opened.

use std::{io, path::PathBuf};

use super::udf::UdfError;

/// Why a source cannot be opened. Every message names the file and what can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be opened, mapped or read.
    #[error("cannot open {}: {error}", path.display())]
    Open {
        /// As given by the user.
        path: PathBuf,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// A directory or something else that has no fixed content.
    #[error("{}: {what}", path.display())]
    NotAFile {
        /// As given by the user.
        path: PathBuf,
        /// What it is, and what is expected.
        what: &'static str,
    },
    /// The ISO image cannot be understood.
    #[error("{}: {error}", path.display())]
    Iso {
        /// The ISO image.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: UdfError,
    },
    /// The ISO image is sound, but the file is not in it.
    #[error("{}: there is no {wanted} in this ISO image; {advice}", iso.display())]
    NotInIso {
        /// The ISO image.
        iso: PathBuf,
        /// What was looked for.
        wanted: String,
        /// What the user can do.
        advice: String,
    },
    /// A pattern of `--ref` that is not a valid glob.
    #[error("{pattern:?} is not a valid file pattern: {error}")]
    Pattern {
        /// As given by the user.
        pattern: String,
        /// Where and why.
        #[source]
        error: glob::PatternError,
    },
}
