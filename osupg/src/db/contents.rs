//! Objects and contents: what lies in the content library, and which files are made of it.

use std::collections::{HashMap, HashSet};

use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::{Db, checked_path, hash32, signed, unsigned};
use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::package::model::Content;
use crate::store::layout::{ObjectId, Piece};
use crate::time::Moment;

/// Objects or pieces that one statement puts in: a statement for each would take most of the time
/// of an import.
const AT_ONCE: usize = 200;

impl Db {
    /// The size of an object that revisions may refer to; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn object_size(&self, id: &ObjectId) -> Result<Option<u64>> {
        let size: Option<i64> = sqlx::query_scalar("SELECT size FROM object WHERE hash = $1")
            .bind(&id.0[..])
            .fetch_optional(self.pool())
            .await?;
        size.map(unsigned).transpose()
    }

    /// The content with this key, with its pieces in order.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub async fn content(&self, key: i64) -> Result<Content> {
        let row = sqlx::query("SELECT sha256, size FROM content WHERE id = $1")
            .bind(key)
            .fetch_one(self.pool())
            .await?;
        let pieces = sqlx::query(
            "SELECT object.hash, object.size FROM content_piece \
             JOIN object ON object.id = content_piece.object_id \
             WHERE content_piece.content_id = $1 ORDER BY content_piece.seq",
        )
        .bind(key)
        .fetch_all(self.pool())
        .await?;
        Ok(Content {
            size: unsigned(row.get("size"))?,
            sha256: hash32(row.get("sha256"))?,
            pieces: pieces
                .iter()
                .map(|row| {
                    Ok(Piece {
                        id: ObjectId(hash32(row.get("hash"))?),
                        size: unsigned(row.get("size"))?,
                    })
                })
                .collect::<Result<_>>()?,
        })
    }

    /// Whether a revision holds a file with this SHA-256.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn has_content(&self, sha256: &[u8; 32]) -> Result<bool> {
        let key: Option<i64> = sqlx::query_scalar("SELECT id FROM content WHERE sha256 = $1")
            .bind(&sha256[..])
            .fetch_optional(self.pool())
            .await?;
        Ok(key.is_some())
    }

    /// Every object that revisions may refer to.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub async fn objects(&self) -> Result<Vec<Piece>> {
        let rows = sqlx::query("SELECT hash, size FROM object").fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let id = ObjectId(hash32(row.get("hash"))?);
                Ok(Piece { id, size: unsigned(row.get("size"))? })
            })
            .collect()
    }

    /// The files of revisions that an object is part of, one for each revision and path.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub async fn uses_of(&self, id: &ObjectId) -> Result<Vec<Use>> {
        let rows = sqlx::query(
            "SELECT revision.package_id, revision.number, entry.path, entry.content_id, \
             MIN(piece.seq) AS seq FROM object \
             JOIN content_piece piece ON piece.object_id = object.id \
             JOIN entry ON entry.content_id = piece.content_id \
             JOIN revision ON revision.id = entry.revision_id \
             WHERE object.hash = $1 \
             GROUP BY revision.package_id, revision.number, entry.path, entry.content_id \
             ORDER BY revision.package_id, revision.number DESC, entry.path",
        )
        .bind(&id.0[..])
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Use {
                    package: row.get("package_id"),
                    revision: row.get("number"),
                    path: checked_path(row.get("path"))?,
                    content: row.get("content_id"),
                    seq: unsigned(row.get("seq"))?,
                })
            })
            .collect()
    }

    /// How many objects the library holds, and their bytes.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn object_totals(&self) -> Result<(u64, u64)> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS objects, CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes FROM object",
        )
        .fetch_one(self.pool())
        .await?;
        Ok((unsigned(row.get("objects"))?, unsigned(row.get("bytes"))?))
    }
}

/// A file that an object is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The package.
    pub package: String,
    /// The revision's number.
    pub revision: i64,
    /// Where the file is in it.
    pub path: MediaPath,
    /// The key of the file's content.
    pub content: i64,
    /// Which of its pieces the object is, from 0; the first, if several.
    pub seq: u64,
}

/// Puts contents into the database within one transaction, each once.
#[derive(Debug, Default)]
pub(crate) struct ContentWriter {
    contents: HashMap<[u8; 32], i64>,
    objects: HashMap<ObjectId, i64>,
}

impl ContentWriter {
    /// The key of `content`, which is put in if it is not there yet. Where the same bytes are
    /// there already but cut differently, the older cut stays.
    pub(crate) async fn ensure(
        &mut self,
        tx: &mut Transaction<'static, Any>,
        content: &Content,
        now: Moment,
    ) -> Result<i64> {
        if let Some(key) = self.contents.get(&content.sha256) {
            return Ok(*key);
        }
        let known: Option<i64> = sqlx::query_scalar("SELECT id FROM content WHERE sha256 = $1")
            .bind(&content.sha256[..])
            .fetch_optional(&mut **tx)
            .await?;
        let key = match known {
            Some(key) => key,
            None => self.insert(tx, content, now).await?,
        };
        self.contents.insert(content.sha256, key);
        Ok(key)
    }

    /// The key of a content that was put in or found.
    pub(crate) fn key(&self, sha256: &[u8; 32]) -> Option<i64> {
        self.contents.get(sha256).copied()
    }

    async fn insert(
        &mut self,
        tx: &mut Transaction<'static, Any>,
        content: &Content,
        now: Moment,
    ) -> Result<i64> {
        let key: i64 = sqlx::query_scalar(
            "INSERT INTO content (sha256, size, created_at) VALUES ($1, $2, $3) RETURNING id",
        )
        .bind(&content.sha256[..])
        .bind(signed(content.size)?)
        .bind(now.0)
        .fetch_one(&mut **tx)
        .await?;
        for (number, pieces) in content.pieces.chunks(AT_ONCE).enumerate() {
            self.ensure_objects(tx, pieces, now).await?;
            let sql = format!(
                "INSERT INTO content_piece (content_id, seq, object_id) VALUES {}",
                rows(pieces.len(), 3)
            );
            let mut insert = sqlx::query(AssertSqlSafe(sql));
            for (place, piece) in pieces.iter().enumerate() {
                let object = self.objects.get(&piece.id).copied();
                let object = object.ok_or_else(|| Error::io("internal: an object has no key"))?;
                let seq = signed((number * AT_ONCE + place) as u64)?;
                insert = insert.bind(key).bind(seq).bind(object);
            }
            insert.execute(&mut **tx).await?;
        }
        Ok(key)
    }

    /// Makes sure that objects are there, and knows their keys.
    pub(crate) async fn ensure_objects(
        &mut self,
        tx: &mut Transaction<'static, Any>,
        pieces: &[Piece],
        now: Moment,
    ) -> Result<()> {
        let new = pieces.iter().filter(|piece| !self.objects.contains_key(&piece.id));
        let new: Vec<Piece> = new.copied().collect::<HashSet<_>>().into_iter().collect();
        if new.is_empty() {
            return Ok(());
        }
        // An update that changes nothing makes RETURNING answer for rows that were there, too.
        let sql = format!(
            "INSERT INTO object (hash, size, created_at) VALUES {} \
             ON CONFLICT (hash) DO UPDATE SET size = object.size RETURNING id, hash",
            rows(new.len(), 3)
        );
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for piece in &new {
            insert = insert.bind(piece.id.0.to_vec()).bind(signed(piece.size)?).bind(now.0);
        }
        for row in insert.fetch_all(&mut **tx).await? {
            self.objects.insert(ObjectId(hash32(row.get("hash"))?), row.get("id"));
        }
        let sql = format!("DELETE FROM doomed WHERE hash IN {}", rows(1, new.len()));
        let mut revive = sqlx::query(AssertSqlSafe(sql));
        for piece in &new {
            revive = revive.bind(piece.id.0.to_vec());
        }
        revive.execute(&mut **tx).await?;
        Ok(())
    }

    /// Dooms those of `stored` that ended up in no content.
    pub(crate) async fn doom_unused(
        &self,
        tx: &mut Transaction<'static, Any>,
        stored: &HashSet<Piece>,
        now: Moment,
    ) -> Result<()> {
        for piece in stored.iter().filter(|piece| !self.objects.contains_key(&piece.id)) {
            let used: Option<i64> = sqlx::query_scalar("SELECT id FROM object WHERE hash = $1")
                .bind(&piece.id.0[..])
                .fetch_optional(&mut **tx)
                .await?;
            if used.is_none() {
                doom(tx, piece, now).await?;
            }
        }
        Ok(())
    }
}

/// `($1, $2), ($3, $4)`: so many rows of so many values.
fn rows(count: usize, width: usize) -> String {
    let row = |row: usize| {
        let values: Vec<_> = (1..=width).map(|value| format!("${}", row * width + value)).collect();
        format!("({})", values.join(", "))
    };
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}

async fn doom(tx: &mut Transaction<'static, Any>, piece: &Piece, now: Moment) -> Result<()> {
    sqlx::query(
        "INSERT INTO doomed (hash, size, doomed_at) VALUES ($1, $2, $3) \
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(&piece.id.0[..])
    .bind(signed(piece.size)?)
    .bind(now.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Drops every content that no revision, update or task of servicing holds, and dooms the objects that
/// only such contents used and no worker is bringing. Returns how many objects that is, and their bytes.
pub(crate) async fn drop_unreferenced(
    tx: &mut Transaction<'static, Any>,
    now: Moment,
) -> Result<(u64, u64)> {
    sqlx::query(
        "DELETE FROM content WHERE NOT EXISTS \
         (SELECT 1 FROM entry WHERE entry.content_id = content.id) AND NOT EXISTS \
         (SELECT 1 FROM servicing_update_file f WHERE f.content_id = content.id) AND NOT EXISTS \
         (SELECT 1 FROM servicing_task t WHERE t.input_id = content.id) AND NOT EXISTS \
         (SELECT 1 FROM servicing_task t WHERE t.output_id = content.id)",
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO doomed (hash, size, doomed_at) \
         SELECT hash, size, CAST($1 AS BIGINT) FROM object WHERE NOT EXISTS \
         (SELECT 1 FROM content_piece WHERE content_piece.object_id = object.id) AND NOT EXISTS \
         (SELECT 1 FROM servicing_piece p WHERE p.hash = object.hash) \
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(now.0)
    .execute(&mut **tx)
    .await?;
    let dropped = sqlx::query(
        "DELETE FROM object WHERE NOT EXISTS \
         (SELECT 1 FROM content_piece WHERE content_piece.object_id = object.id) AND NOT EXISTS \
         (SELECT 1 FROM servicing_piece p WHERE p.hash = object.hash) RETURNING size",
    )
    .fetch_all(&mut **tx)
    .await?;
    let bytes = dropped.iter().map(|row| row.get::<i64, _>("size")).sum::<i64>();
    Ok((dropped.len() as u64, unsigned(bytes)?))
}
