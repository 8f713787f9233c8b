//! Which runs of servicing wait for which tasks: several may wait for the same one.

use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::Db;
use super::contents;
use crate::error::Result;
use crate::service::task::Wait;
use crate::time::Moment;

/// Whether a run other than `$1`, which is not over, waits for the task.
const OTHERS: &str = "FROM servicing_wait w JOIN servicing_run r ON r.id = w.run_id \
     WHERE w.task_id = servicing_task.id AND w.run_id <> $1 AND r.state IN ('waiting', 'running')";

/// The states of tasks that nobody has done.
const OPEN: &str = "servicing_task.state IN ('waiting', 'claimed', 'reported')";

impl Db {
    /// Whether this run has waited for this task before.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn run_waits_for(&self, run: &str, task: &str) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM servicing_wait WHERE task_id = $1 AND run_id = $2")
            .bind(task)
            .bind(run)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.is_some())
    }

    /// Forgets what a run waited for before this moment and does not wait for any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget_waits(&self, run: &str, since: Moment) -> Result<()> {
        sqlx::query("DELETE FROM servicing_wait WHERE run_id = $1 AND since <> $2")
            .bind(run)
            .bind(since.0)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Who waits for a task.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waits_for(&self, task: &str) -> Result<Vec<Wait>> {
        let rows = sqlx::query("SELECT run_id, since FROM servicing_wait WHERE task_id = $1")
            .bind(task)
            .fetch_all(self.pool())
            .await?;
        let wait = |row: &sqlx::any::AnyRow| Wait {
            run: row.get("run_id"),
            task: task.to_string(),
            since: Moment(row.get("since")),
        };
        Ok(rows.iter().map(wait).collect())
    }

    /// Waits of runs for what is there, or will never be: the work is done, has failed or is gone.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waits_that_are_over(&self) -> Result<Vec<Wait>> {
        let rows = sqlx::query(
            "SELECT r.id, w.task_id, w.since FROM servicing_run r \
             LEFT JOIN servicing_wait w ON w.run_id = r.id \
             LEFT JOIN servicing_task t ON t.id = w.task_id \
             WHERE r.state = 'waiting' \
             AND (t.id IS NULL OR t.state IN ('reported', 'done', 'failed'))",
        )
        .fetch_all(self.pool())
        .await?;
        let wait = |row: &sqlx::any::AnyRow| Wait {
            run: row.get("id"),
            task: row.get::<Option<String>, _>("task_id").unwrap_or_default(),
            since: Moment(row.get::<Option<i64>, _>("since").unwrap_or_default()),
        };
        Ok(rows.iter().map(wait).collect())
    }

    /// Takes back what a run waits for and nobody has done. What others wait for is theirs now.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn drop_tasks(&self, run: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let hand_over = format!(
            "UPDATE servicing_task SET run_id = (SELECT MIN(w.run_id) {OTHERS}) \
             WHERE run_id = $1 AND {OPEN} AND EXISTS (SELECT 1 {OTHERS})"
        );
        sqlx::query(AssertSqlSafe(hand_over)).bind(run).execute(&mut *tx).await?;
        let drop = format!(
            "DELETE FROM servicing_task WHERE {OPEN} AND NOT EXISTS (SELECT 1 {OTHERS}) AND \
             (run_id = $1 OR id IN (SELECT task_id FROM servicing_wait WHERE run_id = $1))"
        );
        let gone = sqlx::query(AssertSqlSafe(drop)).bind(run).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM servicing_wait WHERE run_id = $1")
            .bind(run)
            .execute(&mut *tx)
            .await?;
        if gone.rows_affected() > 0 {
            contents::drop_unreferenced(&mut tx, Moment::now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Notes that a run waits for a task.
pub(crate) async fn insert_wait(tx: &mut Transaction<'static, Any>, wait: &Wait) -> Result<()> {
    sqlx::query(
        "INSERT INTO servicing_wait (task_id, run_id, since) VALUES ($1, $2, $3) \
         ON CONFLICT (task_id, run_id) DO UPDATE SET since = $3",
    )
    .bind(&wait.task)
    .bind(&wait.run)
    .bind(wait.since.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
