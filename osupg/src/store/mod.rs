//! The content library: objects named by their hash, in a folder that `object_store` keeps.
//!
//! An object is created once and never changed. Reading checks every byte against the name.
//! An object is first written beside its place, synchronised, and then linked to its name, with
//! the folder synchronised after it: what [`Library::put`] has returned from survives a power cut.

pub mod cut;
pub mod ingest;
pub mod layout;
pub mod lease;
pub mod source;
pub mod sweep;

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use wim_extract::map::Map;

use crate::error::{Error, Result};
use layout::{ObjectId, Piece};

/// What [`Library::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The object is new.
    New,
    /// It was there, and is whole.
    Present,
    /// Something else was there under its name; the object has taken its place.
    Mended,
}

/// What [`Library::check`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Every byte is as it was stored.
    Whole,
    /// There is nothing under this name.
    Missing,
    /// There is something else under this name.
    Damaged,
}

/// The objects of one store.
#[derive(Debug, Clone)]
pub struct Library {
    folder: Arc<Path>,
    store: Arc<dyn ObjectStore>,
}

impl Library {
    /// The library in a local folder, which is made if need be.
    ///
    /// # Errors
    /// When the folder cannot be made or opened.
    pub fn local(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)
            .map_err(|error| Error::file("make the library folder", root, &error))?;
        let store = LocalFileSystem::new_with_prefix(root)?.with_fsync(true);
        Ok(Self { folder: root.into(), store: Arc::new(store) })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store beneath.
    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Whether there is an object of this name and size. Its bytes are not looked at.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn has(&self, piece: &Piece) -> Result<bool> {
        match self.store.head(&piece.id.location()).await {
            Ok(meta) => Ok(meta.size == piece.size),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores `bytes` under their name, `id`.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is left under the name then.
    pub async fn put(&self, id: &ObjectId, bytes: &Bytes) -> Result<Stored> {
        if self.create(id, bytes).await? {
            return Ok(Stored::New);
        }
        let piece = Piece { id: *id, size: bytes.len() as u64 };
        if self.check(&piece).await? == Health::Whole {
            return Ok(Stored::Present);
        }
        // Left by a power cut or damaged since: no revision can be using it as it is.
        match self.store.delete(&id.location()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.create(id, bytes).await?;
        Ok(Stored::Mended)
    }

    /// Creates the object; `false` when there is one already.
    async fn create(&self, id: &ObjectId, bytes: &Bytes) -> Result<bool> {
        let payload = PutPayload::from_bytes(bytes.clone());
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&id.location(), payload, options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes of an object, checked.
    ///
    /// # Errors
    /// When it is missing, or not what was stored.
    pub async fn get(&self, piece: &Piece) -> Result<Bytes> {
        self.read(piece).await?.map_err(|health| lost(piece, health))
    }

    /// The bytes of an object, checked and mapped: they take no memory of the process, however
    /// many are held. The file may be replaced meanwhile, but is never changed.
    ///
    /// # Errors
    /// When it is missing, or not what was stored.
    pub fn map(&self, piece: &Piece) -> Result<Bytes> {
        let path = self.folder.join(piece.id.location().as_ref());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(lost(piece, Health::Missing));
            }
            Err(error) => return Err(Error::file("open", &path, &error)),
        };
        let map = Map::new(&file).map_err(|error| Error::file("read", &path, &error))?;
        let bytes = map.bytes().clone();
        if bytes.len() as u64 != piece.size || ObjectId::of(&bytes) != piece.id {
            return Err(lost(piece, Health::Damaged));
        }
        Ok(bytes)
    }

    /// How the object is.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn check(&self, piece: &Piece) -> Result<Health> {
        Ok(self.read(piece).await?.err().unwrap_or(Health::Whole))
    }

    /// The bytes of an object, or what is wrong with it.
    pub(crate) async fn read(&self, piece: &Piece) -> Result<Result<Bytes, Health>> {
        let found = match self.store.get(&piece.id.location()).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(Err(Health::Missing)),
            Err(error) => return Err(error.into()),
        };
        // The size first: something else under this name may be of any size.
        if found.meta.size != piece.size {
            return Ok(Err(Health::Damaged));
        }
        let bytes = found.bytes().await?;
        let id = piece.id;
        let (bytes, whole) = tokio::task::spawn_blocking(move || {
            let whole = ObjectId::of(&bytes) == id;
            (bytes, whole)
        })
        .await?;
        Ok(if whole { Ok(bytes) } else { Err(Health::Damaged) })
    }
}

/// The error of an object that cannot be used.
fn lost(piece: &Piece, health: Health) -> Error {
    let found = if health == Health::Missing { "is missing" } else { "is damaged" };
    Error::damaged(format!("object {} of the content library {found}", piece.id))
        .advise("add the source again with --rehash: that puts back what the library lacks")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(bytes: &Bytes) -> Piece {
        Piece { id: ObjectId::of(bytes), size: bytes.len() as u64 }
    }

    #[tokio::test]
    async fn an_object_comes_back_and_is_stored_once() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::local(&folder.path().join("library")).unwrap();
        let bytes = Bytes::from_static(b"some bytes");
        let piece = piece(&bytes);
        assert!(!library.has(&piece).await.unwrap());
        assert!(library.map(&piece).unwrap_err().to_string().contains("is missing"));
        assert_eq!(library.check(&piece).await.unwrap(), Health::Missing);
        assert_eq!(library.put(&piece.id, &bytes).await.unwrap(), Stored::New);
        assert_eq!(library.put(&piece.id, &bytes).await.unwrap(), Stored::Present);
        assert!(library.has(&piece).await.unwrap());
        assert_eq!(library.get(&piece).await.unwrap(), bytes);
        assert_eq!(library.map(&piece).unwrap(), bytes);
    }

    #[tokio::test]
    async fn damage_is_found_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::local(folder.path()).unwrap();
        let bytes = Bytes::from_static(b"some bytes");
        let piece = piece(&bytes);
        library.put(&piece.id, &bytes).await.unwrap();
        let file = folder.path().join(piece.id.location().as_ref());
        for wrong in [&b"same bites"[..], b"", b"much longer than it was"] {
            std::fs::write(&file, wrong).unwrap();
            assert_eq!(library.check(&piece).await.unwrap(), Health::Damaged);
            let error = library.get(&piece).await.unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Damaged);
            let error = library.map(&piece).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Damaged);
            assert_eq!(library.put(&piece.id, &bytes).await.unwrap(), Stored::Mended);
            assert_eq!(library.get(&piece).await.unwrap(), bytes);
        }
        let left = std::fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "no staging files stay behind");
    }
}
