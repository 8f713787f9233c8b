//! Where a node fetches from.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectStore};

use crate::error::{Error, Result};
use crate::home::Home;
use crate::package::document::{self, MAX_SIGNED_BYTES};
use crate::package::reference::Reference;
use crate::points::prefix::Prefix;
use crate::store::layout::{ObjectId, Piece};
use crate::text;
use crate::trust::Envelope;

/// Gives documents and pieces. Nothing that it gives is believed.
pub trait Source: std::fmt::Debug {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// The signed document of a revision; `None` where it has none.
    fn envelope<'a>(
        &'a self,
        package: &'a str,
        number: i64,
    ) -> LocalBoxFuture<'a, Result<Option<Envelope>>>;

    /// Goes on with a piece where `part` ends, as far as it gets.
    fn piece<'a>(&'a self, piece: &'a Piece, part: &'a mut Part) -> LocalBoxFuture<'a, Result<()>>;
}

/// As much of a piece as has come, in a file that outlives the process.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: File,
    piece: Piece,
    len: u64,
}

impl Part {
    /// The part of a piece in `folder`, which exists; empty if nothing has come of it yet.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(folder: &Path, piece: &Piece) -> Result<Self> {
        let path = folder.join(piece.id.to_string());
        let open = File::options().append(true).read(true).create(true).open(&path);
        let file = open.map_err(|error| Error::file("write", &path, &error))?;
        let len = file.metadata().map_err(|error| Error::file("examine", &path, &error))?.len();
        let mut part = Self { path, file, piece: *piece, len };
        if len > piece.size {
            part.restart()?;
        }
        Ok(part)
    }

    /// Bytes that have come.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether all have.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len == self.piece.size
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    /// When there are more than the piece has, or the disk is full.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.len + bytes.len() as u64 > self.piece.size {
            return Err(Error::damaged(format!("more bytes than object {} has", self.piece.id)));
        }
        self.file.write_all(bytes).map_err(|error| Error::file("write", &self.path, &error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Begins anew.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(|error| Error::file("write", &self.path, &error))?;
        self.len = 0;
        Ok(())
    }

    /// The whole piece, if it is right; the file is gone or empty then.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn take(mut self) -> Result<Option<Bytes>> {
        let bytes =
            std::fs::read(&self.path).map_err(|error| Error::file("read", &self.path, &error))?;
        if bytes.len() as u64 != self.piece.size || ObjectId::of(&bytes) != self.piece.id {
            self.restart()?;
            return Ok(None);
        }
        Ok(Some(bytes.into()))
    }

    /// Forgets a part whose piece is in the library.
    pub fn done(folder: &Path, piece: &Piece) {
        // What cannot be removed now goes when the folder is cleared.
        let _ = std::fs::remove_file(folder.join(piece.id.to_string()));
    }
}

/// A store that can be read directly: of the same machine, or in tests.
#[derive(Debug)]
pub struct Neighbour(pub Home);

impl Source for Neighbour {
    fn name(&self) -> String {
        text::path(self.0.root())
    }

    fn envelope<'a>(
        &'a self,
        package: &'a str,
        number: i64,
    ) -> LocalBoxFuture<'a, Result<Option<Envelope>>> {
        async move {
            let reference = Reference { package: package.into(), revision: Some(number) };
            let document = document::of_revision(&self.0, &reference).await?;
            document::sign(&self.0, &document).await.map(Some)
        }
        .boxed_local()
    }

    fn piece<'a>(&'a self, piece: &'a Piece, part: &'a mut Part) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let bytes = self.0.library.get(piece).await?;
            let from = usize::try_from(part.len()).unwrap_or(usize::MAX);
            part.append(bytes.get(from..).unwrap_or_default())
        }
        .boxed_local()
    }
}

/// A prefix of an object store that is a point of its own.
#[derive(Debug)]
pub struct Bucket(pub Prefix);

impl Source for Bucket {
    fn name(&self) -> String {
        self.0.address.clone()
    }

    fn envelope<'a>(
        &'a self,
        package: &'a str,
        _number: i64,
    ) -> LocalBoxFuture<'a, Result<Option<Envelope>>> {
        async move {
            let at = object_store::path::Path::from_iter(["revisions", &format!("{package}.json")]);
            let Some(bytes) = self.0.get(&at, MAX_SIGNED_BYTES).await? else { return Ok(None) };
            Envelope::from_json(&bytes).map(Some)
        }
        .boxed_local()
    }

    fn piece<'a>(&'a self, piece: &'a Piece, part: &'a mut Part) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            if part.is_full() {
                return Ok(());
            }
            let range = GetRange::Bounded(part.len()..piece.size);
            let options = GetOptions { range: Some(range), ..GetOptions::default() };
            let at = piece.id.location();
            let request = self.0.store.get_opts(&at, options);
            let Some(found) = self.0.ask(request).await? else {
                return Err(Error::io(format!("it does not have object {}", piece.id)));
            };
            let mut chunks = found.into_stream();
            while let Some(chunk) = self.0.ask(chunks.try_next()).await?.flatten() {
                part.append(&chunk)?;
            }
            Ok(())
        }
        .boxed_local()
    }
}
