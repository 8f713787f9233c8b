//! Revisions that were made elsewhere: they keep their package's id and their number.

use sqlx::{Any, Transaction};

use super::Db;
use super::packages::{self, NewRevision, name_key};
use crate::error::{Error, Result};
use crate::package::document::Facts;
use crate::time::Moment;

/// The kind of source of a package that a node has fetched; its path is where from.
pub const ELSEWHERE: &str = "elsewhere";

impl Db {
    /// Drops every revision of a package but this one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn keep_only(&self, package: &str, number: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE revision SET parent_id = NULL WHERE package_id = $1 AND number = $2")
            .bind(package)
            .bind(number)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM revision WHERE package_id = $1 AND number <> $2")
            .bind(package)
            .bind(number)
            .execute(&mut *tx)
            .await?;
        super::contents::drop_unreferenced(&mut tx, Moment::now()).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Makes the package of a revision that is being taken in, or brings its fields up to date, and
/// puts the revision in as its current one.
pub(crate) async fn insert_received(
    tx: &mut Transaction<'static, Any>,
    facts: &Facts,
    number: i64,
    source: &str,
    revision: &NewRevision<'_>,
    now: Moment,
) -> Result<()> {
    let named: Option<String> =
        sqlx::query_scalar("SELECT id FROM package WHERE name_key = $1 AND id <> $2")
            .bind(name_key(&facts.name))
            .bind(&facts.id)
            .fetch_optional(&mut **tx)
            .await?;
    if let Some(other) = named {
        return Err(Error::conflict(format!(
            "{} is to be named {:?}, and that is the name of {other} here",
            facts.id, facts.name
        ))
        .advise(format!("rename {other} first")));
    }
    sqlx::query(
        "INSERT INTO package (id, name, name_key, version, comment, architecture, \
         architecture_by, language, language_by, source_kind, source_path, current_revision, \
         created_at, changed_at, edit_count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $13, $10, $11, $12, $12, 0) \
         ON CONFLICT (id) DO UPDATE SET name = $2, name_key = $3, version = $4, comment = $5, \
         architecture = $6, architecture_by = $7, language = $8, language_by = $9, \
         current_revision = $11, changed_at = $12, edit_count = package.edit_count + 1",
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
    .bind(source)
    .bind(number)
    .bind(now.0)
    .bind(ELSEWHERE)
    .execute(&mut **tx)
    .await?;
    let there: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT digest FROM revision WHERE package_id = $1 AND number = $2")
            .bind(&facts.id)
            .bind(number)
            .fetch_optional(&mut **tx)
            .await?;
    match there {
        None => packages::insert_revision(tx, &facts.id, number, None, revision, now).await,
        Some(digest) if digest == revision.digest => Ok(()),
        Some(_) => Err(Error::conflict(format!(
            "{} revision {number} is here already, with another content",
            facts.id
        ))
        .advise("two stores must not share a site code")),
    }
}
