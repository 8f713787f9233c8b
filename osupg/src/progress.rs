//! What a long operation tells whoever watches it.

use std::fmt;
use std::time::Duration;

use wim_extract::Cancel;
use wim_extract::progress::Amount;

use crate::error::{Error, Result};

macro_rules! phases {
    ($($(#[$doc:meta])* $name:ident: $words:literal,)*) => {
        /// A part of an operation with its own total, in bytes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Phase {
            $($(#[$doc])* $name,)*
        }

        impl Phase {
            /// The phase in words, as people see it and as it travels.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }

            /// The phase of such words.
            #[must_use]
            pub fn from_words(words: &str) -> Option<Self> {
                match words {
                    $($words => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

phases! {
    /// Decoding the images that are kept and checking every blob.
    VerifyImages: "verifying images",
    /// Reading the source and storing what is new.
    Store: "storing",
    /// Reading objects and checking them.
    Check: "checking",
    /// Rebuilding the media tree.
    Export: "exporting",
    /// Fetching content from a service.
    Receive: "fetching",
    /// Sending content to a point, or to a service.
    Send: "sending",
    /// Writing sample media.
    Write: "writing",
    /// Work that this version knows no name for: a newer service told of it.
    Other: "working",
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Watches an operation. Methods may be called from any of its threads and must return quickly.
pub trait Progress: Send + Sync {
    /// A phase starts; the [`advance`](Self::advance) calls will add up to `bytes`.
    fn begin(&self, phase: Phase, bytes: u64) {
        let _ = (phase, bytes);
    }

    /// So many more bytes are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The phase is over.
    fn end(&self) {}

    /// Something that belongs into the history of the work, in plain words: "waiting for point
    /// Amsterdam: its window opens at 22:00".
    fn note(&self, words: &str) {
        let _ = words;
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Who watches an operation, and who may stop it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Is told how far it is.
    pub progress: &'a dyn Progress,
    /// Is looked at before every piece.
    pub cancel: &'a Cancel,
}

impl Watch<'_> {
    /// Lets an operation leave with `?`.
    ///
    /// # Errors
    /// When the command was stopped.
    pub fn check(&self) -> Result<()> {
        self.cancel.check().map_err(|_| Error::cancelled())
    }
}

/// How often a pause is looked up from, to see whether it is to be cut short.
const LOOK: Duration = Duration::from_millis(200);

/// Waits so long, or until the work is stopped.
pub(crate) async fn pause(cancel: &Cancel, length: Duration) {
    let mut left = length;
    while !left.is_zero() && !cancel.is_cancelled() {
        let step = left.min(LOOK);
        tokio::time::sleep(step).await;
        left -= step;
    }
}

/// Passes what the engine reports on as one phase of ours.
pub(crate) struct FromEngine<'a> {
    pub to: &'a dyn Progress,
    pub phase: Phase,
    /// The engine's phase that counts as ours; its others are short.
    pub watched: wim_extract::progress::Phase,
}

impl wim_extract::Progress for FromEngine<'_> {
    fn begin(&self, phase: wim_extract::progress::Phase, total: Amount) {
        if phase == self.watched {
            self.to.begin(self.phase, total.bytes);
        }
    }

    fn advance(&self, done: Amount) {
        self.to.advance(done.bytes);
    }

    fn end(&self, phase: wim_extract::progress::Phase) {
        if phase == self.watched {
            self.to.end();
        }
    }
}
