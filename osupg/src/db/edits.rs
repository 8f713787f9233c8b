//! Edits of the fields of packages, and the history of what they changed.

use sqlx::{Any, Row, Transaction};

use super::Db;
use super::packages::{name_key, name_taken};
use crate::error::{Error, Result};
use crate::package::model::Package;
use crate::time::Moment;

/// One field, before and after.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Edit {
    /// The field's name.
    pub field: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

impl Edit {
    /// A change of `field` from `old` to `new`.
    #[must_use]
    pub fn new(field: &str, old: &str, new: &str) -> Self {
        Self { field: field.into(), old: old.into(), new: new.into() }
    }
}

/// An edit with who made it and when.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Recorded {
    /// The edit count of the package after it.
    pub edit_count: i64,
    /// When it was made.
    pub at: Moment,
    /// Who made it.
    pub by: String,
    /// What it changed.
    #[serde(flatten)]
    pub edit: Edit,
}

impl Db {
    /// The changes to the fields of the package with this id after its edit number `since`, the
    /// oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn edits(&self, package: &str, since: i64) -> Result<Vec<Recorded>> {
        let rows = sqlx::query(
            "SELECT edit_count, changed_at, changed_by, field, old_value, new_value \
             FROM package_change WHERE package_id = $1 AND edit_count > $2 ORDER BY id",
        )
        .bind(package)
        .bind(since)
        .fetch_all(self.pool())
        .await?;
        let recorded = |row: &sqlx::any::AnyRow| Recorded {
            edit_count: row.get("edit_count"),
            at: Moment(row.get("changed_at")),
            by: row.get("changed_by"),
            edit: Edit::new(row.get("field"), row.get("old_value"), row.get("new_value")),
        };
        Ok(rows.iter().map(recorded).collect())
    }

    /// Gives a package the fields that `after` has, if it is still as `before`; `false` if it is
    /// not.
    ///
    /// # Errors
    /// When the name is taken, or the database cannot be written.
    pub async fn edit_package(
        &self,
        before: &Package,
        after: &Package,
        edits: &[Edit],
        by: &str,
    ) -> Result<bool> {
        let now = Moment::now();
        let mut tx = self.begin().await?;
        let selection = serde_json::to_string(&after.selection)
            .map_err(|error| Error::io(format!("the selection has no JSON: {error}")))?;
        let updated = sqlx::query(
            "UPDATE package SET name = $3, name_key = $4, version = $5, comment = $6, \
             manufacturer = $7, architecture = $8, architecture_by = $9, language = $10, \
             language_by = $11, priority = $12, persist_in_cache = $13, folder = $14, \
             scopes = $15, licence_required = $16, licence_by = $17, licence_at = $18, \
             source_path = $19, selection = $20, changed_at = $21, models = $22 \
             WHERE id = $1 AND edit_count = $2",
        )
        .bind(&before.id)
        .bind(before.edit_count)
        .bind(&after.name)
        .bind(name_key(&after.name))
        .bind(&after.version)
        .bind(&after.comment)
        .bind(&after.manufacturer)
        .bind(&after.architecture.value)
        .bind(after.architecture.by.word())
        .bind(&after.language.value)
        .bind(after.language.by.word())
        .bind(after.priority.word())
        .bind(i64::from(after.persist_in_cache))
        .bind(&after.folder)
        .bind(after.scopes.join("\n"))
        .bind(i64::from(after.licence.required))
        .bind(after.licence.accepted.as_ref().map_or("", |accepted| &accepted.by))
        .bind(after.licence.accepted.as_ref().map(|accepted| accepted.at.0))
        .bind(&after.source_path)
        .bind(selection)
        .bind(now.0)
        .bind(after.models.join("\n"))
        .execute(&mut *tx)
        .await;
        let updated = updated.map_err(|error| {
            let taken = error.as_database_error().is_some_and(|error| error.is_unique_violation());
            if taken { name_taken(&after.name) } else { error.into() }
        })?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        record(&mut tx, &before.id, edits, by, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Counts an edit and writes down what it changed.
pub(crate) async fn record(
    tx: &mut Transaction<'static, Any>,
    package: &str,
    edits: &[Edit],
    by: &str,
    now: Moment,
) -> Result<()> {
    let count: i64 = sqlx::query_scalar(
        "UPDATE package SET edit_count = edit_count + 1 WHERE id = $1 RETURNING edit_count",
    )
    .bind(package)
    .fetch_one(&mut **tx)
    .await?;
    for edit in edits {
        sqlx::query(
            "INSERT INTO package_change (package_id, edit_count, changed_at, changed_by, field, \
             old_value, new_value) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(package)
        .bind(count)
        .bind(now.0)
        .bind(by)
        .bind(&edit.field)
        .bind(&edit.old)
        .bind(&edit.new)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
