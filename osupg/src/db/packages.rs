//! Packages, revisions, manifests and images.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::revisions::revision_of;
use super::{Db, checked_path, contents, hash32, signed, unsigned};
use crate::config::SiteCode;
use crate::error::{Error, Result};
use crate::package::list;
use crate::package::model::{
    Acceptance, Content, Entry, ImageFacts, Licence, Origin, Package, Priority, Stated, StoredImage,
};
use crate::package::reference::Reference;
use crate::package::select::Selection;
use crate::store::layout::{ObjectId, Piece};
use crate::time::{FileTime, Moment};

/// Every package with its current revision; conditions and order follow.
macro_rules! package_query {
    ($rest:literal) => {
        package_and_revision!("AND r.number = p.current_revision", $rest)
    };
}

/// Every revision with its package; conditions and order follow.
macro_rules! package_at_revision {
    ($rest:literal) => {
        package_and_revision!("", $rest)
    };
}

macro_rules! package_and_revision {
    ($which:literal, $rest:literal) => {
        concat!(
            "SELECT p.id, p.name, p.version, p.comment, p.architecture, p.architecture_by, \
             p.language, p.language_by, p.source_kind, p.source_path, p.created_at, p.changed_at, \
             p.edit_count, p.manufacturer, p.priority, p.persist_in_cache, p.folder, p.scopes, p.models, \
             p.licence_required, p.licence_by, p.licence_at, p.selection, \
             r.id AS revision_id, r.number, r.parent_number, r.cause, r.made_by, \
             r.selection AS kept, r.editions, r.builds, r.digest, r.root_s, r.root_ns, \
             r.file_count, r.total_size, r.new_size, r.created_at AS revision_at \
             FROM package p \
             JOIN revision r ON r.package_id = p.id ",
            $which,
            " ",
            $rest
        )
    };
}

fn package_of(row: &AnyRow) -> Result<Package> {
    let stated = |value: &str, by: &str| Stated {
        value: row.get(value),
        by: Origin::from_word(row.get::<&str, _>(by)),
    };
    let accepted = row
        .get::<Option<i64>, _>("licence_at")
        .map(|at| Acceptance { by: row.get("licence_by"), at: Moment(at) });
    Ok(Package {
        id: row.get("id"),
        name: row.get("name"),
        version: row.get("version"),
        comment: row.get("comment"),
        architecture: stated("architecture", "architecture_by"),
        language: stated("language", "language_by"),
        source_kind: row.get("source_kind"),
        source_path: row.get("source_path"),
        selection: serde_json::from_str(row.get("selection")).map_err(|error| {
            Error::damaged(format!("the database holds a selection that cannot be read: {error}"))
        })?,
        manufacturer: row.get("manufacturer"),
        priority: Priority::from_word(row.get("priority")),
        persist_in_cache: row.get::<i64, _>("persist_in_cache") != 0,
        folder: row.get("folder"),
        scopes: listed_scopes(row.get("scopes")),
        models: row.get::<&str, _>("models").lines().map(str::to_string).collect(),
        licence: Licence { required: row.get::<i64, _>("licence_required") != 0, accepted },
        edit_count: row.get("edit_count"),
        created_at: Moment(row.get("created_at")),
        changed_at: Moment(row.get("changed_at")),
        revision: revision_of(row)?,
    })
}

pub(super) fn file_time(row: &AnyRow, seconds: &str, nanos: &str) -> FileTime {
    let nanos = u32::try_from(row.get::<i64, _>(nanos)).unwrap_or(0);
    FileTime { seconds: row.get(seconds), nanos }
}

/// The error of a package that does not exist, or that nobody may know of.
#[must_use]
pub fn no_package(id_or_name: &str) -> Error {
    Error::not_found(format!("there is no package {:?}", crate::text::clean(id_or_name)))
        .advise("`osupg package list` shows the packages there are")
}

/// The security scopes of a package as the database has them: one a line.
pub(super) fn listed_scopes(lines: &str) -> Vec<String> {
    lines.split('\n').map(str::to_string).collect()
}

/// The pattern of texts with `text` somewhere in them.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Names that differ in nothing but capitals are the same name.
#[must_use]
pub fn name_key(name: &str) -> String {
    name.to_lowercase()
}

impl Db {
    /// All packages by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn packages(&self) -> Result<Vec<Package>> {
        self.find_packages(&list::Request::default(), i64::MAX).await
    }

    /// The packages that fit, by id, no more than `most`, whatever the filter says about that.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_packages(&self, filter: &list::Request, most: i64) -> Result<Vec<Package>> {
        // A condition that is not asked for is the empty text, or the root folder.
        let like = |text: &Option<String>| {
            text.as_ref().map_or_else(String::new, |text| containing(&text.to_lowercase()))
        };
        sqlx::query(package_query!(
            "WHERE ($1 = '/' OR p.folder = $1 OR SUBSTR(p.folder, 1, LENGTH($1) + 1) = $1 || '/') \
             AND ($2 = '' OR p.architecture = $2) \
             AND ($3 = '' OR ' ' || LOWER(p.language) || ' ' LIKE $3 ESCAPE '\\') \
             AND ($4 = '' OR LOWER(p.id) LIKE $4 ESCAPE '\\' OR p.name_key LIKE $4 ESCAPE '\\' \
              OR LOWER(p.version) LIKE $4 ESCAPE '\\' OR LOWER(p.comment) LIKE $4 ESCAPE '\\' \
              OR LOWER(p.manufacturer) LIKE $4 ESCAPE '\\') \
             AND p.id > $5 ORDER BY p.id LIMIT $6"
        ))
        .bind(filter.folder.as_deref().unwrap_or("/"))
        .bind(filter.architecture.as_deref().unwrap_or_default())
        .bind(like(&filter.language.as_ref().map(|language| format!(" {language} "))))
        .bind(like(&filter.text))
        .bind(filter.after.as_deref().unwrap_or_default())
        .bind(most)
        .fetch_all(self.pool())
        .await?
        .iter()
        .map(package_of)
        .collect()
    }

    /// The folders that packages are listed in, and how many packages are right in each.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn package_folders(&self) -> Result<Vec<(String, u64)>> {
        let rows = sqlx::query(
            "SELECT folder, COUNT(*) AS packages FROM package GROUP BY folder ORDER BY folder",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((row.get("folder"), unsigned(row.get("packages"))?))).collect()
    }

    /// The package with this id or, failing that, this name; capitals do not matter.
    ///
    /// # Errors
    /// When there is none, or the database cannot be read.
    pub async fn package(&self, id_or_name: &str) -> Result<Package> {
        let row = sqlx::query(package_query!(
            "WHERE p.id = $1 OR p.name_key = $2 ORDER BY CASE WHEN p.id = $1 THEN 0 ELSE 1 END"
        ))
        .bind(id_or_name.to_ascii_uppercase())
        .bind(name_key(id_or_name))
        .fetch_optional(self.pool())
        .await?;
        match row {
            Some(row) => package_of(&row),
            None => Err(no_package(id_or_name)),
        }
    }

    /// The package of a reference, with the revision that it names instead of the current one.
    ///
    /// # Errors
    /// When there is no such package or revision, or the database cannot be read.
    pub async fn package_at(&self, reference: &Reference) -> Result<Package> {
        let current = self.package(&reference.package).await?;
        let Some(number) = reference.revision else { return Ok(current) };
        let row = sqlx::query(package_at_revision!("WHERE p.id = $1 AND r.number = $2"))
            .bind(&current.id)
            .bind(number)
            .fetch_optional(self.pool())
            .await?;
        match row {
            Some(row) => package_of(&row),
            None => Err(Error::not_found(format!("{} has no revision {number}", current.id))
                .advise(format!("its current revision is {}", current.revision.number))),
        }
    }

    /// The id of the package with this name, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn id_of_name(&self, name: &str) -> Result<Option<String>> {
        Ok(sqlx::query_scalar("SELECT id FROM package WHERE name_key = $1")
            .bind(name_key(name))
            .fetch_optional(self.pool())
            .await?)
    }

    /// The manifest of a revision, ordered by path, contents with their pieces.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub async fn entries(&self, revision: i64) -> Result<Vec<Entry>> {
        let pieces = self.pieces_of(revision).await?;
        let rows = sqlx::query(
            "SELECT entry.path, entry.mtime_s, entry.mtime_ns, entry.content_id, \
             content.sha256, content.size FROM entry \
             LEFT JOIN content ON content.id = entry.content_id WHERE entry.revision_id = $1",
        )
        .bind(revision)
        .fetch_all(self.pool())
        .await?;
        let mut entries = rows
            .iter()
            .map(|row| {
                let path = checked_path(row.get("path"))?;
                let content = row
                    .get::<Option<i64>, _>("content_id")
                    .map(|key| {
                        Ok::<_, Error>(Content {
                            size: unsigned(row.get("size"))?,
                            sha256: hash32(row.get("sha256"))?,
                            pieces: pieces.get(&key).cloned().unwrap_or_default(),
                        })
                    })
                    .transpose()?;
                Ok(Entry { path, modified: file_time(row, "mtime_s", "mtime_ns"), content })
            })
            .collect::<Result<Vec<_>>>()?;
        // Not in SQL: databases sort text by rules of their own.
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    async fn pieces_of(&self, revision: i64) -> Result<HashMap<i64, Vec<Piece>>> {
        let rows = sqlx::query(
            "SELECT content_piece.content_id, object.hash, object.size FROM content_piece \
             JOIN object ON object.id = content_piece.object_id \
             WHERE content_piece.content_id IN \
             (SELECT content_id FROM entry WHERE revision_id = $1) \
             ORDER BY content_piece.content_id, content_piece.seq",
        )
        .bind(revision)
        .fetch_all(self.pool())
        .await?;
        let mut pieces: HashMap<i64, Vec<Piece>> = HashMap::new();
        for row in &rows {
            pieces.entry(row.get("content_id")).or_default().push(Piece {
                id: ObjectId(hash32(row.get("hash"))?),
                size: unsigned(row.get("size"))?,
            });
        }
        Ok(pieces)
    }

    /// The images in the WIM files of a revision, ordered by path and index.
    ///
    /// # Errors
    /// When the database cannot be read or holds something that was never written.
    pub async fn images(&self, revision: i64) -> Result<Vec<StoredImage>> {
        let rows = sqlx::query("SELECT path, facts, xml FROM image WHERE revision_id = $1")
            .bind(revision)
            .fetch_all(self.pool())
            .await?;
        let mut images = rows
            .iter()
            .map(|row| {
                let broken = |what: String| Error::damaged(format!("the database holds {what}"));
                let path = checked_path(row.get("path"))?;
                let facts: ImageFacts = serde_json::from_str(row.get("facts"))
                    .map_err(|error| broken(format!("image facts that cannot be read: {error}")))?;
                Ok(StoredImage { path, facts, xml: row.get("xml") })
            })
            .collect::<Result<Vec<_>>>()?;
        images.sort_by(|a, b| (&a.path, a.facts.index).cmp(&(&b.path, b.facts.index)));
        Ok(images)
    }

    /// Removes a package with all its revisions. Returns how many objects nothing refers to any
    /// more, and their bytes.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_package(&self, id: &str) -> Result<(u64, u64)> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM package WHERE id = $1").bind(id).execute(&mut *tx).await?;
        let freed = contents::drop_unreferenced(&mut tx, Moment::now()).await?;
        tx.commit().await?;
        Ok(freed)
    }
}

/// A package about to be committed with its first revision.
#[derive(Debug)]
pub(crate) struct NewPackage<'a> {
    pub site: SiteCode,
    pub name: &'a str,
    pub version: &'a str,
    pub comment: &'a str,
    pub architecture: &'a Stated,
    pub language: &'a Stated,
    pub manufacturer: &'a str,
    pub folder: &'a str,
    pub scopes: &'a [String],
    pub models: &'a [String],
    pub source_kind: &'a str,
    pub source_path: &'a str,
    pub selection: &'a Selection,
}

/// A revision about to be committed; entries name their content by its key.
#[derive(Debug)]
pub(crate) struct NewRevision<'a> {
    pub cause: &'a str,
    pub selection: &'a str,
    pub editions: &'a str,
    pub builds: &'a str,
    pub digest: [u8; 32],
    pub root_modified: FileTime,
    pub new_size: u64,
    pub made_by: &'a str,
    pub entries: &'a [(&'a Entry, Option<i64>)],
    pub images: &'a [StoredImage],
}

/// Puts a new package with revision 1 into the database; returns its id.
pub(crate) async fn insert_package(
    tx: &mut Transaction<'static, Any>,
    package: &NewPackage<'_>,
    revision: &NewRevision<'_>,
    now: Moment,
) -> Result<String> {
    let id = next_id(tx, package.site).await?;
    let selection = serde_json::to_string(package.selection)
        .map_err(|error| Error::io(format!("the selection has no JSON: {error}")))?;
    let inserted = sqlx::query(
        "INSERT INTO package (id, name, name_key, version, comment, architecture, \
         architecture_by, language, language_by, source_kind, source_path, manufacturer, folder, \
         scopes, models, selection, current_revision, created_at, changed_at, edit_count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, $17, $17, \
         0) \
         ON CONFLICT (name_key) DO NOTHING",
    )
    .bind(&id)
    .bind(package.name)
    .bind(name_key(package.name))
    .bind(package.version)
    .bind(package.comment)
    .bind(&package.architecture.value)
    .bind(package.architecture.by.word())
    .bind(&package.language.value)
    .bind(package.language.by.word())
    .bind(package.source_kind)
    .bind(package.source_path)
    .bind(package.manufacturer)
    .bind(package.folder)
    .bind(package.scopes.join("\n"))
    .bind(package.models.join("\n"))
    .bind(selection)
    .bind(now.0)
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(name_taken(package.name));
    }
    insert_revision(tx, &id, 1, None, revision, now).await?;
    Ok(id)
}

/// The refusal of a name that a package has already.
pub(crate) fn name_taken(name: &str) -> Error {
    Error::conflict(format!("there is a package named {name:?} already"))
        .advise("give another name with --name, or remove that package first")
}

async fn next_id(tx: &mut Transaction<'static, Any>, site: SiteCode) -> Result<String> {
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO counter (site, next) VALUES ($1, 2) \
         ON CONFLICT (site) DO UPDATE SET next = counter.next + 1 RETURNING next - 1",
    )
    .bind(site.as_str())
    .fetch_one(&mut **tx)
    .await?;
    site.package_id(number).ok_or_else(|| {
        Error::usage(format!("all package numbers of site {site} are used"))
            .advise("choose another site code with --site-code")
    })
}

/// Puts a revision of a package into the database.
pub(crate) async fn insert_revision(
    tx: &mut Transaction<'static, Any>,
    package: &str,
    number: i64,
    parent: Option<i64>,
    revision: &NewRevision<'_>,
    now: Moment,
) -> Result<()> {
    let files = revision.entries.iter().filter_map(|(entry, _)| entry.content.as_ref());
    let (count, total) =
        files.fold((0_u64, 0_u64), |(count, total), file| (count + 1, total + file.size));
    let key: i64 = sqlx::query_scalar(
        "INSERT INTO revision (package_id, number, parent_number, cause, selection, editions, \
         builds, digest, root_s, root_ns, file_count, total_size, new_size, created_at, made_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING id",
    )
    .bind(package)
    .bind(number)
    .bind(parent)
    .bind(revision.cause)
    .bind(revision.selection)
    .bind(revision.editions)
    .bind(revision.builds)
    .bind(&revision.digest[..])
    .bind(revision.root_modified.seconds)
    .bind(i64::from(revision.root_modified.nanos))
    .bind(signed(count)?)
    .bind(signed(total)?)
    .bind(signed(revision.new_size)?)
    .bind(now.0)
    .bind(revision.made_by)
    .fetch_one(&mut **tx)
    .await?;
    for (entry, content) in revision.entries {
        sqlx::query(
            "INSERT INTO entry (revision_id, path, content_id, mtime_s, mtime_ns) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(key)
        .bind(entry.path.as_str())
        .bind(*content)
        .bind(entry.modified.seconds)
        .bind(i64::from(entry.modified.nanos))
        .execute(&mut **tx)
        .await?;
    }
    for image in revision.images {
        let facts = serde_json::to_string(&image.facts)
            .map_err(|error| Error::io(format!("image facts cannot be written: {error}")))?;
        sqlx::query(
            "INSERT INTO image (revision_id, path, image_index, facts, xml) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(key)
        .bind(image.path.as_str())
        .bind(i64::from(image.facts.index))
        .bind(facts)
        .bind(&image.xml)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
