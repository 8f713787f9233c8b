//! Puts back objects that are missing or damaged.
//!
//! An object is a range of a file of some revision. If that file is still in the package's source,
//! the range is read again there; whether it is the same shows by its hash, whatever else has
//! changed in the source. What the source does not have, a distribution point may.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{self, Affected};
use crate::db::contents::Use;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::Media;
use crate::operation::{Length, Operation, Right};
use crate::package::items::{self, File};
use crate::package::model::Package;
use crate::package::snapshot;
use crate::points;
use crate::progress::Watch;
use crate::store::layout::{ObjectId, Piece};

/// Repairs the whole library.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {}

/// What a repair did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Repaired {
    /// Whether every object is whole now.
    pub sound: bool,
    /// Objects that were put back from a source.
    pub from_source: u64,
    /// Objects that were put back from a distribution point.
    pub from_points: u64,
    /// Bytes that were put back.
    pub bytes: u64,
    /// Objects that could be found nowhere.
    pub lost: Vec<Lost>,
}

/// An object that could be found nowhere.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// Its name: the BLAKE3 of its bytes, in hexadecimal.
    pub object: String,
    /// Its size.
    pub size: u64,
    /// The files that it is part of.
    pub files: Vec<Affected>,
    /// Why the sources do not help.
    pub reasons: Vec<String>,
}

impl Operation for Request {
    type Outcome = Repaired;
    const NAME: &'static str = "library.repair";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Repaired> {
        let lease = home.lease().await?;
        let objects = home.db.objects().await?;
        let mut repaired =
            Repaired { sound: false, from_source: 0, from_points: 0, bytes: 0, lost: Vec::new() };
        let mut sources = Sources { home, open: HashMap::new() };
        for (piece, _) in check::unsound(home, &objects, watch).await? {
            watch.check()?;
            let uses = home.db.uses_of(&piece.id).await?;
            let mut reasons = Vec::new();
            let (found, from) = match sources.find(&piece, &uses, &mut reasons).await? {
                Some(bytes) => (Some(bytes), Origin::Source),
                None => (points::fetch_piece(home, &piece).await?, Origin::Point),
            };
            let Some(bytes) = found else {
                repaired.lost.push(Lost {
                    object: piece.id.to_string(),
                    size: piece.size,
                    files: uses.into_iter().map(Affected::from).collect(),
                    reasons,
                });
                continue;
            };
            home.library.put(&piece.id, &bytes).await?;
            let place = match from {
                Origin::Source => {
                    repaired.from_source += 1;
                    "its source"
                }
                Origin::Point => {
                    repaired.from_points += 1;
                    "a distribution point"
                }
            };
            repaired.bytes += piece.size;
            watch.progress.note(&format!("put back object {} from {place}", piece.id));
        }
        repaired.sound = repaired.lost.is_empty();
        lease.release().await;
        Ok(repaired)
    }
}

/// Where an object was found again.
#[derive(Debug, Clone, Copy)]
enum Origin {
    Source,
    Point,
}

/// The sources of packages, each opened once.
struct Sources<'h> {
    home: &'h Home,
    open: HashMap<String, Result<Arc<Opened>, String>>,
}

/// A source with the images that its package keeps.
struct Opened {
    media: Media,
    keep: Option<Vec<u32>>,
}

impl Sources<'_> {
    /// The bytes of a piece from the first source that has them; why others have not goes into
    /// `reasons`.
    async fn find(
        &mut self,
        piece: &Piece,
        uses: &[Use],
        reasons: &mut Vec<String>,
    ) -> Result<Option<Bytes>> {
        let mut tried: Vec<(&String, i64)> = Vec::new();
        for used in uses {
            // Other revisions with the same file would find the same.
            if tried.contains(&(&used.package, used.content)) {
                continue;
            }
            tried.push((&used.package, used.content));
            let opened = match self.source(&used.package).await? {
                Ok(opened) => opened,
                Err(reason) => {
                    reasons.push(reason);
                    continue;
                }
            };
            let content = self.home.db.content(used.content).await?;
            let before = content.pieces.iter().take(used.seq as usize);
            let offset: u64 = before.map(|piece| piece.size).sum();
            let (piece, path) = (*piece, used.path.clone());
            // Reading may take this thread for a while; others go on.
            let read =
                tokio::task::block_in_place(|| opened.read(&path, offset, piece.size as usize));
            match read {
                Ok(bytes) if ObjectId::of(&bytes) == piece.id => return Ok(Some(bytes)),
                Ok(_) => reasons.push(format!("{}: {path} is another file now", used.package)),
                Err(error) => reasons.push(format!("{}: {error}", used.package)),
            }
        }
        Ok(None)
    }

    async fn source(&mut self, id: &str) -> Result<Result<Arc<Opened>, String>> {
        if let Some(opened) = self.open.get(id) {
            return Ok(opened.clone());
        }
        let package = self.home.db.package(id).await?;
        let opened = tokio::task::spawn_blocking(move || Opened::open(&package)).await?;
        let opened = opened.map(Arc::new).map_err(|error| format!("{id}: {error}"));
        self.open.insert(id.to_string(), opened.clone());
        Ok(opened)
    }
}

impl Opened {
    fn open(package: &Package) -> Result<Self> {
        let media = Media::open(&PathBuf::from(&package.source_path))?;
        let facts = snapshot::open_install_image(&media)?.facts();
        Ok(Self { keep: package.selection.choose(&facts)?, media })
    }

    /// A range of what the package has at `path`.
    fn read(&self, path: &crate::media::path::MediaPath, offset: u64, len: usize) -> Result<Bytes> {
        let items = items::items(&self.media, self.keep.as_deref());
        let Some(item) = items.into_iter().find(|item| item.path == *path) else {
            return Err(Error::usage(format!("{path} is no longer there")));
        };
        let source = File::plan(&self.media, item.make)?.source(&self.media)?;
        source
            .bytes(offset, len)
            .map_err(|error| Error::io(format!("{path} cannot be read: {error}")))
    }
}
