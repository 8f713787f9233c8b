//! The key of an encrypted bundle, and how it comes about.
//!
//! ```text
//! passphrase   Argon2id over the passphrase with the salt and costs that the header names
//! recipient    X25519 between a key pair made for this bundle and the recipient's signing key, of
//!              which both halves have a form on Curve25519
//!                │
//!                └─► BLAKE3 key derivation over it and the header ─► key of the frames
//! ```
//!
//! Salts and key pairs are made anew for every bundle, so no key of frames is ever used for two. A
//! header that was changed gives another key, which opens nothing.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Bytes by which a sealed body is longer than its content.
pub const TAG: usize = 16;
/// KiB of memory that deriving a key from a passphrase may take: what a header asks for beyond it
/// is an attack on memory, not a passphrase.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Passes over that memory.
pub const MAX_PASSES: u32 = 64;
/// The costs for new bundles: RFC 9106, second recommended option.
pub const COSTS: Costs = Costs { memory_kib: 64 << 10, passes: 3, lanes: 4 };

/// What deriving a key from a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Independent lanes.
    pub lanes: u32,
}

/// Seals and opens the bodies of frames, or leaves them as they are.
#[derive(Clone)]
pub struct Cipher(Option<ChaCha20Poly1305>);

impl Cipher {
    /// Leaves bodies as they are.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Seals with this key.
    pub(super) fn of_key(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self(Some(ChaCha20Poly1305::new(&Key::from(*key))))
    }

    /// Bytes by which a body is longer than its content.
    #[must_use]
    pub fn overhead(&self) -> usize {
        if self.0.is_some() { TAG } else { 0 }
    }

    /// The body of frame `number` with this start and content.
    pub(super) fn seal(&self, number: u64, start: &[u8; 8], content: &[u8]) -> Vec<u8> {
        match &self.0 {
            None => content.to_vec(),
            // It fails beyond 256 GiB only; a body has 1 MiB.
            Some(cipher) => cipher
                .encrypt(&nonce(number), Payload { msg: content, aad: start })
                .unwrap_or_default(),
        }
    }

    /// The content of the body of frame `number`; `None` when it was not sealed as such.
    pub(super) fn open(&self, number: u64, start: &[u8; 8], body: Vec<u8>) -> Option<Vec<u8>> {
        match &self.0 {
            None => Some(body),
            Some(cipher) => cipher.decrypt(&nonce(number), Payload { msg: &body, aad: start }).ok(),
        }
    }
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Cipher(ChaCha20-Poly1305)" } else { "Cipher(none)" })
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::from(nonce)
}

/// The secret of a passphrase.
///
/// # Errors
/// When the header asks for costs that no bundle has.
pub(super) fn from_passphrase(
    passphrase: &str,
    salt: &[u8; 16],
    costs: Costs,
) -> Result<Zeroizing<[u8; 32]>> {
    let refused = || Error::damaged("the bundle asks for key derivation with impossible costs");
    let Costs { memory_kib, passes, lanes } = costs;
    if memory_kib > MAX_MEMORY_KIB || passes > MAX_PASSES || lanes > 16 {
        return Err(refused());
    }
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| refused())?;
    let mut secret = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *secret)
        .map_err(|_| refused())?;
    Ok(secret)
}

/// The cipher for the frames behind a header.
pub(super) fn derive(secret: &[u8; 32], header: &[u8]) -> Cipher {
    let mut hasher = blake3::Hasher::new_derive_key("osupg 2026 bundle 1: key of the frames");
    hasher.update(secret).update(header);
    Cipher::of_key(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_hangs_on_passphrase_salt_and_header() {
        let costs = Costs { memory_kib: 64, passes: 1, lanes: 1 };
        let sealed = |passphrase, salt, header: &[u8]| {
            let secret = from_passphrase(passphrase, &[salt; 16], costs).unwrap();
            derive(&secret, header).seal(0, &[0; 8], b"content")
        };
        let one = sealed("correct horse", 1, b"header");
        assert_eq!(sealed("correct horse", 1, b"header"), one);
        assert_ne!(sealed("correct house", 1, b"header"), one);
        assert_ne!(sealed("correct horse", 2, b"header"), one);
        assert_ne!(sealed("correct horse", 1, b"heeder"), one);
    }

    #[test]
    fn costs_that_would_take_all_memory_are_refused() {
        for costs in [
            Costs { memory_kib: u32::MAX, passes: 1, lanes: 1 },
            Costs { memory_kib: 64, passes: u32::MAX, lanes: 1 },
            Costs { memory_kib: 64, passes: 1, lanes: u32::MAX },
            Costs { memory_kib: 0, passes: 0, lanes: 0 },
        ] {
            assert!(from_passphrase("x", &[0; 16], costs).is_err(), "{costs:?}");
        }
    }
}
