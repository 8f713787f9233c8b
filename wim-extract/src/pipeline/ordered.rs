//! SHA-1 of a blob whose parts are decoded by several workers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::archive::BlobId;
use crate::error::{Damage, Error};
use crate::hash::{Sha1, Sha1Hash};
use crate::pipeline::lock::Lock;
use crate::pipeline::turnstile::Turnstile;

/// A blob in parts.
#[derive(Debug)]
pub(crate) struct Ordered<D> {
    pub(crate) blob: BlobId,
    expected: Sha1Hash,
    /// Number of parts.
    parts: u64,
    turnstile: Turnstile<Part<D>>,
    /// Hash so far, and the first damage.
    state: Lock<(Sha1, Option<Damage>)>,
    passed: AtomicU64,
}

/// Part of a blob: its bytes, or why there are none.
#[derive(Debug)]
pub(crate) struct Part<D> {
    pub(crate) data: D,
    pub(crate) damage: Option<Damage>,
}

impl<D: AsRef<[u8]>> Ordered<D> {
    pub(crate) fn new(blob: BlobId, expected: Sha1Hash, parts: u64) -> Self {
        Self {
            blob,
            expected,
            parts,
            turnstile: Turnstile::new(),
            state: Lock::default(),
            passed: AtomicU64::new(0),
        }
    }

    /// Number of parts that have been hashed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Brings part `number`. When that completes the blob, `done` is called with the result.
    pub(crate) fn bring(
        &self,
        number: u64,
        part: Part<D>,
        mut done: impl FnMut(Result<(), Damage>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.turnstile.pass(number, part, |part| {
            let mut state = self.state.lock();
            let (hash, damage) = &mut *state;
            if damage.is_none() {
                match part.damage {
                    None => hash.update(part.data.as_ref()),
                    some => *damage = some,
                }
            }
            drop(part.data);
            if self.passed.fetch_add(1, Ordering::Relaxed) + 1 < self.parts {
                return Ok(());
            }
            let (hash, damage) = std::mem::take(&mut *state);
            drop(state);
            done(damage.map_or_else(|| check(self.expected, hash.finish()), Err))
        })
    }
}

/// Whether a blob has the hash by which it is known.
pub(crate) fn check(expected: Sha1Hash, found: Sha1Hash) -> Result<(), Damage> {
    if expected == found { Ok(()) } else { Err(Damage::Hash { expected, found }) }
}
