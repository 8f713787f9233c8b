//! Imports under way, and the objects whose time has come.

use sqlx::{Any, Row, Transaction};

use super::{Db, hash32, unsigned};
use crate::error::Result;
use crate::store::layout::{ObjectId, Piece};
use crate::text;
use crate::time::Moment;

/// What cut-off imports and removed packages have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leftovers {
    /// Imports that never ended. They are dead only if no import can be running.
    pub imports: i64,
    /// Objects that nothing refers to.
    pub doomed: i64,
}

impl Db {
    /// Notes that an import begins; returns its key.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn import_begins(&self, source: &std::path::Path) -> Result<String> {
        let key = uuid::Uuid::now_v7().to_string();
        sqlx::query("INSERT INTO import (id, source, process, started_at) VALUES ($1, $2, $3, $4)")
            .bind(&key)
            .bind(text::path(source))
            .bind(i64::from(std::process::id()))
            .bind(Moment::now().0)
            .execute(self.pool())
            .await?;
        Ok(key)
    }

    /// Notes that an import has ended, when everything it stored belongs to something.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn import_ends(&self, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        import_ends(&mut tx, key).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What is there to collect.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn leftovers(&self) -> Result<Leftovers> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM import) AS imports, \
             (SELECT COUNT(*) FROM doomed) AS doomed",
        )
        .fetch_one(self.pool())
        .await?;
        Ok(Leftovers { imports: row.get("imports"), doomed: row.get("doomed") })
    }

    /// The objects that nothing refers to, and since when.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn doomed(&self) -> Result<Vec<(Piece, Moment)>> {
        let rows =
            sqlx::query("SELECT hash, size, doomed_at FROM doomed").fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let id = ObjectId(hash32(row.get("hash"))?);
                let piece = Piece { id, size: unsigned(row.get("size"))? };
                Ok((piece, Moment(row.get("doomed_at"))))
            })
            .collect()
    }

    /// Forgets doomed objects whose bytes are gone, and imports that are dead.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn collected(&self, gone: &[ObjectId]) -> Result<()> {
        let mut tx = self.begin().await?;
        for id in gone {
            sqlx::query("DELETE FROM doomed WHERE hash = $1")
                .bind(&id.0[..])
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query("DELETE FROM import").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Notes that an import has ended.
pub(crate) async fn import_ends(tx: &mut Transaction<'static, Any>, key: &str) -> Result<()> {
    sqlx::query("DELETE FROM import WHERE id = $1").bind(key).execute(&mut **tx).await?;
    Ok(())
}
