//! Schedules and their runs.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::Db;
use crate::error::{Error, Result};
use crate::schedule::model::{Missed, NewSchedule, Run, RunState, Schedule, State};
use crate::time::Moment;

/// Runs of a schedule that are kept.
const RUNS_KEPT: i64 = 50;

/// A run that a worker has taken up.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// Its key.
    pub id: String,
    /// The schedule.
    pub schedule: Schedule,
}

macro_rules! schedules {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.name, s.timing, s.operation, s.request, s.package_id, s.missed, \
             s.state, s.next_at, s.created_by, s.created_at FROM schedule s ",
            $rest
        )
    };
}

fn schedule_of(row: &AnyRow) -> Result<Schedule> {
    let broken = |what: &str| Error::damaged(format!("the database holds a schedule with {what}"));
    let word = |column: &str| row.get::<String, _>(column);
    Ok(Schedule {
        key: row.get("id"),
        name: word("name"),
        timing: word("timing"),
        operation: word("operation"),
        request: serde_json::from_str(&word("request"))
            .map_err(|error| broken(&format!("a request that cannot be read: {error}")))?,
        package: row.get("package_id"),
        missed: Missed::from_word(&word("missed")).ok_or_else(|| broken("no such rule"))?,
        state: State::from_word(&word("state")).ok_or_else(|| broken("no such state"))?,
        next_at: row.get::<Option<i64>, _>("next_at").map(Moment),
        created_by: word("created_by"),
        created_at: Moment(row.get("created_at")),
    })
}

fn run_of(row: &AnyRow) -> Result<Run> {
    let state: String = row.get("state");
    Ok(Run {
        id: row.get("id"),
        due_at: Moment(row.get("due_at")),
        state: RunState::from_word(&state).ok_or_else(|| {
            Error::damaged(format!("the database holds a run in the state {state:?}"))
        })?,
        job: row.get("job"),
        reason: row.get("reason"),
    })
}

/// The error of a schedule that does not exist, or that nobody may know of.
#[must_use]
pub fn no_schedule(name: &str) -> Error {
    Error::not_found(format!("there is no schedule {:?}", crate::text::clean(name)))
        .advise("`osupg schedule list` shows the schedules there are")
}

fn name_key(name: &str) -> String {
    name.to_lowercase()
}

impl Db {
    /// Keeps a new schedule; `false` when its name is taken.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn add_schedule(&self, new: &NewSchedule<'_>) -> Result<bool> {
        let request = serde_json::to_string(new.request)
            .map_err(|error| Error::io(format!("the request cannot be written: {error}")))?;
        let mut tx = self.begin().await?;
        let added = sqlx::query(
            "INSERT INTO schedule (name, name_key, timing, operation, request, package_id, missed, \
             state, next_at, created_by, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $9, $10) \
             ON CONFLICT (name_key) DO NOTHING",
        )
        .bind(new.name)
        .bind(name_key(new.name))
        .bind(new.timing)
        .bind(new.operation)
        .bind(request)
        .bind(new.package)
        .bind(new.missed.word())
        .bind(new.next_at.0)
        .bind(new.created_by)
        .bind(new.created_at.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(added.rows_affected() == 1)
    }

    /// The schedules with numbers after this one, in that order, no more than `most`.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub async fn schedules(&self, after: i64, most: i64) -> Result<Vec<Schedule>> {
        sqlx::query(schedules!("WHERE s.id > $1 ORDER BY s.id LIMIT $2"))
            .bind(after)
            .bind(most)
            .fetch_all(self.pool())
            .await?
            .iter()
            .map(schedule_of)
            .collect()
    }

    /// The schedule with this name; capitals do not matter.
    ///
    /// # Errors
    /// When there is none, or the database cannot be read.
    pub async fn schedule(&self, name: &str) -> Result<Schedule> {
        let row = sqlx::query(schedules!("WHERE s.name_key = $1"))
            .bind(name_key(name))
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(schedule_of).transpose()?.ok_or_else(|| no_schedule(name))
    }

    /// The last runs of a schedule, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub async fn schedule_runs(&self, schedule: i64) -> Result<Vec<Run>> {
        sqlx::query(
            "SELECT id, due_at, state, job, reason FROM schedule_run WHERE schedule_id = $1 \
             ORDER BY due_at DESC",
        )
        .bind(schedule)
        .fetch_all(self.pool())
        .await?
        .iter()
        .map(run_of)
        .collect()
    }

    /// Puts a schedule into another state, with the moment it is due next.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn set_schedule(
        &self,
        schedule: i64,
        state: State,
        next_at: Option<Moment>,
    ) -> Result<()> {
        sqlx::query("UPDATE schedule SET state = $2, next_at = $3 WHERE id = $1")
            .bind(schedule)
            .bind(state.word())
            .bind(next_at.map(|at| at.0))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Removes a schedule with its history.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn remove_schedule(&self, schedule: i64) -> Result<()> {
        sqlx::query("DELETE FROM schedule WHERE id = $1")
            .bind(schedule)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// The schedules that are due, at most `limit`, those that have waited longest first.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub(crate) async fn due_schedules(&self, now: Moment, limit: i64) -> Result<Vec<Schedule>> {
        sqlx::query(schedules!(
            "WHERE s.state = 'active' AND s.next_at <= $1 ORDER BY s.next_at, s.id LIMIT $2"
        ))
        .bind(now.0)
        .bind(limit)
        .fetch_all(self.pool())
        .await?
        .iter()
        .map(schedule_of)
        .collect()
    }

    /// Takes up the run of a schedule that is due, and sets when it is due after that. `None` when
    /// somebody else has taken it up meanwhile.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn claim_run(
        &self,
        schedule: &Schedule,
        following: Option<Moment>,
        state: RunState,
        reason: &str,
        now: Moment,
    ) -> Result<Option<Claim>> {
        let Some(due_at) = schedule.next_at else { return Ok(None) };
        let after = if following.is_some() { State::Active } else { State::Done };
        let mut tx = self.begin().await?;
        let moved = sqlx::query(
            "UPDATE schedule SET next_at = $3, state = $4 \
             WHERE id = $1 AND next_at = $2 AND state = 'active'",
        )
        .bind(schedule.key)
        .bind(due_at.0)
        .bind(following.map(|at| at.0))
        .bind(after.word())
        .execute(&mut *tx)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(None);
        }
        let id = uuid::Uuid::now_v7().to_string();
        let claimed = sqlx::query(
            "INSERT INTO schedule_run (id, schedule_id, due_at, claimed_at, state, job, reason) \
             VALUES ($1, $2, $3, $4, $5, '', $6) ON CONFLICT (schedule_id, due_at) DO NOTHING",
        )
        .bind(&id)
        .bind(schedule.key)
        .bind(due_at.0)
        .bind(now.0)
        .bind(state.word())
        .bind(reason)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM schedule_run WHERE schedule_id = $1 AND state <> 'claimed' AND due_at < \
             (SELECT MIN(due_at) FROM (SELECT due_at FROM schedule_run WHERE schedule_id = $1 \
             ORDER BY due_at DESC LIMIT $2) AS kept)",
        )
        .bind(schedule.key)
        .bind(RUNS_KEPT)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        // Clocks that were set back can make a moment come again; it was served then.
        Ok((claimed.rows_affected() == 1).then(|| Claim { id, schedule: schedule.clone() }))
    }

    /// Takes up runs again that somebody took up before `before` and did not get done.
    ///
    /// # Errors
    /// When the database cannot be written or holds something that was never written.
    pub(crate) async fn reclaim_runs(&self, before: Moment, now: Moment) -> Result<Vec<Claim>> {
        let rows = sqlx::query(schedules!(
            "JOIN schedule_run r ON r.schedule_id = s.id \
             WHERE r.state = 'claimed' AND r.claimed_at < $1 ORDER BY r.claimed_at LIMIT 100"
        ))
        .bind(before.0)
        .fetch_all(self.pool())
        .await?;
        let mut claims = Vec::new();
        for row in &rows {
            let schedule = schedule_of(row)?;
            let taken = sqlx::query(
                "UPDATE schedule_run SET claimed_at = $3 \
                 WHERE schedule_id = $1 AND state = 'claimed' AND claimed_at < $2 \
                 RETURNING id",
            )
            .bind(schedule.key)
            .bind(before.0)
            .bind(now.0)
            .fetch_all(self.pool())
            .await?;
            claims.extend(
                taken.iter().map(|row| Claim { id: row.get("id"), schedule: schedule.clone() }),
            );
        }
        Ok(claims)
    }

    /// Notes what became of a run.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn settle_run(
        &self,
        run: &str,
        state: RunState,
        job: &str,
        reason: &str,
    ) -> Result<()> {
        sqlx::query("UPDATE schedule_run SET state = $2, job = $3, reason = $4 WHERE id = $1")
            .bind(run)
            .bind(state.word())
            .bind(job)
            .bind(reason)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}
