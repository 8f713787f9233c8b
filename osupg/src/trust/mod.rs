//! Who said so: signatures over what leaves this store, and whose signatures are believed.
//!
//! ```text
//! keys/current        the id of the key that signs
//! keys/<id>.pem       its private half (PKCS #8), readable by the owner alone
//! trust/<id>.json     a key that is believed, or was once and is revoked
//! ```
//!
//! A statement travels as a DSSE envelope (Dead Simple Signing Envelope 1.0): the bytes, what kind
//! of statement they are, and Ed25519 signatures over both. The kind is signed too, so that a
//! statement cannot be passed off as one of another kind. A key's id is the SHA-256 of its public
//! half in DER (`SubjectPublicKeyInfo`), so that `openssl` computes the same.
//!
//! The first key is made when it is first needed. [`rotate`](ring::rotate) makes another one, and a
//! statement signed by both: whoever trusts the old key may take over the new one from it. The old
//! key stays trusted, for what it has signed is still around, until it is revoked.

pub mod envelope;
pub mod key;
pub mod list;
pub mod manage;
pub mod ring;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::store::lease::Lease;

pub use envelope::Envelope;
pub use key::{KeyId, PublicKey};
pub use list::TrustList;

/// Signs a statement of this kind with the store's current key, which is made if there is none.
///
/// # Errors
/// When the key cannot be read or made.
pub fn sign(home: &Home, payload_type: &str, payload: &[u8]) -> Result<Envelope> {
    Ok(Envelope::sign(payload_type, payload, &[&private_key(home)?]))
}

/// The store's current key, which is made if there is none.
pub(crate) fn private_key(home: &Home) -> Result<key::PrivateKey> {
    let _lock = lock(home)?;
    ring::current(home.root())
}

/// The statement in an envelope, if a trusted key has signed it as one of this kind.
///
/// # Errors
/// When it is of another kind, is signed by nobody on the list, or was changed after signing.
pub fn open(envelope: &Envelope, trusted: &TrustList, payload_type: &str) -> Result<Vec<u8>> {
    let signer = |id: &KeyId| trusted.key(id);
    match envelope.verify(payload_type, signer)? {
        Some(_) => Ok(envelope.payload().to_vec()),
        None => Err(trusted.stranger(envelope)),
    }
}

/// Who of the list has signed an envelope: the key, and what people here call it.
///
/// # Errors
/// As [`open`].
pub fn signer(
    envelope: &Envelope,
    trusted: &TrustList,
    payload_type: &str,
) -> Result<(KeyId, String)> {
    match envelope.verify(payload_type, |id| trusted.key(id))? {
        Some(id) => {
            let name = trusted.entry(&id).map(|key| key.name.clone()).unwrap_or_default();
            Ok((id, name))
        }
        None => Err(trusted.stranger(envelope)),
    }
}

/// The lock under which keys and the trust list are read and changed.
pub(crate) fn lock(home: &Home) -> Result<Lease> {
    Lease::exclusive(&home.root().join("trust.lock"))
}

/// Writes a small file that only its owner can read, whole or not at all.
fn write(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: wim_extract::Error| Error::io(error.to_string());
    let file = wim_extract::output::AtomicFile::create(path).map_err(failed)?;
    crate::system::make_private(file.file())
        .map_err(|error| Error::file("set the permissions of", path, &error))?;
    file.write_at(bytes, 0).map_err(failed)?;
    file.commit().map_err(failed)
}

/// Reads a file of at most `limit` bytes; `None` when there is none.
fn read(path: &std::path::Path, limit: u64) -> Result<Option<Vec<u8>>> {
    use std::io::Read;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("open", path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::file("read", path, &error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::damaged(format!(
            "{} is longer than the {limit} bytes that such a file can have",
            crate::text::path(path)
        )));
    }
    Ok(Some(bytes))
}
