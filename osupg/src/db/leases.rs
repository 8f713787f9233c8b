//! Leases of a library that several machines share: rows that their holders keep alive.
//!
//! A holder says every few seconds that it lives. One that has been silent for [`EXPIRY`] is dead,
//! and its lease is nobody's. Times are those of the database's clock, so that the clocks of the
//! machines do not matter.

use std::time::Duration;

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, Row, Transaction};

use super::Db;
use crate::error::{Error, Result};

/// How long a silent holder counts as living.
pub const EXPIRY: Duration = Duration::from_secs(60);

/// What a lease lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Rely on objects being there; others may do the same.
    Shared,
    /// Delete objects; nobody else may hold a lease.
    Exclusive,
}

impl Claim {
    const fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        }
    }
}

impl Db {
    /// Takes a lease under the key `id`; `false` while others hold what keeps it away.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn lease_take(&self, id: &str, claim: Claim, holder: &str) -> Result<bool> {
        // Whoever else takes one waits here until this is done.
        let mut tx = self.begin().await?;
        let now = self.now().await?.0;
        sqlx::query("DELETE FROM lease WHERE beat_at < $1")
            .bind(now - micros(EXPIRY))
            .execute(&mut *tx)
            .await?;
        let row = sqlx::query(
            "SELECT COUNT(*) AS held, \
             CAST(COALESCE(SUM(CASE WHEN kind = 'exclusive' THEN 1 ELSE 0 END), 0) AS BIGINT) \
             AS exclusive FROM lease",
        )
        .fetch_one(&mut *tx)
        .await?;
        let (held, exclusive): (i64, i64) = (row.get("held"), row.get("exclusive"));
        let free = match claim {
            Claim::Shared => exclusive == 0,
            Claim::Exclusive => held == 0,
        };
        if free {
            sqlx::query("INSERT INTO lease (id, kind, holder, beat_at) VALUES ($1, $2, $3, $4)")
                .bind(id)
                .bind(claim.word())
                .bind(holder)
                .bind(now)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(free)
    }

    /// Says that the holder of a lease lives; `false` if the lease is no longer its own.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn lease_beat(&self, id: &str) -> Result<bool> {
        let now = self.now().await?.0;
        let beaten = beat(id, now).execute(self.pool()).await?;
        Ok(beaten.rows_affected() == 1)
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn lease_end(&self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM lease WHERE id = $1").bind(id).execute(self.pool()).await?;
        Ok(())
    }

    /// Makes sure within a transaction that a lease is still held when it commits.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) async fn lease_confirm(
        &self,
        tx: &mut Transaction<'static, Any>,
        id: &str,
    ) -> Result<()> {
        let now = self.now().await?.0;
        if beat(id, now).execute(&mut **tx).await?.rows_affected() == 1 {
            return Ok(());
        }
        Err(Error::io(
            "the lease of the content library was lost: this machine was silent too long",
        )
        .advise("run the command again"))
    }
}

/// Keeps a lease that is still alive.
fn beat(id: &str, now: i64) -> Query<'_, Any, AnyArguments> {
    sqlx::query("UPDATE lease SET beat_at = $2 WHERE id = $1 AND beat_at >= $3")
        .bind(id)
        .bind(now)
        .bind(now - micros(EXPIRY))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::each;

    #[tokio::test]
    async fn imports_share_and_the_collector_stays_out() {
        each(async |db| {
            let take = async |id: &str, claim| db.lease_take(id, claim, "test").await.unwrap();
            assert!(take("a", Claim::Shared).await);
            assert!(take("b", Claim::Shared).await);
            assert!(!take("c", Claim::Exclusive).await);
            db.lease_end("a").await.unwrap();
            assert!(!take("c", Claim::Exclusive).await);
            db.lease_end("b").await.unwrap();
            assert!(take("c", Claim::Exclusive).await);
            assert!(!take("d", Claim::Exclusive).await);
            assert!(!take("e", Claim::Shared).await);
            assert!(db.lease_beat("c").await.unwrap());
            assert!(!db.lease_beat("d").await.unwrap());
        })
        .await;
    }

    #[tokio::test]
    async fn a_silent_holder_is_dead_and_cannot_commit() {
        each(async |db| {
            assert!(db.lease_take("old", Claim::Shared, "test").await.unwrap());
            let mut tx = db.begin().await.unwrap();
            db.lease_confirm(&mut tx, "old").await.unwrap();
            tx.commit().await.unwrap();
            sqlx::query("UPDATE lease SET beat_at = beat_at - $1")
                .bind(micros(EXPIRY) + 1_000_000)
                .execute(db.pool())
                .await
                .unwrap();
            assert!(!db.lease_beat("old").await.unwrap(), "it is too late to say so");
            let mut tx = db.begin().await.unwrap();
            assert!(db.lease_confirm(&mut tx, "old").await.is_err());
            tx.rollback().await.unwrap();
            assert!(db.lease_take("new", Claim::Exclusive, "test").await.unwrap());
        })
        .await;
    }
}
