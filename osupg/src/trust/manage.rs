//! What can be done with keys: show, rotate, list, add, remove.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envelope::Envelope;
use super::key::{KeyId, PublicKey};
use super::list::{MAX_NAME, Source, TrustList, Trusted};
use super::ring;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// The key that signs for this store; made if there is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowKey {}

/// A key of this store.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwnKey {
    /// Its id.
    pub id: KeyId,
    /// Its public half, as PEM.
    pub key: PublicKey,
    /// The statement by which it took over from the key before it.
    pub statement: Option<Envelope>,
}

impl Operation for ShowKey {
    type Outcome = OwnKey;
    const NAME: &'static str = "key.show";
    const RIGHT: Right = Right::Read;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<OwnKey> {
        let _lock = super::lock(home)?;
        let key = ring::current(home.root())?.public();
        let list = TrustList::load(home.root())?;
        let statement = list.entry(&key.id()).and_then(|trusted| trusted.statement.clone());
        Ok(OwnKey { id: key.id(), key, statement })
    }
}

/// Makes a new key that signs from now on. What the old one has signed stays trusted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {}

impl Operation for RotateKey {
    type Outcome = OwnKey;
    const NAME: &'static str = "key.rotate";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<OwnKey> {
        let _lock = super::lock(home)?;
        let (key, statement) = ring::rotate(home.root())?;
        Ok(OwnKey { id: key.id(), key, statement: Some(statement) })
    }
}

/// Every key that is trusted here, or was once.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

impl Operation for List {
    type Outcome = Vec<Trusted>;
    const NAME: &'static str = "trust.list";
    const RIGHT: Right = Right::Read;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Trusted>> {
        Ok(TrustList::of(home)?.keys().cloned().collect())
    }
}

/// Trusts a key from now on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The public key as PEM, or the statement of a rotation as JSON, which a trusted key has
    /// signed.
    pub key: String,
    /// What people call it: 1 to 64 characters. A rotation keeps the old key's name if it is empty.
    #[serde(default)]
    pub name: String,
}

impl Operation for Add {
    type Outcome = Trusted;
    const NAME: &'static str = "trust.add";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Trusted> {
        let _lock = super::lock(home)?;
        let mut list = TrustList::load(home.root())?;
        let trusted = if self.key.trim_start().starts_with('{') {
            self.successor(&list)?
        } else {
            let key = PublicKey::from_pem(&self.key)?;
            Trusted::new(&key, &name(&self.name)?, Source::Hand)
        };
        // Adding a key that is trusted already changes nothing.
        if let Some(there) = list.entry(&trusted.id).filter(|there| there.revoked_at.is_none()) {
            return Ok(there.clone());
        }
        list.put(trusted.clone())?;
        Ok(trusted)
    }
}

impl Add {
    fn successor(&self, list: &TrustList) -> Result<Trusted> {
        let statement = Envelope::from_json(self.key.as_bytes())?;
        let rotation = ring::proven(&statement, list)?;
        if list.entry(&rotation.new.id()).is_some_and(|known| known.revoked_at.is_some()) {
            return Err(Error::usage(format!("key {} is revoked here", rotation.new.id()))
                .advise("to trust it all the same, add the key itself instead of the statement"));
        }
        let old = list.entry(&rotation.old).map(|old| old.name.clone()).unwrap_or_default();
        let given = if self.name.trim().is_empty() { &old } else { &self.name };
        Ok(Trusted {
            statement: Some(statement),
            ..Trusted::new(&rotation.new, &name(given)?, Source::Rotation)
        })
    }
}

fn name(given: &str) -> Result<String> {
    let name = given.trim();
    match name.chars().count() {
        0 => Err(Error::usage("a key needs a name").advise("give one with --name")),
        1..=MAX_NAME if !name.chars().any(char::is_control) => Ok(name.to_string()),
        1..=MAX_NAME => Err(Error::usage("the name of the key holds a control character")),
        long => Err(Error::usage(format!(
            "the name of the key has {long} characters; {MAX_NAME} is the most"
        ))),
    }
}

/// Revokes a key: from now on nothing counts that it has signed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// Its id, eight or more of its first digits, or its name.
    pub key: String,
}

impl Operation for Remove {
    type Outcome = Trusted;
    const NAME: &'static str = "trust.remove";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Trusted> {
        let _lock = super::lock(home)?;
        let mut list = TrustList::load(home.root())?;
        let id = list.find(&self.key)?.id;
        if ring::current_id(home.root())? == Some(id) {
            return Err(Error::usage("this is the key that signs for this store")
                .advise("make another one first with `osupg key rotate`"));
        }
        list.revoke(&id)?;
        list.find(&id.to_string()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::trust;

    async fn call<O: Operation>(home: &Home, request: O) -> Result<O::Outcome> {
        let cancel = wim_extract::Cancel::new();
        request.run(home, Watch { progress: &Silent, cancel: &cancel }).await
    }

    async fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).await.unwrap();
        (folder, home)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn another_store_follows_a_key_through_its_rotation() {
        let ((_a, maker), (_b, point)) = (home().await, home().await);
        let signed = trust::sign(&maker, "kind", b"before").unwrap();
        let refused = trust::open(&signed, &TrustList::of(&point).unwrap(), "kind");
        assert!(refused.unwrap_err().advice().is_some_and(|say| say.contains("trust add")));

        let key = call(&maker, ShowKey {}).await.unwrap();
        let add = |key: String, name: &str| Add { key, name: name.into() };
        assert!(call(&point, add(key.key.pem(), "")).await.is_err(), "a name is needed");
        call(&point, add(key.key.pem(), "maker")).await.unwrap();
        let list = TrustList::of(&point).unwrap();
        assert_eq!(trust::open(&signed, &list, "kind").unwrap(), b"before");

        let rotated = call(&maker, RotateKey {}).await.unwrap();
        let after = trust::sign(&maker, "kind", b"after").unwrap();
        assert!(trust::open(&after, &list, "kind").is_err());
        let statement = rotated.statement.unwrap().to_json();
        let added = call(&point, add(statement.clone(), "")).await.unwrap();
        assert_eq!((added.name.as_str(), added.source), ("maker", Source::Rotation));
        let list = TrustList::of(&point).unwrap();
        trust::open(&after, &list, "kind").unwrap();
        trust::open(&signed, &list, "kind").unwrap();
        // At the maker too, what the old key has signed still counts.
        trust::open(&signed, &TrustList::of(&maker).unwrap(), "kind").unwrap();

        call(&point, Remove { key: rotated.id.to_string() }).await.unwrap();
        let list = TrustList::of(&point).unwrap();
        assert!(trust::open(&after, &list, "kind").unwrap_err().to_string().contains("revoked"));
        assert!(call(&point, add(statement, "")).await.is_err(), "no way back by a statement");
        call(&point, add(rotated.key.pem(), "maker again")).await.unwrap();
        trust::open(&after, &TrustList::of(&point).unwrap(), "kind").unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_key_that_signs_cannot_be_revoked() {
        let (_folder, home) = home().await;
        let old = call(&home, ShowKey {}).await.unwrap().id.to_string();
        assert!(call(&home, Remove { key: old.clone() }).await.is_err());
        call(&home, RotateKey {}).await.unwrap();
        assert!(call(&home, Remove { key: old }).await.unwrap().revoked_at.is_some());
    }
}
