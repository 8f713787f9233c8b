//! Who holds the tasks of servicing.
//!
//! Whoever claims a task gets a word for it that nobody else knows. It changes with every claim, so
//! that one who was thought lost can do nothing any more.

use std::sync::Once;

use sqlx::Row;

use super::Db;
use super::service::to_json;
use super::work::{forget_pieces, no_claim};
use crate::error::Result;
use crate::service::stack::Report;
use crate::service::task::{Claim, OpenTask};
use crate::time::Moment;

/// Tasks that cannot be read are said once: workers ask every few seconds.
static UNREADABLE: Once = Once::new();

impl Db {
    /// The tasks that this worker can have: that which it has already (it began anew, or it would
    /// not ask), those whose worker's time has run out, and those that wait; the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_tasks(&self, worker: &str, by: &str, now: Moment) -> Result<Vec<OpenTask>> {
        let rows = sqlx::query(
            "SELECT id, task, worker, attempts FROM servicing_task \
             WHERE state = 'waiting' OR (state = 'claimed' AND \
             (lease_until < $1 OR (worker = $2 AND held_by = $3))) \
             ORDER BY CASE WHEN state = 'claimed' AND worker = $2 AND held_by = $3 THEN 0 \
             WHEN state = 'claimed' THEN 1 ELSE 2 END, changed_at",
        )
        .bind(now.0)
        .bind(worker)
        .bind(by)
        .fetch_all(self.pool())
        .await?;
        let mut tasks = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: String = row.get("id");
            match serde_json::from_str(row.get("task")) {
                Ok(task) => {
                    let (worker, attempts) = (row.get("worker"), row.get("attempts"));
                    tasks.push(OpenTask { id, task, worker, attempts });
                }
                // Perhaps of a later osupg. The others are done all the same.
                Err(error) => UNREADABLE.call_once(|| {
                    tracing::warn!("task {id} is given to no worker: it cannot be read: {error}");
                }),
            }
        }
        Ok(tasks)
    }

    /// Gives a task to a worker, unless another was faster.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn claim_task(&self, id: &str, claim: &Claim<'_>, now: Moment) -> Result<bool> {
        let claimed = sqlx::query(
            "UPDATE servicing_task SET state = 'claimed', worker = $2, held_by = $3, claim = $4, \
             lease_until = $5, attempts = attempts + 1, changed_at = $6 WHERE id = $1 AND \
             (state = 'waiting' OR (state = 'claimed' AND \
             (lease_until < $6 OR (worker = $2 AND held_by = $3))))",
        )
        .bind(id)
        .bind(claim.worker)
        .bind(claim.by)
        .bind(claim.word)
        .bind(claim.until.0)
        .bind(now.0)
        .execute(self.pool())
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// Lets a worker keep its task until `until`.
    ///
    /// # Errors
    /// When the claim holds none.
    pub async fn renew_claim(&self, claim: &str, by: &str, until: Moment) -> Result<()> {
        let renewed = sqlx::query(
            "UPDATE servicing_task SET lease_until = $3 \
             WHERE claim = $1 AND held_by = $2 AND state = 'claimed'",
        )
        .bind(claim)
        .bind(by)
        .bind(until.0)
        .execute(self.pool())
        .await?;
        if renewed.rows_affected() == 1 { Ok(()) } else { Err(no_claim()) }
    }

    /// Ends a task with which workers were lost, unless something was heard of the last of them
    /// since it was read; says whether it did.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_lost_task(
        &self,
        lost: &OpenTask,
        claim: &Claim<'_>,
        report: &Report,
        now: Moment,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        let failed = sqlx::query(
            "UPDATE servicing_task SET state = 'failed', result = $2, claim = '', changed_at = $3 \
             WHERE id = $1 AND state = 'claimed' AND attempts = $4 \
             AND (lease_until < $3 OR (worker = $5 AND held_by = $6))",
        )
        .bind(&lost.id)
        .bind(to_json("a report", report)?)
        .bind(now.0)
        .bind(lost.attempts)
        .bind(claim.worker)
        .bind(claim.by)
        .execute(&mut *tx)
        .await?;
        if failed.rows_affected() > 0 {
            forget_pieces(&mut tx, &lost.id).await?;
        }
        tx.commit().await?;
        Ok(failed.rows_affected() > 0)
    }
}
