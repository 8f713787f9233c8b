//! Checks every object of the library against its name.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::db::contents::Use;
use crate::error::Result;
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::operation::{Length, Operation, Right};
use crate::progress::{Phase, Watch};
use crate::store::layout::Piece;
use crate::store::{Health, sweep};

/// Objects that are read and checked at the same time.
const AT_ONCE: usize = 8;
/// Files that are listed for one object; with one object in many revisions, the rest says nothing
/// new.
const MAX_FILES: usize = 20;

/// Checks the whole library.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {}

/// What a check found.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Whether every object is there and whole.
    pub sound: bool,
    /// Objects that revisions use.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are missing or damaged.
    pub problems: Vec<Problem>,
    /// Objects that no revision uses: `library gc` takes them away.
    pub unused: u64,
    /// Their bytes.
    pub unused_bytes: u64,
}

/// An object that cannot be used.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Its name: the BLAKE3 of its bytes, in hexadecimal.
    pub object: String,
    /// Its size.
    pub size: u64,
    /// Whether there is nothing under its name, or something else than it should be.
    pub missing: bool,
    /// The first files that it is part of.
    pub files: Vec<Affected>,
}

/// A file that an object is part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Affected {
    /// The package.
    pub package: String,
    /// The revision's number.
    pub revision: i64,
    /// Where the file is in it.
    pub path: MediaPath,
}

impl From<Use> for Affected {
    fn from(used: Use) -> Self {
        Self { package: used.package, revision: used.revision, path: used.path }
    }
}

impl Operation for Request {
    type Outcome = Checked;
    const NAME: &'static str = "library.check";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Checked> {
        let lease = home.lease().await?;
        let objects = home.db.objects().await?;
        let mut problems = Vec::new();
        for (piece, health) in unsound(home, &objects, watch).await? {
            let files = home.db.uses_of(&piece.id).await?;
            problems.push(Problem {
                object: piece.id.to_string(),
                size: piece.size,
                missing: health == Health::Missing,
                files: files.into_iter().take(MAX_FILES).map(Affected::from).collect(),
            });
        }
        let known: HashSet<_> = objects.iter().map(|piece| piece.id).collect();
        let unused = sweep::unknown(&home.library, &known).await?;
        lease.release().await;
        Ok(Checked {
            sound: problems.is_empty(),
            objects: objects.len() as u64,
            bytes: objects.iter().map(|piece| piece.size).sum(),
            problems,
            unused: unused.len() as u64,
            unused_bytes: unused.iter().map(|piece| piece.size).sum(),
        })
    }
}

/// Those of `objects` that are missing or damaged. The caller holds a lease.
pub(super) async fn unsound(
    home: &Home,
    objects: &[Piece],
    watch: Watch<'_>,
) -> Result<Vec<(Piece, Health)>> {
    watch.progress.begin(Phase::Check, objects.iter().map(|piece| piece.size).sum());
    let mut checks = stream::iter(objects)
        .map(async |piece| (*piece, home.library.check(piece).await))
        .buffered(AT_ONCE);
    let mut unsound = Vec::new();
    while let Some((piece, health)) = checks.next().await {
        watch.check()?;
        watch.progress.advance(piece.size);
        match health? {
            Health::Whole => {}
            health => unsound.push((piece, health)),
        }
    }
    watch.progress.end();
    Ok(unsound)
}
