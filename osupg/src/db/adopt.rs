//! Packages that another store has made.

use sqlx::{Any, Transaction};

use super::Db;
use super::packages::{self, NewRevision, name_key};
use crate::error::Result;
use crate::package::adopt::{Arrival, Current, check_source};
use crate::package::document::Document;
use crate::time::Moment;

/// The kind of source of a package that another store has made; its path is who signed it.
pub const STORE: &str = "store";

impl Db {
    /// The digest of a revision of the package with this id, if there is such a one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn digest_of(&self, package: &str, number: i64) -> Result<Option<Vec<u8>>> {
        Ok(sqlx::query_scalar("SELECT digest FROM revision WHERE package_id = $1 AND number = $2")
            .bind(package)
            .bind(number)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The package with exactly this id: its kind of source, that source, and its current revision.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn source_of(&self, package: &str) -> Result<Option<(String, String, i64)>> {
        Ok(sqlx::query_as(
            "SELECT source_kind, source_path, current_revision FROM package WHERE id = $1",
        )
        .bind(package)
        .fetch_optional(self.pool())
        .await?)
    }

    /// Drops every revision but this one of a package that another store has made.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn keep_only(&self, package: &str, number: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "DELETE FROM revision WHERE package_id = $1 AND number <> $2 \
             AND package_id IN (SELECT id FROM package WHERE source_kind = $3)",
        )
        .bind(package)
        .bind(number)
        .bind(STORE)
        .execute(&mut *tx)
        .await?;
        super::contents::drop_unreferenced(&mut tx, Moment::now()).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Puts a revision of another store into the database, and its package if it is the first. The
/// fields of the package become those of its current revision.
pub(crate) async fn insert_adopted(
    tx: &mut Transaction<'static, Any>,
    document: &Document,
    arrival: &Arrival<'_>,
    revision: &NewRevision<'_>,
    now: Moment,
) -> Result<()> {
    let parent: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(number) FROM revision WHERE package_id = $1 AND number < $2",
    )
    .bind(&document.package.id)
    .bind(document.number)
    .fetch_one(&mut **tx)
    .await?;
    upsert_adopted(tx, document, arrival.signer, arrival.current, now).await?;
    packages::insert_revision(tx, &document.package.id, document.number, parent, revision, now)
        .await
}

/// Makes the package of a document, or gives it the fields of this one if its revision is to be the
/// current one. A package from elsewhere than its signer is an error, whatever its revision.
pub(crate) async fn upsert_adopted(
    tx: &mut Transaction<'static, Any>,
    document: &Document,
    signer: &str,
    current: Current,
    now: Moment,
) -> Result<()> {
    let facts = &document.package;
    // One row at most has this name: that of another package, or the one that is meant.
    let named: Option<String> = sqlx::query_scalar("SELECT id FROM package WHERE name_key = $1")
        .bind(name_key(&facts.name))
        .fetch_optional(&mut **tx)
        .await?;
    if named.is_some_and(|id| id != facts.id) {
        return Err(packages::name_taken(&facts.name));
    }
    // The number up to which what is there gives way.
    let below = match current {
        Current::Newest => document.number,
        Current::Arrived => i64::MAX,
    };
    sqlx::query(
        "INSERT INTO package (id, name, name_key, version, comment, architecture, \
         architecture_by, language, language_by, source_kind, source_path, current_revision, \
         created_at, changed_at, edit_count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, 0) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key, \
         version = excluded.version, comment = excluded.comment, \
         architecture = excluded.architecture, architecture_by = excluded.architecture_by, \
         language = excluded.language, language_by = excluded.language_by, \
         current_revision = excluded.current_revision, changed_at = excluded.changed_at, \
         edit_count = package.edit_count + 1 \
         WHERE package.current_revision < $14",
    )
    .bind(&facts.id)
    .bind(&facts.name)
    .bind(name_key(&facts.name))
    .bind(&facts.version)
    .bind(&facts.comment)
    .bind(&facts.architecture.value)
    .bind(facts.architecture.by.word())
    .bind(&facts.language.value)
    .bind(facts.language.by.word())
    .bind(STORE)
    .bind(signer)
    .bind(document.number)
    .bind(now.0)
    .bind(below)
    .execute(&mut **tx)
    .await?;
    // Looked at last: the row is there now, and nobody else changes it before this is over.
    let (kind, source): (String, String) =
        sqlx::query_as("SELECT source_kind, source_path FROM package WHERE id = $1")
            .bind(&facts.id)
            .fetch_one(&mut **tx)
            .await?;
    check_source(&facts.id, (&kind, &source), signer)?;
    keep_number_free(tx, &facts.id).await
}

/// Makes sure that this store gives the number of a package that came from elsewhere to none of
/// its own.
async fn keep_number_free(tx: &mut Transaction<'static, Any>, id: &str) -> Result<()> {
    // A document's id is three characters and five digits.
    let (Some(site), Some(number)) = (id.get(..3), id.get(3..)) else { return Ok(()) };
    let Ok(number) = number.parse::<i64>() else { return Ok(()) };
    sqlx::query(
        "INSERT INTO counter (site, next) VALUES ($1, $2) ON CONFLICT (site) DO UPDATE \
         SET next = CASE WHEN counter.next < excluded.next THEN excluded.next ELSE counter.next END",
    )
    .bind(site)
    .bind(number + 1)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
