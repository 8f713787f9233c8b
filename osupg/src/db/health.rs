//! What the database says about itself.

use sqlx::Row;

use super::Db;
use crate::error::Result;
use crate::time::Moment;

impl Db {
    /// What a quick check of the whole file finds; empty when nothing is wrong.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn quick_check(&self) -> Result<Vec<String>> {
        if self.dialect != super::Dialect::Sqlite {
            // PostgreSQL checks its pages when it reads them.
            sqlx::query("SELECT 1").fetch_one(self.pool()).await?;
            return Ok(Vec::new());
        }
        let rows = sqlx::query("PRAGMA quick_check(20)").fetch_all(self.pool()).await?;
        Ok(rows.iter().map(|row| row.get::<String, _>(0)).filter(|found| found != "ok").collect())
    }

    /// The number of the last change that was made to the tables.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn tables_version(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(self.pool())
            .await?)
    }

    /// The latest moment at which a revision was made; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn latest_revision_at(&self) -> Result<Option<Moment>> {
        let latest: Option<i64> = sqlx::query_scalar("SELECT MAX(created_at) FROM revision")
            .fetch_one(self.pool())
            .await?;
        Ok(latest.map(Moment))
    }

    /// How many schedules are at work and due before `before`, and how many runs could not be made
    /// into jobs since `since`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn schedule_health(
        &self,
        before: Moment,
        since: Moment,
    ) -> Result<(i64, i64)> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM schedule WHERE state = 'active' AND next_at < $1) \
             AS overdue, \
             (SELECT COUNT(*) FROM schedule_run WHERE state = 'failed' AND due_at > $2) AS failed",
        )
        .bind(before.0)
        .bind(since.0)
        .fetch_one(self.pool())
        .await?;
        Ok((row.get("overdue"), row.get("failed")))
    }
}
