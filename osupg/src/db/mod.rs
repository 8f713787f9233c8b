//! The database: one pool, one SQL text for SQLite and PostgreSQL, typed functions around it.
//!
//! SQL is found in this folder alone. It keeps to what both databases take as written: `$1`
//! parameters, `RETURNING`, `ON CONFLICT`, integers, text and blobs. What differs (how a writing
//! transaction begins, whose clock counts, the types of the migrations) hangs on [`Dialect`].
//!
//! SQLite runs in WAL mode with full synchronisation: a committed change survives a power cut.
//! Writing transactions begin with `BEGIN IMMEDIATE`, so that two processes queue for the busy
//! time instead of failing halfway through. PostgreSQL would let them run side by side, and what
//! one looked up could be gone when it writes; so there they queue for an advisory lock. Single
//! statements need neither, and what is written often (progress, heartbeats) is one.

pub mod accounts;
pub mod adopt;
pub mod audit;
pub mod claims;
pub mod contents;
pub mod edits;
mod health;
pub mod imports;
pub(crate) mod jobs;
pub mod leases;
pub mod packages;
pub mod points;
pub mod revisions;
pub mod schedules;
pub mod service;
pub mod serving;
pub mod sources;
pub mod waits;
pub mod work;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};

use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::time::Moment;

/// How long a process waits for another one's writing transaction.
const BUSY_MILLISECONDS: u32 = 60_000;

/// Begins a writing transaction in PostgreSQL: its advisory lock is "osupg" and a one as a number.
const WRITING: &str = "BEGIN; SELECT pg_advisory_xact_lock(122541682222849)";

/// What each connection to PostgreSQL is set to. A process that is stopped in the middle of a
/// transaction must not hold up all others for ever.
const POSTGRES_SESSION: &str = "SET lock_timeout = '60s'; \
     SET idle_in_transaction_session_timeout = '120s'; SET client_min_messages = warning;";

/// Which database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in a file of the store.
    Sqlite,
    /// PostgreSQL, which many machines may share.
    Postgres,
}

impl Dialect {
    /// How a transaction that will write begins.
    const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => WRITING,
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
        let pragmas = format!(
            "PRAGMA busy_timeout = {BUSY_MILLISECONDS}; PRAGMA journal_mode = WAL; \
             PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
        );
        let name = format!("the database {}", crate::text::path(path));
        let pool = connect(&sqlite_url(path)?, 4, pragmas, &name).await?;
        let done = sqlx::migrate!("migrations/sqlite").run(&pool).await;
        done.map_err(|error| outdated(&name, &error))?;
        Ok(Self { pool, dialect: Dialect::Sqlite })
    }

    /// Opens a PostgreSQL database by its connection URL and brings its tables up to date. Any
    /// number of processes may do this at the same moment.
    ///
    /// # Errors
    /// When the URL is none, the server cannot be reached or refuses, or the tables were made by
    /// a newer osupg. The URL's password is in no message.
    pub async fn open_postgres(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url).map_err(|error| {
            Error::usage(format!("the database's URL cannot be read: {error}"))
                .advise("it has the form postgres://user:password@host/database")
        })?;
        let name = format!(
            "the PostgreSQL database {} at {}",
            options.get_database().unwrap_or_else(|| options.get_username()),
            options.get_host(),
        );
        // A pool would try for a minute to reach a server that is not there.
        sqlx::any::install_default_drivers();
        let first = AnyConnection::connect(url).await.map_err(|error| unopened(&name, &error))?;
        first.close().await?;
        let pool = connect(url, 12, POSTGRES_SESSION.into(), &name).await?;
        let done = sqlx::migrate!("migrations/postgres").run(&pool).await;
        done.map_err(|error| outdated(&name, &error))?;
        Ok(Self { pool, dialect: Dialect::Postgres })
    }

    /// Which database answers.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A transaction that will write.
    ///
    /// # Errors
    /// When the database cannot be reached, or stays locked by another process.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>> {
        // On a task of its own: whoever is dropped while waiting here must not leave a transaction
        // behind that has begun and holds the lock.
        let (pool, begin) = (self.pool.clone(), self.dialect.begin());
        Ok(tokio::spawn(async move { pool.begin_with(begin).await }).await??)
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn answers(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A transaction that writes rows which no other kind of transaction looks up. In PostgreSQL it
    /// does not queue with the others, so that no job falls silent behind a large import.
    ///
    /// # Errors
    /// When the database cannot be reached, or stays locked by another process.
    pub(crate) async fn begin_apart(&self) -> Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => self.begin().await,
            Dialect::Postgres => Ok(self.pool.begin().await?),
        }
    }

    /// What time it is for everyone who shares the database: with PostgreSQL its server's clock,
    /// since machines disagree.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn now(&self) -> Result<Moment> {
        match self.dialect {
            Dialect::Sqlite => Ok(Moment::now()),
            Dialect::Postgres => {
                let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
                Ok(Moment(sqlx::query_scalar(now).fetch_one(&self.pool).await?))
            }
        }
    }

    /// The pool, for reading and for single statements.
    fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Whether other machines may be using it, too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match self.dialect {
            Dialect::Sqlite => false,
            Dialect::Postgres => true,
        }
    }

    /// Closes every connection; SQLite then folds its log into the file.
    pub async fn close(&self) {
        if self.dialect == Dialect::Sqlite {
            // What it knows of its tables is brought up to date where they have changed much, so
            // that it chooses the right indexes. PostgreSQL does that by itself.
            let _ = sqlx::query("PRAGMA optimize").execute(&self.pool).await;
        }
        self.pool.close().await;
    }
}

/// A pool whose every connection first runs `setup`.
async fn connect(url: &str, connections: u32, setup: String, name: &str) -> Result<AnyPool> {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_millis(u64::from(BUSY_MILLISECONDS)))
        .after_connect(move |connection, _| {
            let setup = setup.clone();
            Box::pin(
                async move { connection.execute(sqlx::AssertSqlSafe(setup)).await.map(|_| ()) },
            )
        })
        .connect(url)
        .await
        .map_err(|error| unopened(name, &error))
}

fn unopened(name: &str, error: &sqlx::Error) -> Error {
    Error::io(format!("cannot open {name}: {error}"))
}

fn outdated(name: &str, error: &sqlx::migrate::MigrateError) -> Error {
    Error::io(format!("cannot bring {name} up to date: {error}"))
        .advise("a store made by a newer osupg needs that version or a later one")
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

/// A path that the database holds.
///
/// # Errors
/// When it is none that media can have, so is not what was written.
pub(crate) fn checked_path(path: &str) -> Result<MediaPath> {
    MediaPath::new(path)
        .map_err(|bad| Error::damaged(format!("the database holds a path that {bad}: {path:?}")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The database that a test is done with.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Database {
        Sqlite,
        Postgres,
    }

    impl Database {
        /// What the configuration says of a fresh one.
        pub(crate) fn fresh(self) -> Option<String> {
            match self {
                Self::Sqlite => None,
                Self::Postgres => Some(fresh_postgres()),
            }
        }
    }

    /// Makes tests of functions that take a [`Database`]: one on SQLite and one on PostgreSQL. They
    /// have several threads: work that blocks one must not stop the others.
    macro_rules! on_both {
        ($($test:ident),+ $(,)?) => {
            mod on_sqlite {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::db::tests::Database::Sqlite).await;
                })+
            }

            mod on_postgres {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::db::tests::Database::Postgres).await;
                })+
            }
        };
    }
    pub(crate) use on_both;

    pub(crate) async fn fresh() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&folder.path().join("osupg.db")).await.unwrap();
        (folder, db)
    }

    /// Runs `test` on a fresh SQLite database and on a fresh PostgreSQL one.
    pub(crate) async fn each(test: impl AsyncFn(Db)) {
        let (_folder, db) = fresh().await;
        test(db.clone()).await;
        db.close().await;
        let db = Db::open_postgres(&fresh_postgres()).await.unwrap();
        test(db.clone()).await;
        db.close().await;
    }

    /// The URL of a fresh PostgreSQL database.
    pub(crate) fn fresh_postgres() -> String {
        osupg_tests::postgres::server().database()
    }

    #[tokio::test]
    async fn many_open_one_postgres_database_at_the_same_moment() {
        let url = fresh_postgres();
        let opening = (0..6).map(|_| Db::open_postgres(&url));
        for db in futures_util::future::join_all(opening).await {
            let clock = db.unwrap().now().await.unwrap();
            assert!((clock.0 - Moment::now().0).abs() < 60_000_000);
        }
    }

    #[tokio::test]
    async fn a_password_is_in_no_message() {
        for url in
            ["postgres://me:secret@127.0.0.1:1/db", "postgres://me@127.0.0.1:1/db?password=secret"]
        {
            let error = Db::open_postgres(url).await.unwrap_err().to_string();
            assert!(error.contains("database db at 127.0.0.1"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn writers_queue_on_both_databases() {
        each(async |db| {
            let first = db.begin().await.unwrap();
            let second = db.begin();
            let waited = tokio::time::timeout(Duration::from_millis(300), second).await;
            assert!(waited.is_err(), "{:?}", db.dialect());
            first.rollback().await.unwrap();
            db.begin().await.unwrap().commit().await.unwrap();
        })
        .await;
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
