//! Work for the servicing stack of Windows hosts: tasks, and what comes back.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::contents::{self, ContentWriter};
use super::service::{broken, number_of, to_json};
use super::{Db, hash32, signed, unsigned};
use crate::error::{Error, Result};
use crate::package::model::Content;
use crate::service::stack::{Report, Task};
use crate::service::task::{KeptTask, TaskState};
use crate::store::layout::{ObjectId, Piece};
use crate::store::lease::Lease;
use crate::time::Moment;

/// Pieces that one statement puts in.
const AT_ONCE: usize = 200;

const TASK: &str = "SELECT id, run_id, state, task, input_id, worker, lease_until, \
     result, output_id, output_size, output_sha256 FROM servicing_task ";

/// What is said to somebody whose claim is none.
pub(super) fn no_claim() -> Error {
    Error::not_found("this claim holds no task: its time ran out, or the run was cancelled")
        .advise("discard the work and claim again")
}

impl Db {
    /// The task with this id, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn servicing_task(&self, id: &str) -> Result<Option<KeptTask>> {
        let query = format!("{TASK} WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(query)).bind(id).fetch_optional(self.pool()).await?;
        match row {
            Some(row) => self.task_of(&row).await.map(Some),
            None => Ok(None),
        }
    }

    /// The task that is held by this claim.
    ///
    /// # Errors
    /// When it holds none.
    pub async fn claimed_task(&self, claim: &str, by: &str) -> Result<KeptTask> {
        let query = format!("{TASK} WHERE claim = $1 AND held_by = $2 AND state = 'claimed'");
        let row = sqlx::query(AssertSqlSafe(query)).bind(claim).bind(by);
        match row.fetch_optional(self.pool()).await? {
            Some(row) => self.task_of(&row).await,
            None => Err(no_claim()),
        }
    }

    async fn task_of(&self, row: &AnyRow) -> Result<KeptTask> {
        let result: &str = row.get("result");
        let report = if result.is_empty() {
            Report::default()
        } else {
            serde_json::from_str(result).map_err(|error| broken("a worker's report", &error))?
        };
        let output = match row.get::<Option<i64>, _>("output_id") {
            Some(key) => Some(self.content(key).await?),
            None => None,
        };
        let reported = match row.get::<Option<i64>, _>("output_size") {
            Some(size) => Some((unsigned(size)?, hash32(row.get("output_sha256"))?)),
            None => None,
        };
        Ok(KeptTask {
            id: row.get("id"),
            run: row.get("run_id"),
            state: TaskState::from_word(row.get("state")),
            task: serde_json::from_str(row.get("task"))
                .map_err(|error| broken("a task of servicing", &error))?,
            input: self.content(row.get("input_id")).await?,
            worker: row.get("worker"),
            lease_until: Moment(row.get("lease_until")),
            report,
            reported,
            output,
        })
    }

    /// A file that a claimed task takes, by its SHA-256: the WIM, or one of an update's.
    ///
    /// # Errors
    /// When the claim holds no task, or the task takes no such file.
    pub async fn work_file(&self, claim: &str, by: &str, sha256: &[u8; 32]) -> Result<Content> {
        let row = sqlx::query(
            "SELECT t.task, t.input_id, c.id FROM servicing_task t \
             LEFT JOIN content c ON c.sha256 = $3 \
             WHERE t.claim = $1 AND t.held_by = $2 AND t.state = 'claimed'",
        )
        .bind(claim)
        .bind(by)
        .bind(&sha256[..])
        .fetch_optional(self.pool())
        .await?
        .ok_or_else(no_claim)?;
        let none = || Error::not_found("the task takes no such file");
        let key = row.get::<Option<i64>, _>("id").ok_or_else(none)?;
        if key != row.get::<i64, _>("input_id") {
            let task: Task = serde_json::from_str(row.get("task"))
                .map_err(|error| broken("a task of servicing", &error))?;
            let holders: Vec<i64> = sqlx::query_scalar(
                "SELECT update_id FROM servicing_update_file WHERE content_id = $1",
            )
            .bind(key)
            .fetch_all(self.pool())
            .await?;
            let mut updates = task.images.iter().flat_map(|image| &image.updates);
            if !updates.any(|u| number_of(&u.id).is_some_and(|id| holders.contains(&id))) {
                return Err(none());
            }
        }
        self.content(key).await
    }

    /// Notes pieces of the new WIM of a claimed task, from the piece with the number `first` on;
    /// what was noted from there on is forgotten. `bytes` is the most that all pieces may have.
    ///
    /// # Errors
    /// When the claim holds no task, pieces before the first are not there, or there are too many.
    pub async fn offer_pieces(
        &self,
        claim: &str,
        by: &str,
        first: u64,
        pieces: &[Piece],
        bytes: u64,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let task = held(&mut tx, claim, by).await?;
        sqlx::query("DELETE FROM servicing_piece WHERE task_id = $1 AND seq >= $2")
            .bind(&task)
            .bind(signed(first)?)
            .execute(&mut *tx)
            .await?;
        let (count, size) = offered(&mut tx, &task).await?;
        if count != first {
            return Err(Error::conflict(format!(
                "pieces are offered in order: {count} are there, and these begin at {first}"
            )));
        }
        let size = pieces.iter().fold(size, |size, piece| size.saturating_add(piece.size));
        if size > bytes {
            return Err(Error::usage(format!(
                "the new WIM would have more than {bytes} bytes, which is more than can come of this task"
            )));
        }
        for (number, pieces) in pieces.chunks(AT_ONCE).enumerate() {
            let rows: Vec<_> = (0..pieces.len())
                .map(|row| {
                    let at = row * 4;
                    format!("(${}, ${}, ${}, ${})", at + 1, at + 2, at + 3, at + 4)
                })
                .collect();
            let sql = format!(
                "INSERT INTO servicing_piece (task_id, seq, hash, size) VALUES {}",
                rows.join(", ")
            );
            let mut insert = sqlx::query(AssertSqlSafe(sql));
            for (place, piece) in pieces.iter().enumerate() {
                let seq = signed(first.saturating_add((number * AT_ONCE + place) as u64))?;
                let hash = piece.id.0.to_vec();
                insert = insert.bind(task.clone()).bind(seq).bind(hash).bind(signed(piece.size)?);
            }
            insert.execute(&mut *tx).await?;
        }
        if !pieces.is_empty() {
            // It got somewhere: who is lost from here on is not lost for the task's sake.
            sqlx::query("UPDATE servicing_task SET attempts = 0 WHERE id = $1")
                .bind(&task)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The size of a piece that the holder of a claim has offered to bring.
    ///
    /// # Errors
    /// When it has offered none of this hash, or holds no task.
    pub async fn offered_piece(&self, claim: &str, by: &str, id: &ObjectId) -> Result<Piece> {
        let size: Option<i64> = sqlx::query_scalar(
            "SELECT p.size FROM servicing_piece p JOIN servicing_task t ON t.id = p.task_id \
             WHERE p.hash = $3 AND t.claim = $1 AND t.held_by = $2 AND t.state = 'claimed' LIMIT 1",
        )
        .bind(claim)
        .bind(by)
        .bind(&id.0[..])
        .fetch_optional(self.pool())
        .await?;
        match size {
            Some(size) => Ok(Piece { id: *id, size: unsigned(size)? }),
            None => {
                Err(Error::not_found("this claim holds no task that the object was offered for")
                    .advise(
                        "offer it first; if the task is gone, discard the work and claim again",
                    ))
            }
        }
    }

    /// Notes that the library has an object. The caller has held the lease since before it came.
    ///
    /// # Errors
    /// When the database cannot be written, or the lease was lost.
    pub async fn object_arrived(&self, piece: &Piece, lease: &Lease) -> Result<()> {
        let mut tx = self.begin().await?;
        ContentWriter::default().ensure_objects(&mut tx, &[*piece], Moment::now()).await?;
        lease.confirm(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes what the holder of a claim says came of its task: a new WIM of this size and SHA-256,
    /// whose pieces are all there; or none.
    ///
    /// # Errors
    /// When the claim holds no task, or pieces are missing.
    pub async fn report_task(
        &self,
        claim: &str,
        by: &str,
        report: &Report,
        output: Option<(u64, [u8; 32])>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let task = held(&mut tx, claim, by).await?;
        if let Some((size, _)) = output {
            let missing: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM servicing_piece p WHERE p.task_id = $1 AND NOT EXISTS \
                 (SELECT 1 FROM object o WHERE o.hash = p.hash AND o.size = p.size)",
            )
            .bind(&task)
            .fetch_one(&mut *tx)
            .await?;
            let (_, there) = offered(&mut tx, &task).await?;
            if missing > 0 || there != size {
                return Err(Error::conflict(format!(
                    "the new WIM has {size} bytes; pieces of {there} were offered, and {missing} of \
                     them have not come"
                ))
                .advise("offer all pieces, send those that are missing, and report again"));
            }
        }
        let state = if output.is_some() { TaskState::Reported } else { TaskState::Failed };
        let (size, sha256) = output.unzip();
        sqlx::query(
            "UPDATE servicing_task SET state = $2, result = $3, output_size = $4, \
             output_sha256 = $5, claim = '', changed_at = $6 WHERE id = $1",
        )
        .bind(&task)
        .bind(state.word())
        .bind(to_json("a report", report)?)
        .bind(size.map(signed).transpose()?)
        .bind(sha256.map(|sha256| sha256.to_vec()))
        .bind(Moment::now().0)
        .execute(&mut *tx)
        .await?;
        if output.is_none() {
            forget_pieces(&mut tx, &task).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The pieces of the new WIM of a task, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn brought_pieces(&self, task: &str) -> Result<Vec<Piece>> {
        let rows =
            sqlx::query("SELECT hash, size FROM servicing_piece WHERE task_id = $1 ORDER BY seq")
                .bind(task)
                .fetch_all(self.pool())
                .await?;
        rows.iter()
            .map(|row| {
                let id = ObjectId(hash32(row.get("hash"))?);
                Ok(Piece { id, size: unsigned(row.get("size"))? })
            })
            .collect()
    }

    /// Takes in the new WIM of a task, which was read and is what the worker said.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn accept_output(&self, task: &str, output: &Content) -> Result<()> {
        let mut tx = self.begin().await?;
        let now = Moment::now();
        let key = ContentWriter::default().ensure(&mut tx, output, now).await?;
        sqlx::query(
            "UPDATE servicing_task SET state = 'done', output_id = $2, changed_at = $3 \
             WHERE id = $1 AND state = 'reported'",
        )
        .bind(task)
        .bind(key)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        forget_pieces(&mut tx, task).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a task whose new WIM was read and is not what the worker said.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn refuse_output(&self, task: &str, report: &Report) -> Result<()> {
        let mut tx = self.begin().await?;
        let failed = sqlx::query(
            "UPDATE servicing_task SET state = 'failed', result = $2, changed_at = $3 \
             WHERE id = $1 AND state = 'reported'",
        )
        .bind(task)
        .bind(to_json("a report", report)?)
        .bind(Moment::now().0)
        .execute(&mut *tx)
        .await?;
        if failed.rows_affected() > 0 {
            forget_pieces(&mut tx, task).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Lets a task wait again: it failed, and another run wants it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn reopen_task(&self, id: &str, run: &str) -> Result<()> {
        sqlx::query(
            "UPDATE servicing_task SET state = 'waiting', run_id = $2, attempts = 0, result = '', \
             output_size = NULL, output_sha256 = NULL, changed_at = $3 \
             WHERE id = $1 AND state = 'failed'",
        )
        .bind(id)
        .bind(run)
        .bind(Moment::now().0)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Forgets a task with its result, which turned out to be wrong.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget_task(&self, id: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query("DELETE FROM servicing_task WHERE id = $1").bind(id);
        if gone.execute(&mut *tx).await?.rows_affected() > 0 {
            contents::drop_unreferenced(&mut tx, Moment::now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Forgets what workers have done, or failed to do, before a moment.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget_tasks_before(&self, moment: Moment) -> Result<()> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query(
            "DELETE FROM servicing_task WHERE state IN ('done', 'failed') AND changed_at < $1",
        )
        .bind(moment.0)
        .execute(&mut *tx)
        .await?;
        if gone.rows_affected() > 0 {
            contents::drop_unreferenced(&mut tx, Moment::now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// The id of the task that is held by a claim, which holds it as long as `tx` lasts.
async fn held(tx: &mut Transaction<'static, Any>, claim: &str, by: &str) -> Result<String> {
    let task: Option<String> = sqlx::query_scalar(
        "SELECT id FROM servicing_task WHERE claim = $1 AND held_by = $2 AND state = 'claimed'",
    )
    .bind(claim)
    .bind(by)
    .fetch_optional(&mut **tx)
    .await?;
    task.ok_or_else(no_claim)
}

/// How many pieces of a task are noted, and their bytes.
async fn offered(tx: &mut Transaction<'static, Any>, task: &str) -> Result<(u64, u64)> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS pieces, CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes \
         FROM servicing_piece WHERE task_id = $1",
    )
    .bind(task)
    .fetch_one(&mut **tx)
    .await?;
    Ok((unsigned(row.get("pieces"))?, unsigned(row.get("bytes"))?))
}

/// Forgets the pieces of a task; what nothing else holds goes.
pub(super) async fn forget_pieces(tx: &mut Transaction<'static, Any>, task: &str) -> Result<()> {
    let gone = sqlx::query("DELETE FROM servicing_piece WHERE task_id = $1")
        .bind(task)
        .execute(&mut **tx)
        .await?;
    if gone.rows_affected() > 0 {
        contents::drop_unreferenced(tx, Moment::now()).await?;
    }
    Ok(())
}

/// Puts a task in, its input too, unless it is there.
pub(crate) async fn insert_task(
    tx: &mut Transaction<'static, Any>,
    contents: &mut ContentWriter,
    id: &str,
    run: &str,
    task: &Task,
    input: &Content,
    now: Moment,
) -> Result<()> {
    let input = contents.ensure(tx, input, now).await?;
    sqlx::query(
        "INSERT INTO servicing_task (id, run_id, state, task, input_id, worker, lease_until, \
         attempts, result, changed_at) VALUES ($1, $2, 'waiting', $3, $4, '', 0, 0, '', $5) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(run)
    .bind(to_json("a task", task)?)
    .bind(input)
    .bind(now.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
