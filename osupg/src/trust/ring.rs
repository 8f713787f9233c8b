//! The store's own keys: the one that signs, and its successors.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::envelope::Envelope;
use super::key::{KeyId, PrivateKey, PublicKey};
use super::list::{Source, TrustList, Trusted};
use super::{read, write};
use crate::error::{Error, Result};
use crate::system;
use crate::text;
use crate::time::Moment;

/// The kind of statement by which a key hands over to its successor.
pub const ROTATION: &str = "application/vnd.osupg.rotation+json";
/// Bytes that a key file can have; a key takes 119.
const MAX_KEY_FILE: u64 = 4096;

/// What the statement of a rotation says.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rotation {
    /// The key that hands over.
    pub old: KeyId,
    /// The key that takes over.
    pub new: PublicKey,
    /// When.
    pub at: Moment,
}

/// The key that signs; made, and trusted, if there is none. The caller holds the lock.
pub(super) fn current(root: &Path) -> Result<PrivateKey> {
    match current_id(root)? {
        Some(id) => load(root, &id),
        None => {
            let key = PrivateKey::generate()?;
            store(root, &key)?;
            TrustList::load(root)?.put(Trusted::new(&key.public(), "this store", Source::Own))?;
            appoint(root, &key.public().id())?;
            Ok(key)
        }
    }
}

/// Makes a new key that signs from now on, and the statement, signed by the old one and the new
/// one, by which others can take it over. The old private key is destroyed; what it has signed
/// stays trusted. The caller holds the lock.
pub(super) fn rotate(root: &Path) -> Result<(PublicKey, Envelope)> {
    let old = current(root)?;
    let new = PrivateKey::generate()?;
    let rotation = Rotation { old: old.public().id(), new: new.public(), at: Moment::now() };
    let payload = serde_json::to_vec(&rotation)
        .map_err(|error| Error::io(format!("cannot write the statement of a rotation: {error}")))?;
    let statement = Envelope::sign(ROTATION, &payload, &[&old, &new]);
    // Stopped before the last step but one, the old key still signs, and the next rotation makes
    // another key; the one that was never appointed is cleared away below.
    store(root, &new)?;
    let trusted = Trusted {
        statement: Some(statement.clone()),
        ..Trusted::new(&new.public(), "this store", Source::Own)
    };
    TrustList::load(root)?.put(trusted)?;
    appoint(root, &new.public().id())?;
    clear_unappointed(root, &new.public().id())?;
    Ok((new.public(), statement))
}

/// The rotation that a statement proves: signed by the key that hands over, which must be trusted,
/// and by the one that takes over.
///
/// # Errors
/// When either signature is missing or wrong, or the old key is not trusted.
pub(super) fn proven(statement: &Envelope, trusted: &TrustList) -> Result<Rotation> {
    let bad = |what: &str| Error::damaged(format!("this is no rotation of a key: {what}"));
    let rotation: Rotation = serde_json::from_slice(statement.payload())
        .map_err(|error| bad(&format!("its statement cannot be read: {error}")))?;
    let old = trusted.key(&rotation.old).ok_or_else(|| trusted.stranger(statement))?;
    let signed_by = |key: PublicKey| {
        statement.verify(ROTATION, |id| (*id == key.id()).then_some(key)).map(|one| one.is_some())
    };
    if !signed_by(old)? {
        return Err(bad("the key that hands over has not signed it"));
    }
    if !signed_by(rotation.new)? {
        return Err(bad("the key that takes over has not signed it"));
    }
    Ok(rotation)
}

/// The id of the key that signs; `None` before the first is made.
pub(crate) fn current_id(root: &Path) -> Result<Option<KeyId>> {
    let path = folder(root).join("current");
    let Some(bytes) = read(&path, MAX_KEY_FILE)? else { return Ok(None) };
    let id = String::from_utf8(bytes).ok().and_then(|digits| digits.trim().parse().ok());
    id.map(Some).ok_or_else(|| {
        Error::damaged(format!("{} does not hold the id of a key", text::path(&path)))
            .advise("write the id of the key that is to sign into it; the files beside it are keys")
    })
}

/// Where the private half of a key is.
#[must_use]
pub(crate) fn file_of(root: &Path, id: &KeyId) -> PathBuf {
    folder(root).join(format!("{id}.pem"))
}

pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join("keys")
}

fn load(root: &Path, id: &KeyId) -> Result<PrivateKey> {
    let path = file_of(root, id);
    let lost = |what: &str| {
        Error::damaged(format!("the signing key {} {what}", text::path(&path))).advise(
            "restore it from a backup; without one remove the file `current` beside it: a new key \
             is then made, which every point has to be told to trust",
        )
    };
    let seen = system::seen_by_others(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => lost("is missing"),
        _ => Error::file("examine", &path, &error),
    })?;
    if seen.is_some() {
        return Err(Error::usage(format!(
            "the signing key {} can be read by others",
            text::path(&path)
        ))
        .advise(
            "make it private with chmod 600; if somebody may have read it, run `osupg key rotate` \
             and revoke it",
        ));
    }
    let bytes = Zeroizing::new(read(&path, MAX_KEY_FILE)?.ok_or_else(|| lost("is missing"))?);
    let key = std::str::from_utf8(&bytes).ok().and_then(PrivateKey::from_pem);
    key.filter(|key| key.public().id() == *id).ok_or_else(|| lost("is not the key of that name"))
}

fn store(root: &Path, key: &PrivateKey) -> Result<()> {
    let folder = folder(root);
    system::make_private_folder(&folder).map_err(|error| Error::file("make", &folder, &error))?;
    write(&file_of(root, &key.public().id()), key.pem().as_bytes())
}

fn appoint(root: &Path, id: &KeyId) -> Result<()> {
    write(&folder(root).join("current"), format!("{id}\n").as_bytes())
}

fn clear_unappointed(root: &Path, appointed: &KeyId) -> Result<()> {
    let folder = folder(root);
    let failed = |error: std::io::Error| Error::file("list", &folder, &error);
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".pem")?.parse::<KeyId>().ok());
        if id.is_some_and(|id| id != *appointed) {
            std::fs::remove_file(&path).map_err(|error| Error::file("remove", &path, &error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_first_key_is_made_once_and_kept_private() {
        let home = tempfile::tempdir().unwrap();
        let key = current(home.path()).unwrap();
        assert_eq!(current(home.path()).unwrap().public(), key.public());
        let id = key.public().id();
        assert_eq!(mode(&folder(home.path())), 0o700);
        assert_eq!(mode(&file_of(home.path(), &id)), 0o600);
        assert!(TrustList::load(home.path()).unwrap().key(&id).is_some());
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_lost_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let id = current(home.path()).unwrap().public().id();
        let file = file_of(home.path(), &id);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(current(home.path()).unwrap_err().to_string().contains("read by others"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let other = PrivateKey::generate().unwrap();
        std::fs::write(&file, other.pem().as_bytes()).unwrap();
        assert!(current(home.path()).unwrap_err().to_string().contains("not the key"));
        std::fs::remove_file(&file).unwrap();
        assert!(current(home.path()).unwrap_err().to_string().contains("missing"));
        std::fs::write(folder(home.path()).join("current"), "../../etc/passwd").unwrap();
        assert!(current(home.path()).is_err());
    }

    #[test]
    fn a_rotation_hands_over_and_keeps_what_was_signed() {
        let (home, point) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let old = current(home.path()).unwrap();
        let before = Envelope::sign("kind", b"before", &[&old]);
        let mut at_point = TrustList::load(point.path()).unwrap();
        at_point.put(Trusted::new(&old.public(), "main", Source::Hand)).unwrap();

        let (new, statement) = rotate(home.path()).unwrap();
        assert_eq!(current(home.path()).unwrap().public(), new);
        assert!(!file_of(home.path(), &old.public().id()).exists(), "the old half is destroyed");
        let list = TrustList::load(home.path()).unwrap();
        assert!(before.verify("kind", |id| list.key(id)).unwrap().is_some());

        assert_eq!(proven(&statement, &at_point).unwrap().new, new);
        let stranger = TrustList::load(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(proven(&statement, &stranger).is_err());
        at_point.revoke(&old.public().id()).unwrap();
        assert!(proven(&statement, &at_point).is_err(), "a revoked key hands nothing over");
    }

    #[test]
    fn a_rotation_needs_both_signatures() {
        let home = tempfile::tempdir().unwrap();
        let (old, new) = (current(home.path()).unwrap(), PrivateKey::generate().unwrap());
        let rotation = Rotation { old: old.public().id(), new: new.public(), at: Moment(0) };
        let payload = serde_json::to_vec(&rotation).unwrap();
        let list = TrustList::load(home.path()).unwrap();
        for signers in [&[&old][..], &[&new], &[]] {
            assert!(proven(&Envelope::sign(ROTATION, &payload, signers), &list).is_err());
        }
        assert!(proven(&Envelope::sign("other", &payload, &[&old, &new]), &list).is_err());
        assert!(proven(&Envelope::sign(ROTATION, b"{}", &[&old, &new]), &list).is_err());
        proven(&Envelope::sign(ROTATION, &payload, &[&old, &new]), &list).unwrap();
    }
}
