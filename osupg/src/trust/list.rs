//! The keys that are believed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envelope::Envelope;
use super::key::{KeyId, PublicKey};
use super::{read, write};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::text;
use crate::time::Moment;

/// Bytes that the file of a key can have.
const MAX_FILE: u64 = 64 << 10;
/// Characters in the name of a key.
pub const MAX_NAME: usize = 64;

/// Why a key is on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// It is, or was, the store's own.
    Own,
    /// Somebody put it there.
    Hand,
    /// A trusted key handed over to it.
    Rotation,
}

/// A key on the list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// Its id.
    pub id: KeyId,
    /// Its public half.
    pub key: PublicKey,
    /// What people call it.
    pub name: String,
    /// Why it is here.
    pub source: Source,
    /// Since when.
    pub added_at: Moment,
    /// Since when its signatures no longer count; `None` for one that is trusted.
    #[serde(default)]
    pub revoked_at: Option<Moment>,
    /// The statement by which it took over from an older key.
    #[serde(default)]
    pub statement: Option<Envelope>,
}

impl Trusted {
    /// A key that is trusted from now on.
    #[must_use]
    pub fn new(key: &PublicKey, name: &str, source: Source) -> Self {
        Self {
            id: key.id(),
            key: *key,
            name: name.to_string(),
            source,
            added_at: Moment::now(),
            revoked_at: None,
            statement: None,
        }
    }
}

/// The trust list of a store.
#[derive(Debug, Clone)]
pub struct TrustList {
    folder: PathBuf,
    keys: BTreeMap<KeyId, Trusted>,
}

impl TrustList {
    /// The list of a store, with its own key, which is made if there is none.
    ///
    /// # Errors
    /// When the files of the store cannot be read or are not what was written.
    pub fn of(home: &Home) -> Result<Self> {
        let _lock = super::lock(home)?;
        super::ring::current(home.root())?;
        Self::load(home.root())
    }

    /// The list in the folder of a store. The caller holds the lock.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let folder = root.join("trust");
        let mut list = Self { folder, keys: BTreeMap::new() };
        let entries = match std::fs::read_dir(&list.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(list),
            Err(error) => return Err(Error::file("list", &list.folder, &error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| Error::file("list", &list.folder, &error))?.path();
            let named = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(".json")?.parse::<KeyId>().ok());
            let Some(id) = named else { continue };
            let Some(bytes) = read(&path, MAX_FILE)? else { continue };
            let damaged = |what: &str| {
                Error::damaged(format!("the trusted key {} {what}", text::path(&path))).advise(
                    "remove the file and add the key again with `osupg trust add`, or restore it",
                )
            };
            let trusted: Trusted = serde_json::from_slice(&bytes)
                .map_err(|error| damaged(&format!("cannot be read: {error}")))?;
            if trusted.id != id || trusted.key.id() != id {
                return Err(damaged("is not the key of that name"));
            }
            list.keys.insert(id, trusted);
        }
        Ok(list)
    }

    /// Every key, revoked ones too, by id.
    pub fn keys(&self) -> impl Iterator<Item = &Trusted> {
        self.keys.values()
    }

    /// The key with this id, if it is trusted.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<PublicKey> {
        let trusted = self.keys.get(id)?;
        trusted.revoked_at.is_none().then_some(trusted.key)
    }

    /// What is known of this key.
    #[must_use]
    pub fn entry(&self, id: &KeyId) -> Option<&Trusted> {
        self.keys.get(id)
    }

    /// The one key that a whole id, or eight or more of its first digits, or a name stands for.
    ///
    /// # Errors
    /// When it stands for none or several.
    pub fn find(&self, given: &str) -> Result<&Trusted> {
        let fits = |one: &&Trusted| one.id.begins_with(given) || one.name == given;
        let found: Vec<_> = self.keys.values().filter(fits).collect();
        match found[..] {
            [one] => Ok(one),
            [] => Err(Error::not_found(format!("there is no key {:?}", text::clean(given)))
                .advise(
                    "`osupg trust list` shows the keys there are; name one by its name or eight or \
                 more digits of its id",
                )),
            _ => Err(Error::usage(format!(
                "{:?} stands for {} keys",
                text::clean(given),
                found.len()
            ))
            .advise("give more digits of the id")),
        }
    }

    /// Puts a key on the list, or a new state of one that is there. The caller holds the lock.
    pub(super) fn put(&mut self, trusted: Trusted) -> Result<()> {
        crate::system::make_private_folder(&self.folder)
            .map_err(|error| Error::file("make", &self.folder, &error))?;
        let json = serde_json::to_vec_pretty(&trusted)
            .map_err(|error| Error::io(format!("cannot write a trusted key: {error}")))?;
        write(&self.folder.join(format!("{}.json", trusted.id)), &json)?;
        self.keys.insert(trusted.id, trusted);
        Ok(())
    }

    /// Revokes a key that is on the list. The caller holds the lock.
    pub(super) fn revoke(&mut self, id: &KeyId) -> Result<()> {
        let Some(trusted) = self.keys.get(id) else { return Ok(()) };
        let revoked = trusted.revoked_at.or(Some(Moment::now()));
        self.put(Trusted { revoked_at: revoked, ..trusted.clone() })
    }

    /// The refusal of a statement that no trusted key has signed.
    #[must_use]
    pub fn stranger(&self, envelope: &Envelope) -> Error {
        let signers = envelope.claimed_signers();
        if let Some(revoked) = signers
            .iter()
            .find_map(|id| self.keys.get(id).filter(|trusted| trusted.revoked_at.is_some()))
        {
            return Error::damaged(format!(
                "it is signed by key {} ({:?}), which is revoked",
                revoked.id,
                text::clean(&revoked.name)
            ));
        }
        let by = match signers.first() {
            None => return Error::damaged("it is not signed"),
            Some(id) => id,
        };
        Error::damaged(format!("it is signed by key {by}, which is not trusted here")).advise(
            "if that is the key that `osupg key show` prints at its maker, let it be trusted with \
             `osupg trust add`",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::key::PrivateKey;

    #[test]
    fn keys_are_kept_found_and_revoked() {
        let home = tempfile::tempdir().unwrap();
        let (one, two) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let mut list = TrustList::load(home.path()).unwrap();
        list.put(Trusted::new(&one.public(), "main site", Source::Hand)).unwrap();
        list.put(Trusted::new(&two.public(), "other", Source::Hand)).unwrap();

        let mut list = TrustList::load(home.path()).unwrap();
        let id = one.public().id();
        assert_eq!(list.find("main site").unwrap().id, id);
        assert_eq!(list.find(&id.to_string().to_uppercase()).unwrap().id, id);
        assert_eq!(list.find(&id.short()).unwrap().id, id);
        assert!(list.find(&id.to_string()[..7]).is_err() && list.find("").is_err());
        list.revoke(&id).unwrap();

        let list = TrustList::load(home.path()).unwrap();
        assert!(list.key(&id).is_none() && list.key(&two.public().id()).is_some());
        let envelope = Envelope::sign("kind", b"", &[&one]);
        assert!(list.stranger(&envelope).to_string().contains("revoked"));
    }

    #[test]
    fn a_file_that_is_not_its_key_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (one, two) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let mut list = TrustList::load(home.path()).unwrap();
        list.put(Trusted::new(&one.public(), "x", Source::Hand)).unwrap();
        let folder = home.path().join("trust");
        let from = folder.join(format!("{}.json", one.public().id()));
        std::fs::write(folder.join("notes.json"), "not a key").unwrap();
        TrustList::load(home.path()).unwrap();
        std::fs::rename(&from, folder.join(format!("{}.json", two.public().id()))).unwrap();
        assert!(TrustList::load(home.path()).is_err());
    }
}
