//! Revisions beyond the first: appended, copied, counted and taken away.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::edits::{self, Edit};
use super::packages::{self, NewRevision};
use super::{Db, contents, hash32, unsigned};
use crate::error::{Error, Result};
use crate::package::model::{Origin, Package, Revision};
use crate::package::select::Statement;
use crate::time::Moment;

/// A revision as its row has it.
pub(super) fn revision_of(row: &AnyRow) -> Result<Revision> {
    Ok(Revision {
        key: row.get("revision_id"),
        number: row.get("number"),
        parent: row.get("parent_number"),
        cause: row.get("cause"),
        made_by: row.get("made_by"),
        selection: row.get("kept"),
        editions: row.get("editions"),
        builds: row.get("builds"),
        digest: hash32(row.get("digest"))?,
        root_modified: packages::file_time(row, "root_s", "root_ns"),
        file_count: unsigned(row.get("file_count"))?,
        total_size: unsigned(row.get("total_size"))?,
        new_size: unsigned(row.get("new_size"))?,
        created_at: Moment(row.get("revision_at")),
    })
}

impl Db {
    /// All revisions of the package with this id, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn revisions(&self, package: &str) -> Result<Vec<Revision>> {
        sqlx::query(
            "SELECT r.id AS revision_id, r.number, r.parent_number, r.cause, r.made_by, \
             r.selection AS kept, r.editions, r.builds, r.digest, r.root_s, r.root_ns, \
             r.file_count, r.total_size, r.new_size, r.created_at AS revision_at \
             FROM revision r WHERE r.package_id = $1 ORDER BY r.number DESC",
        )
        .bind(package)
        .fetch_all(self.pool())
        .await?
        .iter()
        .map(revision_of)
        .collect()
    }

    /// Bytes of the objects that this revision alone uses, of all packages.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn only_in(&self, revision: i64) -> Result<u64> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(SUM(object.size), 0) AS BIGINT) FROM object WHERE object.id IN \
             (SELECT piece.object_id FROM entry \
              JOIN content_piece piece ON piece.content_id = entry.content_id \
              WHERE entry.revision_id = $1) \
             AND NOT EXISTS (SELECT 1 FROM content_piece piece \
              JOIN entry ON entry.content_id = piece.content_id \
              WHERE piece.object_id = object.id AND entry.revision_id <> $1)",
        )
        .bind(revision)
        .fetch_one(self.pool())
        .await?;
        unsigned(bytes)
    }
}

impl Db {
    /// The numbers of the revisions of a package that are published somewhere, or are to be.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn published(&self, package: &str) -> Result<Vec<i64>> {
        let numbers = sqlx::query_scalar(
            "SELECT number FROM assignment WHERE package_id = $1 \
             UNION SELECT wanted FROM presence WHERE package_id = $1 AND wanted IS NOT NULL \
             UNION SELECT held FROM presence WHERE package_id = $1 AND held IS NOT NULL",
        )
        .bind(package)
        .fetch_all(self.pool())
        .await?;
        Ok(numbers)
    }
}

/// Makes `revision` the current one of `package`, which is as it was when the work began.
///
/// # Errors
/// When another revision has come first.
pub(crate) async fn append(
    tx: &mut Transaction<'static, Any>,
    package: &Package,
    revision: &NewRevision<'_>,
    statement: &Statement,
    now: Moment,
) -> Result<i64> {
    let parent = package.revision.number;
    let number = advance(tx, package, now).await?;
    state(tx, package, statement, revision.made_by, now).await?;
    packages::insert_revision(tx, &package.id, number, Some(parent), revision, now).await?;
    Ok(number)
}

/// Makes a copy of the revision of `older` the current one of `package`, the same package at another
/// revision.
pub(crate) async fn copy(
    tx: &mut Transaction<'static, Any>,
    package: &Package,
    older: &Package,
    statement: &Statement,
    by: &str,
    now: Moment,
) -> Result<i64> {
    let number = advance(tx, package, now).await?;
    state(tx, package, statement, by, now).await?;
    let key: i64 = sqlx::query_scalar(
        "INSERT INTO revision (package_id, number, parent_number, cause, made_by, selection, \
         editions, builds, digest, root_s, root_ns, file_count, total_size, new_size, created_at) \
         SELECT package_id, CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS TEXT), \
         CAST($4 AS TEXT), selection, editions, builds, digest, root_s, root_ns, file_count, \
         total_size, 0, CAST($5 AS BIGINT) FROM revision WHERE id = $6 RETURNING id",
    )
    .bind(number)
    .bind(package.revision.number)
    .bind(format!("rollback to {}", older.revision.number))
    .bind(by)
    .bind(now.0)
    .bind(older.revision.key)
    .fetch_one(&mut **tx)
    .await?;
    for copy in [
        "INSERT INTO entry (revision_id, path, content_id, mtime_s, mtime_ns) \
         SELECT CAST($1 AS BIGINT), path, content_id, mtime_s, mtime_ns FROM entry \
         WHERE revision_id = $2",
        "INSERT INTO image (revision_id, path, image_index, facts, xml) \
         SELECT CAST($1 AS BIGINT), path, image_index, facts, xml FROM image \
         WHERE revision_id = $2",
    ] {
        sqlx::query(copy).bind(key).bind(older.revision.key).execute(&mut **tx).await?;
    }
    Ok(number)
}

/// Gives a package its next revision number, if it is still at the revision that it was at.
async fn advance(
    tx: &mut Transaction<'static, Any>,
    package: &Package,
    now: Moment,
) -> Result<i64> {
    let number: Option<i64> = sqlx::query_scalar(
        "UPDATE package SET current_revision = current_revision + 1, changed_at = $3 \
         WHERE id = $1 AND current_revision = $2 RETURNING current_revision",
    )
    .bind(&package.id)
    .bind(package.revision.number)
    .bind(now.0)
    .fetch_optional(&mut **tx)
    .await?;
    number.ok_or_else(|| {
        Error::conflict(format!(
            "{} is no longer at revision {}: it got another one, or was removed, meanwhile",
            package.id, package.revision.number
        ))
        .advise("look at it, and run the command again if it is still wanted")
    })
}

/// Takes over what the images of a new revision say; what was given by hand stays.
async fn state(
    tx: &mut Transaction<'static, Any>,
    package: &Package,
    statement: &Statement,
    by: &str,
    now: Moment,
) -> Result<()> {
    let mut changes = Vec::new();
    for (field, old, new) in [
        ("architecture", &package.architecture, &statement.architecture),
        ("language", &package.language, &statement.language),
    ] {
        if old.by == Origin::Image && old.value != new.value {
            changes.push(Edit::new(field, &old.value, &new.value));
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query("UPDATE package SET architecture = $2, language = $3 WHERE id = $1")
        .bind(&package.id)
        .bind(&statement.architecture.value)
        .bind(&statement.language.value)
        .execute(&mut **tx)
        .await?;
    edits::record(tx, &package.id, &changes, by, now).await
}

/// Makes another place the source of a package.
pub(crate) async fn set_source(
    tx: &mut Transaction<'static, Any>,
    package: &Package,
    kind: &str,
    path: &str,
    by: &str,
    now: Moment,
) -> Result<()> {
    if package.source_path == path && package.source_kind == kind {
        return Ok(());
    }
    sqlx::query("UPDATE package SET source_kind = $2, source_path = $3 WHERE id = $1")
        .bind(&package.id)
        .bind(kind)
        .bind(path)
        .execute(&mut **tx)
        .await?;
    let edit = Edit::new("source", &package.source_path, path);
    edits::record(tx, &package.id, &[edit], by, now).await
}

/// Takes revisions away by their keys. Returns how many objects nothing refers to any more, and
/// their bytes.
pub(crate) async fn remove(
    tx: &mut Transaction<'static, Any>,
    keys: &[i64],
    now: Moment,
) -> Result<(u64, u64)> {
    for key in keys {
        // The current revision never goes, whatever else has happened since it was looked at.
        sqlx::query(
            "DELETE FROM revision WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM package \
             WHERE package.id = revision.package_id AND package.current_revision = revision.number)",
        )
        .bind(*key)
        .execute(&mut **tx)
        .await?;
    }
    contents::drop_unreferenced(tx, now).await
}
