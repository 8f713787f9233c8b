//! The database: one pool, one SQL text for SQLite and PostgreSQL, typed functions around it.
//!
//! SQL is found in this folder alone. It keeps to what both databases take as written: `$1`
//! parameters, `RETURNING`, `ON CONFLICT`, integers, text and blobs. What differs (how a writing
//! transaction begins, the types of the migrations) hangs on [`Dialect`].
//!
//! SQLite runs in WAL mode with full synchronisation: a committed change survives a power cut.
//! Writing transactions begin with `BEGIN IMMEDIATE`, so that two processes queue for the busy
//! time instead of failing halfway through.

pub mod accounts;
pub mod audit;
pub mod contents;
pub mod imports;
pub mod packages;
pub mod schedules;
pub mod serving;
pub mod sources;

use std::path::Path;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyPool, Executor, Transaction};

use crate::error::{Error, Result};

/// How long a process waits for another one's writing transaction.
const BUSY_MILLISECONDS: u32 = 60_000;

/// Which database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in a file of the store.
    Sqlite,
}

impl Dialect {
    /// How a transaction that will write begins.
    const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }
}

/// A pool of connections to the database of one store.
#[derive(Debug, Clone)]
pub struct Db {
    pool: AnyPool,
    dialect: Dialect,
}

impl Db {
    /// Opens the SQLite file at `path`, makes it if need be, and brings its tables up to date.
    ///
    /// Two processes must not do this at the same moment: the caller holds the store's lock.
    ///
    /// # Errors
    /// When the file cannot be opened or was made by a newer osupg.
    pub async fn open_sqlite(path: &Path) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_millis(u64::from(BUSY_MILLISECONDS)))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let pragmas = format!(
                        "PRAGMA busy_timeout = {BUSY_MILLISECONDS}; PRAGMA journal_mode = WAL; \
                         PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                    );
                    connection.execute(sqlx::AssertSqlSafe(pragmas)).await.map(|_| ())
                })
            })
            .connect(&sqlite_url(path)?)
            .await
            .map_err(|error| {
                Error::io(format!("cannot open the database {}: {error}", crate::text::path(path)))
            })?;
        sqlx::migrate!("migrations/sqlite").run(&pool).await.map_err(|error| {
            Error::io(format!(
                "cannot bring the database {} up to date: {error}",
                crate::text::path(path)
            ))
            .advise("a store made by a newer osupg needs that version or a later one")
        })?;
        Ok(Self { pool, dialect: Dialect::Sqlite })
    }

    /// A transaction that will write.
    ///
    /// # Errors
    /// When the database cannot be reached, or stays locked by another process.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>> {
        Ok(self.pool.begin_with(self.dialect.begin()).await?)
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn answers(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// The pool, for reading.
    fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Closes every connection; SQLite then folds its log into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The connection URL of a file; `?`, `#`, `%` and blanks in its name are escaped.
fn sqlite_url(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| {
        Error::usage(format!("the store's path {} is not UTF-8", crate::text::path(path)))
            .advise("choose another folder with --home")
    })?;
    let mut url = String::from("sqlite://");
    for byte in text.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url.push_str("?mode=rwc");
    Ok(url)
}

/// An unsigned size or count for the database, which has signed integers only.
///
/// # Errors
/// Beyond 2⁶³−1, which no file reaches.
pub(crate) fn signed(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::usage(format!("{value} is too large a size")))
}

/// A size or count that the database holds.
///
/// # Errors
/// When it is negative, so not what was written.
pub(crate) fn unsigned(value: i64) -> Result<u64> {
    u64::try_from(value)
        .map_err(|_| Error::damaged(format!("the database holds a negative size ({value})")))
}

/// A hash that the database holds.
///
/// # Errors
/// When it does not have 32 bytes, so is not what was written.
pub(crate) fn hash32(bytes: &[u8]) -> Result<[u8; 32]> {
    <[u8; 32]>::try_from(bytes).map_err(|_| {
        Error::damaged(format!("the database holds a hash of {} bytes instead of 32", bytes.len()))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) async fn fresh() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&folder.path().join("osupg.db")).await.unwrap();
        (folder, db)
    }

    #[tokio::test]
    async fn opens_under_awkward_names_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a b?c#d%20é");
        std::fs::create_dir(&odd).unwrap();
        for _ in 0..2 {
            let db = Db::open_sqlite(&odd.join("osupg.db")).await.unwrap();
            db.close().await;
        }
        let names: Vec<_> =
            std::fs::read_dir(&odd).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["osupg.db"], "closing folds the log in");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn connections_are_set_up() {
        let (_folder, db) = fresh().await;
        for (pragma, wanted) in [
            ("journal_mode", "wal"),
            ("foreign_keys", "1"),
            ("synchronous", "2"),
            ("busy_timeout", "60000"),
        ] {
            let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
            let sql = if pragma == "busy_timeout" {
                "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout".to_string()
            } else {
                sql
            };
            let value: String =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(db.pool()).await.unwrap();
            assert_eq!(value, wanted, "{pragma}");
        }
    }
}
