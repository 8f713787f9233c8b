//! Who may rely on objects being there, and who may take them away.
//!
//! An import relies on objects that it found in the library, or put there, before any revision
//! refers to them. So bytes are deleted under one rule: only while no import holds its lease. A
//! lease is shared by imports and exclusive for the collector. It is kept where the library's
//! database is:
//!
//! - beside SQLite, as an advisory lock on a file of the store, which the kernel gives back when a
//!   process ends, however it ends;
//! - in a database that several machines share, as a row that its holder keeps alive. A holder that
//!   falls silent loses it, and an import that has lost it cannot commit.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Any, Transaction};
use tokio::task::JoinHandle;

use crate::db::Db;
use crate::db::leases::{Claim, EXPIRY};
use crate::error::{Error, Result};

/// How often the holder of a row says that it lives.
const BEAT: Duration = Duration::from_secs(10);
/// How often a row that somebody else holds is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// A lease that ends when this value is dropped.
#[derive(Debug)]
pub struct Lease(Kept);

#[derive(Debug)]
enum Kept {
    File { _file: File },
    Row(Beating),
}

impl Lease {
    /// Waits until no collector is at work, then keeps collectors away. Blocks the thread.
    ///
    /// # Errors
    /// When the lock file cannot be made, or its file system has no locks.
    pub fn shared(path: &Path) -> Result<Self> {
        Self::wait(path, File::lock_shared)
    }

    /// Waits until everyone else is done. Blocks the thread.
    ///
    /// # Errors
    /// As [`Lease::shared`].
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::wait(path, File::lock)
    }

    /// The exclusive lease, or `None` while anyone else holds one.
    ///
    /// # Errors
    /// As [`Lease::shared`].
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(Kept::File { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", path, &error)),
        }
    }

    fn wait(path: &Path, lock: fn(&File) -> std::io::Result<()>) -> Result<Self> {
        let file = open(path)?;
        loop {
            match lock(&file) {
                Ok(()) => return Ok(Self(Kept::File { _file: file })),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::file("lock", path, &error)),
            }
        }
    }

    /// As [`Lease::shared`], in the database.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn shared_row(db: &Db) -> Result<Self> {
        loop {
            if let Some(lease) = Self::row(db, Claim::Shared).await? {
                return Ok(lease);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// As [`Lease::try_exclusive`], in the database.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn try_exclusive_row(db: &Db) -> Result<Option<Self>> {
        Self::row(db, Claim::Exclusive).await
    }

    async fn row(db: &Db, claim: Claim) -> Result<Option<Self>> {
        let id = uuid::Uuid::new_v4().to_string();
        let taken = db.lease_take(&id, claim, &holder()).await?;
        Ok(taken.then(|| Self(Kept::Row(Beating::start(db.clone(), id)))))
    }

    /// Makes sure within a transaction that the lease is still held when it commits.
    ///
    /// # Errors
    /// When it was lost.
    pub(crate) async fn confirm(&self, tx: &mut Transaction<'static, Any>) -> Result<()> {
        match &self.0 {
            Kept::File { .. } => Ok(()),
            Kept::Row(row) => row.db.lease_confirm(tx, &row.id).await,
        }
    }

    /// Whether it is still held for some time to come: asked before each deletion.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match &self.0 {
            Kept::File { .. } => true,
            Kept::Row(row) => lock(&row.beaten).elapsed() < EXPIRY / 2,
        }
    }

    /// Gives it back and waits until that is done. Dropping it gives it back as well, but for a row
    /// some time may pass until it has an effect.
    pub async fn release(mut self) {
        if let Kept::Row(row) = &mut self.0
            && let Some(id) = row.end()
        {
            // Should that fail, the row expires.
            let _ = row.db.lease_end(&id).await;
        }
    }
}

/// A row, and the task that keeps it alive.
#[derive(Debug)]
struct Beating {
    db: Db,
    id: String,
    /// When it was last kept alive.
    beaten: Arc<Mutex<Instant>>,
    task: JoinHandle<()>,
}

impl Beating {
    fn start(db: Db, id: String) -> Self {
        let beaten = Arc::new(Mutex::new(Instant::now()));
        let task = tokio::spawn(beat(db.clone(), id.clone(), Arc::clone(&beaten)));
        Self { db, id, beaten, task }
    }

    /// Stops keeping the row alive; gives its key, once.
    fn end(&mut self) -> Option<String> {
        self.task.abort();
        Some(std::mem::take(&mut self.id)).filter(|id| !id.is_empty())
    }
}

async fn beat(db: Db, id: String, beaten: Arc<Mutex<Instant>>) {
    loop {
        tokio::time::sleep(BEAT).await;
        // The moment before: by the clock of the database it is alive at least that long.
        let now = Instant::now();
        match db.lease_beat(&id).await {
            Ok(true) => *lock(&beaten) = now,
            // Lost. Who holds it finds out when it matters.
            Ok(false) => return,
            // The database is away; perhaps it comes back in time.
            Err(_) => {}
        }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        if let Some(id) = self.end()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let db = self.db.clone();
            runtime.spawn(async move {
                let _ = db.lease_end(&id).await;
            });
        }
    }
}

fn lock(beaten: &Mutex<Instant>) -> std::sync::MutexGuard<'_, Instant> {
    beaten.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who holds a lease, for people who look into the database.
fn holder() -> String {
    format!("{}, process {}", crate::system::host().unwrap_or_default(), std::process::id())
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| Error::file("open the lock file", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::each;

    #[test]
    fn imports_share_and_the_collector_stays_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lease::shared(&path).unwrap();
        let second = Lease::shared(&path).unwrap();
        assert!(Lease::try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(Lease::try_exclusive(&path).unwrap().is_none());
        drop(second);
        let collector = Lease::try_exclusive(&path).unwrap();
        assert!(collector.is_some());
        assert!(Lease::try_exclusive(&path).unwrap().is_none());
    }

    #[tokio::test]
    async fn rows_follow_the_same_rule() {
        each(async |db| {
            let first = Lease::shared_row(&db).await.unwrap();
            let second = Lease::shared_row(&db).await.unwrap();
            assert!(first.is_held());
            assert!(Lease::try_exclusive_row(&db).await.unwrap().is_none());
            first.release().await;
            assert!(Lease::try_exclusive_row(&db).await.unwrap().is_none());
            second.release().await;
            let collector = Lease::try_exclusive_row(&db).await.unwrap().unwrap();
            assert!(Lease::try_exclusive_row(&db).await.unwrap().is_none());
            let waiting = tokio::spawn({
                let db = db.clone();
                async move { Lease::shared_row(&db).await.unwrap() }
            });
            tokio::time::sleep(AGAIN / 2).await;
            assert!(!waiting.is_finished());
            drop(collector);
            let import = waiting.await.unwrap();
            let mut tx = db.begin().await.unwrap();
            import.confirm(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            import.release().await;
        })
        .await;
    }
}
