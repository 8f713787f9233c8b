//! Checks that a package can be rebuilt as it was stored: every object, every file, every image.
//!
//! Nothing stops at the first problem; the outcome names all files that are affected.

use std::collections::{BTreeMap, HashSet};

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::manifest;
use super::model::{Content, Entry};
use super::reference::Reference;
use super::snapshot;
use crate::error::Result;
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::operation::{Length, Operation, Right};
use crate::progress::{Phase, Watch};
use crate::store::{Health, Library};

/// Pieces that are read and checked at the same time: a library elsewhere takes its time for each. Each may have
/// 8 MiB, which are still there when the images are verified.
const AT_ONCE: usize = 4;

/// What a verification found.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// The package.
    pub id: String,
    /// Its revision.
    pub revision: i64,
    /// Whether nothing is wrong.
    pub sound: bool,
    /// Files checked.
    pub files: u64,
    /// Bytes read from the library: content that several files share is read once.
    pub bytes: u64,
    /// Objects checked.
    pub objects: u64,
    /// Images whose every blob was decoded and checked.
    pub images: u64,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a package.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The files it affects; empty for the manifest itself.
    pub files: Vec<MediaPath>,
    /// What it is.
    pub what: String,
}

/// What to verify.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name, with or without a revision.
    pub package: Reference,
}

impl Operation for Request {
    type Outcome = Verified;
    const NAME: &'static str = "package.verify";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Verified> {
        verify(home, &self.package, watch).await
    }
}

/// Verifies a revision of a package.
///
/// # Errors
/// When there is no such package, the store cannot be reached, or the command was stopped. What is
/// wrong with the package is in the outcome.
pub async fn verify(home: &Home, reference: &Reference, watch: Watch<'_>) -> Result<Verified> {
    let package = home.db.package_at(reference).await?;
    let lease = home.lease().await?;
    let entries = home.db.entries(package.revision.key).await?;
    let mut verified = Verified {
        id: package.id,
        revision: package.revision.number,
        sound: false,
        files: package.revision.file_count,
        bytes: 0,
        objects: 0,
        images: 0,
        problems: Vec::new(),
    };
    if manifest::digest(package.revision.root_modified, &entries) != package.revision.digest {
        let what = "the manifest in the database is not the one that was stored".to_string();
        verified.problems.push(Problem { files: Vec::new(), what });
    }
    check_contents(&home.library, &entries, &mut verified, watch).await?;
    check_images(home, &entries, &mut verified, watch)?;
    lease.release().await;
    verified.sound = verified.problems.is_empty();
    Ok(verified)
}

/// Files by content: what several share is checked once.
fn by_content(entries: &[Entry]) -> BTreeMap<[u8; 32], (&Content, Vec<MediaPath>)> {
    let mut contents: BTreeMap<_, (&Content, Vec<MediaPath>)> = BTreeMap::new();
    for entry in entries {
        if let Some(content) = &entry.content {
            let (_, files) = contents.entry(content.sha256).or_insert((content, Vec::new()));
            files.push(entry.path.clone());
        }
    }
    contents
}

async fn check_contents(
    library: &Library,
    entries: &[Entry],
    verified: &mut Verified,
    watch: Watch<'_>,
) -> Result<()> {
    let contents = by_content(entries);
    let total = contents.values().map(|(content, _)| content.size).sum();
    watch.progress.begin(Phase::Check, total);
    let objects: HashSet<_> = contents.values().flat_map(|(content, _)| &content.pieces).collect();
    verified.objects = objects.len() as u64;
    for (content, files) in contents.into_values() {
        verified.bytes += content.size;
        for what in check_content(library, content, watch).await? {
            verified.problems.push(Problem { files: files.clone(), what });
        }
    }
    watch.progress.end();
    Ok(())
}

async fn check_content(
    library: &Library,
    content: &Content,
    watch: Watch<'_>,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut sha256 = Sha256::new();
    let mut reads = stream::iter(&content.pieces)
        .map(|piece| async move { (piece, library.read(piece).await) })
        .buffered(AT_ONCE);
    while let Some((piece, read)) = reads.next().await {
        watch.check()?;
        watch.progress.advance(piece.size);
        match read? {
            Ok(bytes) => {
                sha256 = tokio::task::spawn_blocking(move || {
                    sha256.update(&bytes);
                    sha256
                })
                .await?;
            }
            Err(Health::Missing) => problems.push(format!("object {} is missing", piece.id)),
            Err(_) => problems.push(format!("object {} is damaged", piece.id)),
        }
    }
    let pieces: u64 = content.pieces.iter().map(|piece| piece.size).sum();
    let found: [u8; 32] = sha256.finalize().into();
    if problems.is_empty() && (found != content.sha256 || pieces != content.size) {
        problems.push("its objects are whole but do not give the file that was stored".into());
    }
    Ok(problems)
}

/// Verifies the images of every WIM whose bytes are whole.
fn check_images(
    home: &Home,
    entries: &[Entry],
    verified: &mut Verified,
    watch: Watch<'_>,
) -> Result<()> {
    for wim in snapshot::wims(home, entries) {
        watch.check()?;
        if verified.problems.iter().any(|problem| problem.files.contains(&wim.path)) {
            continue;
        }
        match tokio::task::block_in_place(|| wim.read(true, watch)) {
            Ok((_, images)) => verified.images += u64::from(images),
            Err(error) => {
                watch.check()?;
                let what = error.to_string();
                verified.problems.push(Problem { files: vec![wim.path.clone()], what });
            }
        }
    }
    Ok(())
}
