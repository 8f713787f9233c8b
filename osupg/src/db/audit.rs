//! The audit log: lines are added, read and, when they are old, removed. None is ever changed.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::Db;
use crate::audit::{Line, Query};
use crate::error::Result;
use crate::time::Moment;

fn line_of(row: &AnyRow) -> Line {
    Line {
        number: row.get("id"),
        at: Moment(row.get("at")),
        who: row.get("who"),
        address: row.get("address"),
        operation: row.get("operation"),
        subject: row.get("subject"),
        outcome: row.get("outcome"),
        detail: row.get("detail"),
        request: row.get("request"),
    }
}

impl Db {
    /// Adds a line; its number is given by the database.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn insert_audit(&self, line: &Line) -> Result<()> {
        let mut tx = self.begin().await?;
        insert(&mut tx, line).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest lines that fit, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit(&self, query: &Query) -> Result<Vec<Line>> {
        // An empty text fits everything, as does a number that is none.
        let rows = sqlx::query(
            "SELECT * FROM audit WHERE ($1 = '' OR who = $1) AND ($2 = '' OR subject = $2) \
             AND ($3 = '' OR operation = $3) AND ($4 = '' OR outcome = $4) \
             AND at >= CAST($5 AS BIGINT) AND id < CAST($6 AS BIGINT) ORDER BY id DESC \
             LIMIT CAST($7 AS BIGINT)",
        )
        .bind(query.who.clone().unwrap_or_default())
        .bind(query.subject.clone().unwrap_or_default())
        .bind(query.operation.clone().unwrap_or_default())
        .bind(query.outcome.clone().unwrap_or_default())
        .bind(query.since.map_or(i64::MIN, |moment| moment.0))
        .bind(query.before.unwrap_or(i64::MAX))
        .bind(i64::from(query.limit))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(line_of).collect())
    }

    /// Removes the lines from before `moment`; returns how many. Where there are any, the line that
    /// `words` makes of their number takes their place.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn forget_audit(
        &self,
        moment: Moment,
        words: impl FnOnce(u64) -> Line,
    ) -> Result<u64> {
        let mut tx = self.begin().await?;
        let done =
            sqlx::query("DELETE FROM audit WHERE at < $1").bind(moment.0).execute(&mut *tx).await?;
        let forgotten = done.rows_affected();
        if forgotten > 0 {
            insert(&mut tx, &words(forgotten)).await?;
        }
        tx.commit().await?;
        Ok(forgotten)
    }
}

#[cfg(test)]
impl Db {
    /// Makes the lines of an operation as old as tests need them.
    pub(crate) async fn age_audit(&self, operation: &str, at: Moment) {
        let aged = sqlx::query("UPDATE audit SET at = $1 WHERE operation = $2")
            .bind(at.0)
            .bind(operation)
            .execute(self.pool())
            .await;
        assert_eq!(aged.unwrap().rows_affected(), 1);
    }
}

async fn insert(tx: &mut Transaction<'static, Any>, line: &Line) -> Result<()> {
    sqlx::query(
        "INSERT INTO audit (at, who, address, operation, subject, outcome, detail, request) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(line.at.0)
    .bind(line.who.clone())
    .bind(line.address.clone())
    .bind(line.operation.clone())
    .bind(line.subject.clone())
    .bind(line.outcome.clone())
    .bind(line.detail.clone())
    .bind(line.request.clone())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
