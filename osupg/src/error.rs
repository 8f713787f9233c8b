//! What can go wrong, in words for the person who has to act on it.
//!
//! Every error says what happened and to which file or package; where there is something to do
//! about it, [`Error::advice`] says what. [`Kind`] decides the exit code of the command.

use std::fmt;
use std::path::Path;

use crate::time::Moment;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which of the documented exit codes an error ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The request cannot be met as it was made: exit code 2.
    Usage,
    /// What it names does not exist: exit code 2.
    NotFound,
    /// It does not fit what is there now, such as a name that is taken: exit code 2.
    Conflict,
    /// It is not known who asks: exit code 2.
    Unauthorised,
    /// Whoever asks may not do it: exit code 2.
    Forbidden,
    /// Too much is asked for at this moment: exit code 2.
    Busy,
    /// Bytes are not what they must be, in a source or in the library: exit code 3.
    Damaged,
    /// A file, folder, store or database cannot be read or written: exit code 4.
    Io,
    /// The person or system that started the command stopped it: exit code 130.
    Cancelled,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 9] = [
        Self::Usage,
        Self::NotFound,
        Self::Conflict,
        Self::Unauthorised,
        Self::Forbidden,
        Self::Busy,
        Self::Damaged,
        Self::Io,
        Self::Cancelled,
    ];

    /// The exit code of a command that ends with such an error.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage
            | Self::NotFound
            | Self::Conflict
            | Self::Unauthorised
            | Self::Forbidden
            | Self::Busy => 2,
            Self::Damaged => 3,
            Self::Io => 4,
            Self::Cancelled => 130,
        }
    }

    /// The word that `--json` output uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::Damaged => "damaged",
            Self::Io => "io",
            Self::Cancelled => "cancelled",
        }
    }

    /// The kind of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// An error with its kind, its message and, where there is any, advice.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    advice: Option<String>,
    not_before: Option<Moment>,
}

impl Error {
    /// An error of any kind, as when it comes back from a service or a job.
    pub fn of(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { kind, message, advice: None, not_before: None }))
    }

    /// The request cannot be met as it was made.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::of(Kind::Usage, message)
    }

    /// What the request names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::of(Kind::NotFound, message)
    }

    /// The request does not fit what is there now.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::of(Kind::Conflict, message)
    }

    /// It is not known who asks.
    pub fn unauthorised(message: impl Into<String>) -> Self {
        Self::of(Kind::Unauthorised, message)
    }

    /// Whoever asks may not do it.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::of(Kind::Forbidden, message)
    }

    /// Too much is asked for at this moment.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::of(Kind::Busy, message)
    }

    /// Bytes are not what they must be.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::of(Kind::Damaged, message)
    }

    /// Reading or writing failed.
    pub fn io(message: impl Into<String>) -> Self {
        Self::of(Kind::Io, message)
    }

    /// Reading or writing `path` failed; `doing` is what was tried, as in "cannot {doing} {path}".
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let shown = crate::text::path(path);
        let plain = Self::io(format!("cannot {doing} {shown}: {error}"));
        match error.kind() {
            Io::StorageFull | Io::QuotaExceeded => {
                plain.advise("free some space on that file system and run the command again")
            }
            Io::PermissionDenied => {
                plain.advise("give the account that runs osupg the right to do this")
            }
            _ => plain,
        }
    }

    /// The command was stopped.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::of(Kind::Cancelled, "stopped; nothing was changed")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// Says when trying again makes sense: a job then waits until that moment, and that counts for
    /// no failure. It is how an operation says that a window is closed.
    #[must_use]
    pub fn until(mut self, moment: Moment) -> Self {
        self.0.not_before = Some(moment);
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The moment before which trying again makes no sense, where it is known.
    #[must_use]
    pub fn not_before(&self) -> Option<Moment> {
        self.0.not_before
    }

    /// What to do about it, where there is anything.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::io(format!("database: {error}"))
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::io(format!("content library: {error}"))
    }
}

/// A task that ends by panicking is a defect of ours; it must not pass for success.
impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::io(format!("internal task failed: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_words_of_their_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(Kind::from_word("luck"), None);
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        assert_eq!(Error::usage("x").kind().exit_code(), 2);
        assert_eq!(Error::damaged("x").kind().exit_code(), 3);
        assert_eq!(Error::io("x").kind().exit_code(), 4);
        assert_eq!(Error::cancelled().kind().exit_code(), 130);
    }

    #[test]
    fn a_full_disk_comes_with_advice() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::file("write", Path::new("/a"), &full);
        assert!(error.advice().is_some_and(|advice| advice.contains("space")));
        assert!(error.to_string().starts_with("cannot write /a"));
    }
}
