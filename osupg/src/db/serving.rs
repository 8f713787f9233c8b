//! What is looked up while content is served.

use sqlx::Row;

use super::{Db, unsigned};
use crate::error::Result;
use crate::store::layout::{ObjectId, Piece};

impl Db {
    /// How many packages there are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn count_packages(&self) -> Result<i64> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM package").fetch_one(self.pool());
        Ok(count.await?)
    }

    /// The object with this hash and the ids of the packages that hold it; `None` when no package
    /// does.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn served_object(&self, id: ObjectId) -> Result<Option<(Piece, Vec<String>)>> {
        let rows = sqlx::query(
            "SELECT DISTINCT object.size, revision.package_id FROM object \
             JOIN content_piece ON content_piece.object_id = object.id \
             JOIN entry ON entry.content_id = content_piece.content_id \
             JOIN revision ON revision.id = entry.revision_id WHERE object.hash = $1",
        )
        .bind(id.0.to_vec())
        .fetch_all(self.pool())
        .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let piece = Piece { id, size: unsigned(first.get("size"))? };
        Ok(Some((piece, rows.iter().map(|row| row.get("package_id")).collect())))
    }
}
