//! Rebuilds the media tree of a revision, bit for bit, with its times.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wim_extract::output::set_times;

use super::model::{Content, Entry, Package};
use super::reference::Reference;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::progress::{Phase, Watch};
use crate::space;
use crate::staged::StagedFolder;
use crate::store::Library;
use crate::text;
use crate::time::FileTime;

/// Files that are written at the same time.
const FILES_AT_ONCE: usize = 3;
/// Pieces of a file that are read ahead.
const PIECES_AHEAD: usize = 6;

/// What an export did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Exported {
    /// The package.
    pub id: String,
    /// Its revision.
    pub revision: i64,
    /// Where the tree is.
    pub folder: PathBuf,
    /// Files written.
    pub files: u64,
    /// The sum of their sizes.
    pub size: u64,
}

/// What to rebuild, and where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name, with or without a revision.
    pub package: Reference,
    /// The folder to make; it must not exist yet, or be empty.
    pub folder: PathBuf,
}

impl Operation for Request {
    type Outcome = Exported;
    const NAME: &'static str = "package.export";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    fn places(&self) -> Vec<&Path> {
        vec![&self.folder]
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Exported> {
        export(home, &self.package, &self.folder, watch).await
    }
}

/// Rebuilds a revision of a package at `target`. Every object is checked against its
/// name and every file against its SHA-256; the tree appears whole or not at all.
///
/// # Errors
/// When something is at `target`, an object is missing or damaged, or the disk is full.
pub async fn export(
    home: &Home,
    reference: &Reference,
    target: &Path,
    watch: Watch<'_>,
) -> Result<Exported> {
    let package = home.db.package_at(reference).await?;
    // Held so that a removal meanwhile cannot take the objects away.
    let lease = home.lease().await?;
    let entries = home.db.entries(package.revision.key).await?;
    super::check_digest(&package, &entries)?;
    let wanted = target.to_path_buf();
    let staged = tokio::task::spawn_blocking(move || StagedFolder::begin(&wanted)).await??;
    space::require(staged.place(), target, package.revision.total_size)?;
    make_folders(staged.place(), &entries)?;
    watch.progress.begin(Phase::Export, package.revision.total_size);
    let files = entries.iter().filter_map(|entry| Some((entry, entry.content.as_ref()?)));
    stream::iter(files)
        .map(|(entry, content)| write_file(&home.library, staged.place(), entry, content, watch))
        .buffer_unordered(FILES_AT_ONCE)
        .try_collect::<()>()
        .await?;
    watch.progress.end();
    lease.release().await;
    let folder = staged.target().to_path_buf();
    let root = package.revision.root_modified;
    tokio::task::spawn_blocking(move || {
        set_folder_times(staged.place(), &entries)?;
        set_folder_time(staged.place(), root)?;
        staged.finish()
    })
    .await??;
    Ok(exported(&package, folder))
}

fn exported(package: &Package, folder: PathBuf) -> Exported {
    Exported {
        id: package.id.clone(),
        revision: package.revision.number,
        folder,
        files: package.revision.file_count,
        size: package.revision.total_size,
    }
}

/// Folders come before what is in them, for a path sorts before the paths it begins.
fn make_folders(root: &Path, entries: &[Entry]) -> Result<()> {
    for entry in entries.iter().filter(|entry| entry.content.is_none()) {
        let path = root.join(entry.path.as_str());
        fs::create_dir(&path).map_err(|error| Error::file("make", &path, &error))?;
    }
    Ok(())
}

/// Deepest first: writing into a folder changes its time.
fn set_folder_times(root: &Path, entries: &[Entry]) -> Result<()> {
    for entry in entries.iter().rev().filter(|entry| entry.content.is_none()) {
        set_folder_time(&root.join(entry.path.as_str()), entry.modified)?;
    }
    Ok(())
}

fn set_folder_time(folder: &Path, modified: FileTime) -> Result<()> {
    let times = times(folder, modified)?;
    set_times(folder, times).map_err(|error| Error::file("set the time of", folder, &error))
}

fn times(path: &Path, modified: FileTime) -> Result<FileTimes> {
    let modified = modified.to_system().ok_or_else(|| {
        let shown = text::path(path);
        Error::damaged(format!("the time of {shown} is not one that this system can set"))
    })?;
    Ok(FileTimes::new().set_modified(modified))
}

async fn write_file(
    library: &Library,
    root: &Path,
    entry: &Entry,
    content: &Content,
    watch: Watch<'_>,
) -> Result<()> {
    let path = root.join(entry.path.as_str());
    let failed = |error: &std::io::Error| Error::file("write", &path, error);
    let mut file = File::create_new(&path).map_err(|error| failed(&error))?;
    let mut sha256 = Sha256::new();
    let mut size = 0;
    let mut pieces =
        stream::iter(&content.pieces).map(|piece| library.get(piece)).buffered(PIECES_AHEAD);
    while let Some(piece) = pieces.next().await {
        watch.check()?;
        let piece = piece.map_err(|error| error.context(&entry.path))?;
        size += piece.len() as u64;
        watch.progress.advance(piece.len() as u64);
        let written;
        (file, sha256, written) = tokio::task::spawn_blocking(move || {
            sha256.update(&piece);
            let written = file.write_all(&piece);
            (file, sha256, written)
        })
        .await?;
        written.map_err(|error| failed(&error))?;
    }
    let found: [u8; 32] = sha256.finalize().into();
    if found != content.sha256 || size != content.size {
        return Err(Error::damaged(format!(
            "{} comes back with SHA-256 {} and {size} bytes; stored were {} and {}",
            entry.path,
            text::hex(&found),
            text::hex(&content.sha256),
            content.size
        )));
    }
    file.set_times(times(&path, entry.modified)?)
        .map_err(|error| Error::file("set the time of", &path, &error))
}
