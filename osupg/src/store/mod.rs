//! The content library: objects named by their hash, in a folder, a bucket or memory, all through
//! `object_store`.
//!
//! An object is created once and never changed, which every kind of store can do even with several
//! writers. Reading checks every byte against the name. In a folder an object is first written
//! beside its place, synchronised, and then linked to its name, with the folder synchronised after
//! it: what [`Library::put`] has returned from survives a power cut.

pub mod cache;
pub mod cut;
pub mod ingest;
pub mod layout;
pub mod lease;
pub mod place;
pub mod source;
pub(crate) mod staging;
pub mod sweep;

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::Handle;
use wim_extract::map::Map;

use crate::error::{Error, Result};
use crate::space;
use cache::Cache;
use layout::{ObjectId, Piece};
use place::Place;

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
    store: Arc<dyn ObjectStore>,
    nearness: Nearness,
}

/// How the bytes of an object come to be mapped.
#[derive(Debug, Clone)]
enum Nearness {
    /// They lie in a folder of this machine.
    Here(Arc<Path>),
    /// They are fetched into one.
    Elsewhere { cache: Arc<Cache>, runtime: Handle },
}

impl Library {
    /// The library in a local folder, which is made if need be.
    ///
    /// # Errors
    /// When the folder cannot be made or opened.
    pub fn local(root: &Path) -> Result<Self> {
        let Place { store, .. } = Place::folder(root)?;
        Ok(Self { store, nearness: Nearness::Here(root.into()) })
    }

    /// The library at `place`. One that is elsewhere keeps what is worked with in `cache`; it is
    /// opened within the runtime that is to fetch objects.
    ///
    /// # Errors
    /// When the folder of the cache cannot be made.
    pub fn at(place: Place, cache: &Path, settings: &cache::Settings) -> Result<Self> {
        let nearness = match place.folder {
            Some(folder) => Nearness::Here(folder.into()),
            None => Nearness::Elsewhere {
                cache: Arc::new(Cache::open(cache, settings)?),
                runtime: Handle::try_current()
                    .map_err(|error| Error::io(format!("internal: {error}")))?,
            },
        };
        Ok(Self { store: place.store, nearness })
    }

    /// Where it is, if that is a folder of this machine.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.nearness {
            Nearness::Here(folder) => Some(folder),
            Nearness::Elsewhere { .. } => None,
        }
    }

    /// Checks that so many more bytes fit, where that can be known.
    ///
    /// # Errors
    /// When they do not.
    pub fn require_space(&self, bytes: u64) -> Result<()> {
        let Some(folder) = self.folder() else { return Ok(()) };
        space::require(folder, folder, bytes).map_err(|error| {
            error.advise(
                "free some space or choose a store on another disk with --home; if the library \
                 holds most of it already, add it with --rehash",
            )
        })
    }

    /// How many pieces of a file may stay mapped.
    fn mappable(&self) -> usize {
        match &self.nearness {
            Nearness::Here(_) => usize::MAX,
            Nearness::Elsewhere { cache, .. } => cache.pieces(),
        }
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
        let folder = match &self.nearness {
            Nearness::Here(folder) => folder,
            Nearness::Elsewhere { cache, runtime } => {
                return cache.map(piece, || self.fetch(piece, runtime));
            }
        };
        let path = folder.join(piece.id.location().as_ref());
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

    /// The same as [`Library::get`] for a thread that waits.
    fn fetch(&self, piece: &Piece, runtime: &Handle) -> Result<Bytes> {
        // A thread of its own may wait for the runtime wherever this is called from.
        std::thread::scope(|scope| {
            let fetched = scope.spawn(|| runtime.block_on(self.get(piece))).join();
            fetched.unwrap_or_else(|_| Err(Error::io("internal: fetching an object failed")))
        })
    }

    /// Deletes an object; `false` when there was none. Only the holder of the exclusive lease may.
    pub(crate) async fn delete(&self, id: &ObjectId) -> Result<bool> {
        match self.store.delete(&id.location()).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
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
        .advise("`osupg library repair` puts back what it can get from the source or a point")
}

#[cfg(test)]
pub(crate) mod tests;
