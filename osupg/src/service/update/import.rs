//! Imports updates: finds out what each is, and keeps its bytes in the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wim_extract::source::{Access, FileSource, Source};
use wim_extract::status::{self, FileId, Status};

use super::read::{self, Examined};
use super::{Facts, Update};
use crate::db::contents::ContentWriter;
use crate::db::imports;
use crate::db::service::{self, NewUpdate};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::operation::{Length, Operation, Right};
use crate::package::model::Content;
use crate::progress::{Phase, Watch};
use crate::service::scratch::Scratch;
use crate::store::cut;
use crate::store::ingest::{self, Feeder, Ingested, Present};
use crate::store::lease::Lease;
use crate::text;
use crate::time::Moment;

/// Updates that one request imports.
const MAX_UPDATES: usize = 1000;

/// What to import.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Files (`.cab`, `.msu`) and folders of the machine that does it.
    pub files: Vec<PathBuf>,
}

/// What was imported.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// The updates, in the order of the files.
    pub updates: Vec<ImportedUpdate>,
    /// Files that no image takes.
    pub refused: Vec<Refused>,
    /// Bytes that the library did not have.
    pub new_size: u64,
}

/// An update that is in the library now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImportedUpdate {
    /// It.
    #[serde(flatten)]
    pub update: Update,
    /// Whether it was there before.
    pub known: bool,
}

/// A file that is no update for an image.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

impl Operation for Request {
    type Outcome = Imported;
    const NAME: &'static str = "update.import";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    fn places(&self) -> Vec<&Path> {
        self.files.iter().map(PathBuf::as_path).collect()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Imported> {
        let (found, refused) =
            tokio::task::block_in_place(|| examine_all(home, &self.files, watch))?;
        home.collect().await?;
        let lease = home.lease().await?;
        let import = home.db.import_begins(Path::new("updates")).await?;
        let stored = store(home, &import, &lease, &found, watch).await;
        drop(lease);
        let (updates, new_size) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                // Give the disk back at once; should that fail, the next run does it.
                let _ = home.collect().await;
                return Err(error);
            }
        };
        Ok(Imported { updates, refused, new_size })
    }
}

/// An update that was found, not yet stored.
struct FoundUpdate {
    facts: Facts,
    /// The name of the file or folder.
    name: String,
    /// Its files: path in the update, path on this machine, and what tells whether it changes.
    files: Vec<(String, PathBuf, Stamp)>,
}

/// What changes when a file is written to.
type Stamp = (status::Stamp, FileId);

fn stamp(path: &Path) -> Result<Stamp> {
    let status = Status::at(path).map_err(|error| Error::file("examine", path, &error))?;
    Ok(((&status).into(), status.id()))
}

fn examine_all(
    home: &Home,
    files: &[PathBuf],
    watch: Watch<'_>,
) -> Result<(Vec<FoundUpdate>, Vec<Refused>)> {
    let scratch = Scratch::begin(home)?;
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    let mut open: Vec<PathBuf> = files.iter().rev().cloned().collect();
    for number in 0_usize.. {
        let Some(path) = open.pop() else { break };
        if number >= MAX_UPDATES {
            return Err(Error::usage(format!("more than {MAX_UPDATES} updates at once"))
                .advise("import them in several runs"));
        }
        watch.check()?;
        let path = wim_extract::beneath::real_path(&path)
            .map_err(|error| Error::file("open the update", &path, &error))?;
        let files = files_of(&path)?;
        let folder = scratch.folder(&format!("update-{number}"))?;
        match read::examine(&path, &folder, watch)? {
            Examined::Unfit(reason) => refused.push(Refused { file: path, reason }),
            Examined::Several(inside) => open.extend(inside.into_iter().rev()),
            Examined::Update(facts) => {
                watch.progress.note(&format!("found {} ({})", facts.title, facts.kind));
                let name = path.file_name().map(|name| text::path(Path::new(name)));
                found.push(FoundUpdate { facts: *facts, name: name.unwrap_or_default(), files });
            }
        }
    }
    Ok((found, refused))
}

/// The files that make up an update: itself, or what a folder holds.
fn files_of(path: &Path) -> Result<Vec<(String, PathBuf, Stamp)>> {
    if !path.is_dir() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("update");
        return Ok(vec![(checked(name)?, path.to_path_buf(), stamp(path)?)]);
    }
    let container = super::container::Container::folder(path)?;
    let members = container.members()?;
    members
        .into_iter()
        .map(|member| {
            let file = path.join(&member.path);
            Ok((checked(&member.path)?, file.clone(), stamp(&file)?))
        })
        .collect()
}

/// Names of updates' files end up on Windows, too.
fn checked(name: &str) -> Result<String> {
    MediaPath::new(name)
        .map(|path| path.as_str().to_string())
        .map_err(|bad| Error::usage(format!("the name {:?} {bad}", text::clean(name))))
}

async fn store(
    home: &Home,
    import: &str,
    lease: &Lease,
    found: &[FoundUpdate],
    watch: Watch<'_>,
) -> Result<(Vec<ImportedUpdate>, u64)> {
    let files: Vec<(PathBuf, Stamp)> = found
        .iter()
        .flat_map(|update| update.files.iter().map(|(_, path, stamp)| (path.clone(), *stamp)))
        .collect();
    let total: u64 = files.iter().map(|(_, stamp)| stamp.0.size).sum();
    home.library.require_space(total)?;
    watch.progress.begin(Phase::Store, total);
    let feed = move |feeder: &Feeder| feed(feeder, &files);
    let ingested = ingest::ingest(&home.db, &home.library, Present::Trusted, watch, feed).await?;
    watch.progress.end();
    commit(home, import, lease, found, &ingested).await
}

fn feed(feeder: &Feeder, files: &[(PathBuf, Stamp)]) -> Result<()> {
    for (path, before) in files {
        let source: Arc<dyn Source> = Arc::new(
            FileSource::open(path, Access::Read).map_err(|error| Error::io(error.to_string()))?,
        );
        feeder.file(&*source, &cut::plain(source.len()))?;
        if stamp(path)? != *before {
            return Err(Error::io(format!(
                "{} was changed while it was being read",
                text::path(path)
            ))
            .advise("wait until nothing writes to it, then run the command again"));
        }
    }
    Ok(())
}

async fn commit(
    home: &Home,
    import: &str,
    lease: &Lease,
    found: &[FoundUpdate],
    ingested: &Ingested,
) -> Result<(Vec<ImportedUpdate>, u64)> {
    let now = Moment::now();
    let mut contents = ingested.contents.iter();
    let mut stored = Vec::with_capacity(found.len());
    for update in found {
        let files: Vec<(String, Content)> = update
            .files
            .iter()
            .zip(contents.by_ref())
            .map(|((path, ..), content)| (path.clone(), content.clone()))
            .collect();
        let sha256 = digest(&files);
        stored.push((update, sha256, files, home.db.update_with(&sha256).await?.is_some()));
    }
    let mut tx = home.db.begin().await?;
    let mut writer = ContentWriter::default();
    let mut ids = Vec::with_capacity(stored.len());
    for (update, sha256, files, known) in &stored {
        let new = NewUpdate {
            facts: &update.facts,
            file: &update.name,
            size: files.iter().map(|(_, content)| content.size).sum(),
            sha256: *sha256,
            files,
        };
        ids.push((service::insert_update(&mut tx, &mut writer, &new, now).await?, *known));
    }
    writer.doom_unused(&mut tx, &ingested.stored, now).await?;
    imports::import_ends(&mut tx, import).await?;
    lease.confirm(&mut tx).await?;
    tx.commit().await?;
    let mut updates = Vec::with_capacity(ids.len());
    for (id, known) in ids {
        updates.push(ImportedUpdate { update: home.db.update(&id).await?, known });
    }
    Ok((updates, ingested.new_size()))
}

/// What tells an update from all others: the SHA-256 of its file, or of the list of its files.
fn digest(files: &[(String, Content)]) -> [u8; 32] {
    if let [(_, content)] = files {
        return content.sha256;
    }
    let mut digest = Sha256::new();
    for (path, content) in files {
        digest.update(format!("{} {} {path}\n", text::hex(&content.sha256), content.size));
    }
    digest.finalize().into()
}
