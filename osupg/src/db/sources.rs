//! What source files held when they were last read.
//!
//! A file whose path, size, times and inode are those of the record holds the same bytes, with one
//! exception: a file changed again within the granularity of its own time stamp. A record is
//! therefore only made when the file had been at rest for [`AT_REST_MICROSECONDS`] as it was read.

use sqlx::{Any, Row, Transaction};

use super::{Db, signed};
use crate::error::Result;
use crate::time::{FileTime, Moment};

/// Two seconds: the coarsest modification time of a file system in use (FAT).
const AT_REST_MICROSECONDS: i64 = 2_000_000;

/// What tells whether a file is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Bytes.
    pub size: u64,
    /// Last modification.
    pub mtime: FileTime,
    /// Last change of content or properties, which programs cannot set back.
    pub ctime: FileTime,
    /// The file system.
    pub device: u64,
    /// The file's number in it.
    pub inode: u64,
}

impl Identity {
    /// Whether the file had been left alone long enough at `seen` for its times to tell.
    #[must_use]
    pub fn at_rest(&self, seen: Moment) -> bool {
        self.mtime.seconds.saturating_mul(1_000_000).saturating_add(1_000_000)
            < seen.0.saturating_sub(AT_REST_MICROSECONDS)
    }
}

/// Devices and inodes use all 64 bits on some systems; the database has signed numbers only.
const fn wrapped(value: u64) -> i64 {
    i64::from_ne_bytes(value.to_ne_bytes())
}

impl Db {
    /// The content that the file at `path` held, made under `selection`, if it is still the same
    /// file.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn remembered(
        &self,
        path: &str,
        selection: &str,
        now: &Identity,
    ) -> Result<Option<i64>> {
        let row = sqlx::query(
            "SELECT content_id FROM source_file WHERE path = $1 AND selection = $2 AND size = $3 \
             AND mtime_s = $4 AND mtime_ns = $5 AND ctime_s = $6 AND ctime_ns = $7 \
             AND device = $8 AND inode = $9",
        )
        .bind(path)
        .bind(selection)
        .bind(signed(now.size)?)
        .bind(now.mtime.seconds)
        .bind(i64::from(now.mtime.nanos))
        .bind(now.ctime.seconds)
        .bind(i64::from(now.ctime.nanos))
        .bind(wrapped(now.device))
        .bind(wrapped(now.inode))
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| row.get("content_id")))
    }
}

/// Remembers what a source file held.
pub(crate) async fn remember(
    tx: &mut Transaction<'static, Any>,
    path: &str,
    selection: &str,
    identity: &Identity,
    content: i64,
    seen: Moment,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO source_file (path, selection, size, mtime_s, mtime_ns, ctime_s, ctime_ns, \
         device, inode, content_id, seen_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (path, selection) DO UPDATE SET size = $3, mtime_s = $4, mtime_ns = $5, \
         ctime_s = $6, ctime_ns = $7, device = $8, inode = $9, content_id = $10, seen_at = $11",
    )
    .bind(path)
    .bind(selection)
    .bind(signed(identity.size)?)
    .bind(identity.mtime.seconds)
    .bind(i64::from(identity.mtime.nanos))
    .bind(identity.ctime.seconds)
    .bind(i64::from(identity.ctime.nanos))
    .bind(wrapped(identity.device))
    .bind(wrapped(identity.inode))
    .bind(content)
    .bind(seen.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
