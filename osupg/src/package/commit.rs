//! Puts a snapshot into the database: what adding and refreshing have in common.
//!
//! One transaction holds it all: contents and objects, the revision with its manifest, what to
//! remember of the source files, and the end of the import.

use sqlx::{Any, Transaction};

use super::model::{Entry, Package};
use super::select::Statement;
use super::snapshot::Snapshot;
use crate::db::contents::ContentWriter;
use crate::db::packages::{self, NewPackage, NewRevision};
use crate::db::{imports, revisions, sources};
use crate::error::Result;
use crate::home::Home;
use crate::media::Media;
use crate::store::lease::Lease;
use crate::text;
use crate::time::Moment;

/// What is said of a revision about to be committed.
pub(crate) struct Said<'a> {
    /// The media it was taken from.
    pub media: &'a Media,
    /// What makes it.
    pub cause: &'a str,
    /// Which images were kept, in words; empty for all.
    pub kept: &'a str,
    /// What its images say.
    pub statement: &'a Statement,
    /// Who makes it.
    pub by: &'a str,
}

/// A snapshot on its way into the database.
pub(crate) struct Commit<'a> {
    tx: Transaction<'static, Any>,
    now: Moment,
    snapshot: &'a Snapshot,
    contents: ContentWriter,
    entries: Vec<(&'a Entry, Option<i64>)>,
}

impl<'a> Commit<'a> {
    /// Begins, and puts the contents in.
    pub(crate) async fn begin(home: &Home, snapshot: &'a Snapshot) -> Result<Self> {
        let now = Moment::now();
        let mut tx = home.db.begin().await?;
        let mut contents = ContentWriter::default();
        let mut entries = Vec::with_capacity(snapshot.entries.len());
        for entry in &snapshot.entries {
            let key = match &entry.content {
                Some(content) => Some(contents.ensure(&mut tx, content, now).await?),
                None => None,
            };
            entries.push((entry, key));
        }
        Ok(Self { tx, now, snapshot, contents, entries })
    }

    /// Puts in a new package with the snapshot as its first revision; returns its id.
    pub(crate) async fn first(
        &mut self,
        package: &NewPackage<'_>,
        said: &Said<'_>,
    ) -> Result<String> {
        let revision = revision(self.snapshot, &self.entries, said);
        packages::insert_package(&mut self.tx, package, &revision, self.now).await
    }

    /// Makes the snapshot the current revision of a package.
    pub(crate) async fn next(&mut self, package: &Package, said: &Said<'_>) -> Result<()> {
        let revision = revision(self.snapshot, &self.entries, said);
        revisions::append(&mut self.tx, package, &revision, said.statement, self.now).await?;
        Ok(())
    }

    /// Makes the media the source of a package.
    pub(crate) async fn source(&mut self, package: &Package, said: &Said<'_>) -> Result<()> {
        let source = (said.media.kind().word(), source_path(said.media));
        revisions::set_source(&mut self.tx, package, source.0, &source.1, said.by, self.now).await
    }

    /// Remembers what the source files held, ends the import and commits. The lease must still be
    /// held then: until this moment nothing else has kept the objects.
    pub(crate) async fn end(mut self, import: &str, lease: &Lease) -> Result<()> {
        for file in &self.snapshot.read {
            if let Some(content) = self.contents.key(&file.sha256) {
                sources::remember(
                    &mut self.tx,
                    &file.key,
                    &file.selection,
                    &file.identity,
                    content,
                    file.seen,
                )
                .await?;
            }
        }
        let stored = &self.snapshot.ingested.stored;
        self.contents.doom_unused(&mut self.tx, stored, self.now).await?;
        imports::import_ends(&mut self.tx, import).await?;
        lease.confirm(&mut self.tx).await?;
        self.tx.commit().await?;
        Ok(())
    }
}

fn revision<'r>(
    snapshot: &'r Snapshot,
    entries: &'r [(&'r Entry, Option<i64>)],
    said: &Said<'r>,
) -> NewRevision<'r> {
    NewRevision {
        cause: said.cause,
        selection: said.kept,
        editions: &said.statement.editions,
        builds: &said.statement.builds,
        digest: snapshot.digest(said.media),
        root_modified: said.media.modified(),
        new_size: snapshot.work.new_size,
        made_by: said.by,
        entries,
        images: &snapshot.images,
    }
}

/// The path of a source for the database, from which it can be opened again.
pub(crate) fn source_path(media: &Media) -> String {
    let origin = media.origin();
    origin.to_str().map_or_else(|| text::path(origin), str::to_string)
}
