//! Updates, what images hold, runs of servicing, and the workers that do what takes Windows.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::contents::{self, ContentWriter};
use super::packages::{self, NewRevision};
use super::{Db, hash32, signed, unsigned};
use crate::error::{Error, Result};
use crate::package::model::{Content, Package};
use crate::service::run::{Run, RunState};
use crate::service::update::{Facts, Update, id_of};
use crate::text;
use crate::time::Moment;

pub(super) fn broken(what: &str, error: &serde_json::Error) -> Error {
    Error::damaged(format!("the database holds {what} that cannot be read: {error}"))
}

const UPDATE: &str = "SELECT u.id, u.facts, u.file, u.size, u.sha256, u.imported_at, \
     (SELECT COUNT(*) FROM servicing_update_file f WHERE f.update_id = u.id) AS files \
     FROM servicing_update u ";

fn update_of(row: &AnyRow) -> Result<Update> {
    let facts: Facts = serde_json::from_str(row.get("facts"))
        .map_err(|error| broken("the facts of an update", &error))?;
    Ok(Update {
        id: id_of(row.get("id")),
        facts,
        file: row.get("file"),
        size: unsigned(row.get("size"))?,
        sha256: text::hex(&hash32(row.get("sha256"))?),
        files: unsigned(row.get("files"))?,
        imported_at: Moment(row.get("imported_at")),
    })
}

/// The number in an id such as `UPD00001`.
pub(super) fn number_of(id: &str) -> Option<i64> {
    let digits = id.to_ascii_uppercase();
    let digits = digits.strip_prefix("UPD")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl Db {
    /// All updates, by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn updates(&self) -> Result<Vec<Update>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{UPDATE} ORDER BY u.id")))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(update_of).collect()
    }

    /// The update with this id, article number, or name of a package.
    ///
    /// # Errors
    /// When there is none, or several.
    pub async fn update(&self, name: &str) -> Result<Update> {
        let all = self.updates().await?;
        let shown = text::clean(name).into_owned();
        let by_id = number_of(name).map(id_of);
        let fits = |update: &&Update| {
            let identity = update.facts.identity.as_ref().map(ToString::to_string);
            by_id.as_deref() == Some(update.id.as_str())
                || update.facts.kb.eq_ignore_ascii_case(name)
                || identity.is_some_and(|identity| identity.eq_ignore_ascii_case(name))
        };
        let fitting: Vec<&Update> = all.iter().filter(fits).collect();
        match fitting.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Error::usage(format!("there is no update {shown:?}"))
                .advise("`osupg update list` shows those there are; import others with `osupg update import`")),
            several => {
                let ids: Vec<_> = several
                    .iter()
                    .map(|update| {
                        let architecture = &update.facts.architecture;
                        format!("{} ({architecture} {})", update.id, update.facts.version)
                    })
                    .collect();
                Err(Error::usage(format!("{shown:?} is several updates: {}", ids.join(", ")))
                    .advise("name the one that is meant by its id"))
            }
        }
    }

    /// The update with these bytes, if it is there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn update_with(&self, sha256: &[u8; 32]) -> Result<Option<Update>> {
        let query = format!("{UPDATE} WHERE u.sha256 = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(&sha256[..])
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(update_of).transpose()
    }

    /// The files of an update, by path.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn update_files(&self, id: &str) -> Result<Vec<(String, Content)>> {
        let rows =
            sqlx::query("SELECT path, content_id FROM servicing_update_file WHERE update_id = $1")
                .bind(number_of(id).unwrap_or_default())
                .fetch_all(self.pool())
                .await?;
        let mut files = Vec::with_capacity(rows.len());
        for row in &rows {
            files.push((row.get("path"), self.content(row.get("content_id")).await?));
        }
        files.sort_by(|(a, _): &(String, Content), (b, _)| a.cmp(b));
        Ok(files)
    }

    /// Removes an update. Returns how many objects nothing refers to any more, and their bytes.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_update(&self, id: &str) -> Result<(u64, u64)> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM servicing_update WHERE id = $1")
            .bind(number_of(id).unwrap_or_default())
            .execute(&mut *tx)
            .await?;
        let freed = contents::drop_unreferenced(&mut tx, Moment::now()).await?;
        tx.commit().await?;
        Ok(freed)
    }

    /// What the images of the WIM with these bytes hold, as JSON, if it was read by these rules.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn inventory(&self, sha256: &[u8; 32], rules: i64) -> Result<Option<String>> {
        Ok(sqlx::query_scalar(
            "SELECT images FROM servicing_inventory WHERE sha256 = $1 AND rules = $2",
        )
        .bind(&sha256[..])
        .bind(rules)
        .fetch_optional(self.pool())
        .await?)
    }

    /// Remembers what the images of a WIM hold.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remember_inventory(
        &self,
        sha256: &[u8; 32],
        rules: i64,
        images: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO servicing_inventory (sha256, rules, images) VALUES ($1, $2, $3) \
             ON CONFLICT (sha256, rules) DO UPDATE SET images = $3",
        )
        .bind(&sha256[..])
        .bind(rules)
        .bind(images)
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

/// An update about to be put in.
#[derive(Debug)]
pub(crate) struct NewUpdate<'a> {
    pub facts: &'a Facts,
    pub file: &'a str,
    pub size: u64,
    pub sha256: [u8; 32],
    pub files: &'a [(String, Content)],
}

/// Puts an update in, its contents too; returns its id.
pub(crate) async fn insert_update(
    tx: &mut Transaction<'static, Any>,
    contents: &mut ContentWriter,
    update: &NewUpdate<'_>,
    now: Moment,
) -> Result<String> {
    let facts = serde_json::to_string(update.facts)
        .map_err(|error| Error::io(format!("the facts of an update have no JSON: {error}")))?;
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO servicing_update (kb, kind, facts, file, size, sha256, imported_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (sha256) DO UPDATE SET sha256 = servicing_update.sha256 RETURNING id",
    )
    .bind(&update.facts.kb)
    .bind(update.facts.kind.word())
    .bind(facts)
    .bind(update.file)
    .bind(signed(update.size)?)
    .bind(&update.sha256[..])
    .bind(now.0)
    .fetch_one(&mut **tx)
    .await?;
    for (path, content) in update.files {
        let content = contents.ensure(tx, content, now).await?;
        sqlx::query(
            "INSERT INTO servicing_update_file (update_id, path, content_id) VALUES ($1, $2, $3) \
             ON CONFLICT (update_id, path) DO NOTHING",
        )
        .bind(number)
        .bind(path)
        .bind(content)
        .execute(&mut **tx)
        .await?;
    }
    Ok(id_of(number))
}

/// How long a worker that does not ask for work is known, in microseconds: 30 days.
const WORKERS_KEPT: i64 = 30 * 24 * 3_600 * 1_000_000;
/// Workers that are known.
const MAX_WORKERS: i64 = 1_000;

const RUN: &str = "SELECT id, package_id, base, request, made_by, state, reason, revision, \
     report, started_at, ended_at FROM servicing_run ";

fn run_of(row: &AnyRow) -> Result<Run> {
    let report = serde_json::from_str(row.get("report"))
        .map_err(|error| broken("the report of a run of servicing", &error))?;
    let request = serde_json::from_str(row.get("request"))
        .map_err(|error| broken("the request of a run of servicing", &error))?;
    Ok(Run {
        id: row.get("id"),
        package: row.get("package_id"),
        base: row.get("base"),
        request,
        made_by: row.get("made_by"),
        state: RunState::from_word(row.get("state")),
        reason: row.get("reason"),
        revision: row.get("revision"),
        report,
        started_at: Moment(row.get("started_at")),
        ended_at: row.get::<Option<i64>, _>("ended_at").map(Moment),
    })
}

impl Db {
    /// Notes that a run begins, or goes on.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn run_begins(&self, run: &Run) -> Result<()> {
        sqlx::query(
            "INSERT INTO servicing_run (id, package_id, base, request, state, reason, revision, \
             report, started_at, ended_at, made_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (id) DO UPDATE SET base = $3, state = $5, reason = $6",
        )
        .bind(&run.id)
        .bind(&run.package)
        .bind(run.base)
        .bind(to_json("the request of a run", &run.request)?)
        .bind(run.state.word())
        .bind(&run.reason)
        .bind(run.revision)
        .bind(to_json("the report of a run", &run.report)?)
        .bind(run.started_at.0)
        .bind(run.ended_at.map(|at| at.0))
        .bind(&run.made_by)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes how a run stands.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn run_stands(&self, run: &Run) -> Result<()> {
        sqlx::query(
            "UPDATE servicing_run SET state = $2, reason = $3, revision = $4, report = $5, \
             ended_at = $6 WHERE id = $1",
        )
        .bind(&run.id)
        .bind(run.state.word())
        .bind(&run.reason)
        .bind(run.revision)
        .bind(to_json("the report of a run", &run.report)?)
        .bind(run.ended_at.map(|at| at.0))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The run with this id.
    ///
    /// # Errors
    /// When there is none.
    pub async fn servicing_run(&self, id: &str) -> Result<Run> {
        let query = format!("{RUN} WHERE id = $1");
        let row =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(id).fetch_optional(self.pool()).await?;
        match row {
            Some(row) => run_of(&row),
            None => Err(Error::usage(format!("there is no run {:?}", text::clean(id)))
                .advise("`osupg service history` shows those there are")),
        }
    }

    /// The run that made this revision of a package, if one did.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn run_that_made(&self, package: &str, number: i64) -> Result<Option<Run>> {
        let query =
            format!("{RUN} WHERE package_id = $1 AND revision = $2 ORDER BY id DESC LIMIT 1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(package)
            .bind(number)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(run_of).transpose()
    }

    /// The runs of a package, or of all; the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn servicing_runs(&self, package: Option<&str>, limit: u32) -> Result<Vec<Run>> {
        let query = format!(
            "{RUN} WHERE ($1 = '' OR package_id = $1) ORDER BY started_at DESC, id DESC LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(package.unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(run_of).collect()
    }
}

pub(super) fn to_json<T: serde::Serialize>(what: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::io(format!("{what} has no JSON: {error}")))
}

impl Db {
    /// Notes that a worker asks for work. Who has not for long is forgotten.
    ///
    /// # Errors
    /// When there are too many already, or the database cannot be written.
    pub async fn worker_seen(&self, name: &str, facts: &str, now: Moment) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM servicing_worker WHERE seen_at < $1")
            .bind(now.0.saturating_sub(WORKERS_KEPT))
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO servicing_worker (name, facts, seen_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET facts = $2, seen_at = $3",
        )
        .bind(name)
        .bind(facts)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM servicing_worker").fetch_one(&mut *tx).await?;
        if count > MAX_WORKERS {
            return Err(Error::usage(format!(
                "workers of {MAX_WORKERS} names have asked for work within 30 days, and no more may"
            ))
            .advise("give workers names that stay, or wait until some are forgotten"));
        }
        tx.commit().await?;
        Ok(())
    }

    /// The workers that have asked for work: name, facts as JSON, and when they last did.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn servicing_workers(&self) -> Result<Vec<(String, String, Moment)>> {
        let rows =
            sqlx::query("SELECT name, facts, seen_at FROM servicing_worker ORDER BY seen_at DESC")
                .fetch_all(self.pool())
                .await?;
        Ok(rows
            .iter()
            .map(|row| (row.get("name"), row.get("facts"), Moment(row.get("seen_at"))))
            .collect())
    }
}

/// Makes a revision the current one of a package that is still at the revision that it was at, and
/// notes it with its run; returns its number. Its parent is the base that it was made from.
pub(crate) async fn append(
    tx: &mut Transaction<'static, Any>,
    package: &Package,
    base: i64,
    revision: &NewRevision<'_>,
    run: &str,
    now: Moment,
) -> Result<i64> {
    let number: Option<i64> = sqlx::query_scalar(
        "UPDATE package SET changed_at = $3, current_revision = \
         (SELECT MAX(number) + 1 FROM revision WHERE package_id = $1) \
         WHERE id = $1 AND current_revision = $2 RETURNING current_revision",
    )
    .bind(&package.id)
    .bind(package.revision.number)
    .bind(now.0)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(number) = number else {
        return Err(Error::usage(format!(
            "{} is no longer at revision {}: it got another one, or was removed, meanwhile",
            package.id, package.revision.number
        ))
        .advise("run it again: it then starts from what there is now"));
    };
    packages::insert_revision(tx, &package.id, number, Some(base), revision, now).await?;
    sqlx::query("UPDATE servicing_run SET revision = $2 WHERE id = $1")
        .bind(run)
        .bind(number)
        .execute(&mut **tx)
        .await?;
    Ok(number)
}
