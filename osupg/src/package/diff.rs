//! What differs between two revisions: their files, and inside their WIM files, image by image.
//!
//! Nothing is decoded but the metadata of images: whether data are the same is known from their
//! hashes.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::diff::{self, Aspects, Change, Image};

use super::compare::{self, ChangeKind, FileChange};
use super::images::{OpenWim, from_engine};
use super::model::{Entry, ImageFacts, Package};
use super::reference::Reference;
use super::snapshot::{self, LibraryWim};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::operation::{Length, Operation, Right};
use crate::progress::Watch;
use crate::store::layout::Piece;

/// Changes inside an image that are listed when nobody says how many.
pub const USUAL_LIMIT: u32 = 1000;

/// What to compare.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The old revision.
    pub old: Reference,
    /// The new one, of the same package.
    pub new: Reference,
    /// The most changes to list inside an image; all are counted.
    #[serde(default = "usual_limit")]
    pub limit: u32,
}

const fn usual_limit() -> u32 {
    USUAL_LIMIT
}

/// What differs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The old revision, as `OSU00001@1`.
    pub old: Reference,
    /// The new one.
    pub new: Reference,
    /// Files and folders that differ, ordered by path.
    pub files: Vec<FileChange>,
    /// Files and folders that are the same.
    pub same: u64,
    /// Bytes of objects that the new revision has and the old one has not: what has to travel to
    /// whoever has the old one.
    pub new_bytes: u64,
    /// The images of every WIM file that differs.
    pub images: Vec<ImageDifference>,
}

/// What differs in an image of a WIM file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImageDifference {
    /// The WIM.
    pub path: MediaPath,
    /// Its index in the old revision; `None` if it is new.
    pub old: Option<u32>,
    /// Its index in the new revision; `None` if it is gone.
    pub new: Option<u32>,
    /// The image's name.
    pub name: String,
    /// Its build before and now, such as `26100.1742`; empty where unknown.
    pub builds: [String; 2],
    /// Number of files and directories added.
    pub added: u64,
    /// Number removed.
    pub removed: u64,
    /// Number changed.
    pub changed: u64,
    /// Number renamed.
    pub renamed: u64,
    /// Number that are the same.
    pub same: u64,
    /// The first changes, ordered by path.
    pub changes: Vec<InnerChange>,
}

/// A file or directory of an image that differs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct InnerChange {
    /// Its path; where it was, if it was removed.
    pub path: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// Where it was, if it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// In what it differs, such as `content` or `security`.
    pub aspects: Vec<String>,
    /// Bytes before.
    pub old_size: Option<u64>,
    /// Bytes now.
    pub new_size: Option<u64>,
}

impl Operation for Request {
    type Outcome = Difference;
    const NAME: &'static str = "package.diff";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.old.package)
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Difference> {
        let lease = home.lease().await?;
        let (old, new) = (side(home, &self.old).await?, side(home, &self.new).await?);
        if old.0.id != new.0.id {
            return Err(Error::usage(format!(
                "{} and {} are different packages; a diff compares revisions of one",
                old.0.id, new.0.id
            )));
        }
        let comparison = compare::compare(&old.1, &new.1);
        let changed: HashSet<&MediaPath> = comparison
            .changes
            .iter()
            .filter(|change| change.kind == ChangeKind::Changed)
            .map(|change| &change.path)
            .collect();
        let mut images = Vec::new();
        let mut after: Vec<LibraryWim> = snapshot::wims(home, &new.1);
        for before in snapshot::wims(home, &old.1) {
            let place = after.iter().position(|wim| wim.path == before.path);
            let Some(wim) = place.map(|place| after.swap_remove(place)) else { continue };
            if before.paths().chain(wim.paths()).any(|path| changed.contains(path)) {
                watch.check()?;
                images.extend(tokio::task::block_in_place(|| {
                    compare_wims(&before, &wim, self.limit, watch)
                })?);
            }
        }
        lease.release().await;
        Ok(Difference {
            old: exactly(&old.0),
            new: exactly(&new.0),
            files: comparison.changes,
            same: comparison.same,
            new_bytes: new_bytes(&old.1, &new.1),
            images,
        })
    }
}

async fn side(home: &Home, reference: &Reference) -> Result<(Package, Vec<Entry>)> {
    let package = home.db.package_at(reference).await?;
    let entries = home.db.entries(package.revision.key).await?;
    Ok((package, entries))
}

fn exactly(package: &Package) -> Reference {
    Reference { package: package.id.clone(), revision: Some(package.revision.number) }
}

/// Bytes of the objects that only `new` has.
fn new_bytes(old: &[Entry], new: &[Entry]) -> u64 {
    let pieces = |entries: &[Entry]| -> HashSet<Piece> {
        let contents = entries.iter().filter_map(|entry| entry.content.as_ref());
        contents.flat_map(|content| content.pieces.iter().copied()).collect()
    };
    let old = pieces(old);
    pieces(new).difference(&old).map(|piece| piece.size).sum()
}

fn compare_wims(
    old: &LibraryWim,
    new: &LibraryWim,
    limit: u32,
    watch: Watch<'_>,
) -> Result<Vec<ImageDifference>> {
    // A file that only has the name of a WIM has no images.
    let (Some(before), Some(after)) = (old.open()?, new.open()?) else { return Ok(Vec::new()) };
    let mut images = Vec::new();
    for (was, is) in pair(&before.facts(), &after.facts()) {
        watch.check()?;
        let known = was.as_ref().or(is.as_ref());
        let build = |facts: &Option<ImageFacts>| {
            facts.as_ref().map(|facts| facts.build.clone()).unwrap_or_default()
        };
        let mut difference = ImageDifference {
            path: new.path.clone(),
            old: was.as_ref().map(|facts| facts.index),
            new: is.as_ref().map(|facts| facts.index),
            name: known.map(|facts| facts.name.clone()).unwrap_or_default(),
            builds: [build(&was), build(&is)],
            added: 0,
            removed: 0,
            changed: 0,
            renamed: 0,
            same: 0,
            changes: Vec::new(),
        };
        if let (Some(was), Some(is)) = (&was, &is) {
            let (old, new) = (image(&before, was.index)?, image(&after, is.index)?);
            let found = diff::run(old, new, &diff::Options::default())
                .map_err(|error| from_engine(&error))?;
            difference.same = found.same;
            for change in found.changes {
                difference.count(&change, limit);
            }
        }
        images.push(difference);
    }
    Ok(images)
}

fn image(wim: &OpenWim, index: u32) -> Result<Image<'_>> {
    let found = wim.wim.image(index);
    let index = found.ok_or_else(|| Error::damaged(format!("there is no image {index}")))?;
    Ok(Image { wim: &wim.wim, index })
}

impl ImageDifference {
    fn count(&mut self, change: &Change, limit: u32) {
        use diff::ChangeKind as Engine;
        let (kind, from, aspects) = match &change.kind {
            Engine::Added => (ChangeKind::Added, None, Aspects::empty()),
            Engine::Removed => (ChangeKind::Removed, None, Aspects::empty()),
            Engine::Changed(aspects) => (ChangeKind::Changed, None, *aspects),
            Engine::Renamed { from, aspects } => (ChangeKind::Renamed, Some(from), *aspects),
        };
        match kind {
            ChangeKind::Added => self.added += 1,
            ChangeKind::Removed => self.removed += 1,
            ChangeKind::Renamed => self.renamed += 1,
            ChangeKind::Changed | ChangeKind::Touched => self.changed += 1,
        }
        if self.changes.len() < limit as usize {
            let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
            self.changes.push(InnerChange {
                path: text(&change.path),
                kind,
                from: from.map(|from| text(from)),
                aspects: aspects
                    .iter_names()
                    .map(|(name, _)| name.to_ascii_lowercase().replace('_', "-"))
                    .collect(),
                old_size: change.old_size,
                new_size: change.new_size,
            });
        }
    }
}

/// Puts the images of two WIMs side by side: by edition where that is unique, else by name, and those that
/// have neither by index.
fn pair(old: &[ImageFacts], new: &[ImageFacts]) -> Vec<(Option<ImageFacts>, Option<ImageFacts>)> {
    let mut left: Vec<&ImageFacts> = new.iter().collect();
    let mut pairs = Vec::new();
    let rules: [fn(&ImageFacts) -> String; 3] = [
        |image| image.edition.to_lowercase(),
        |image| image.name.clone(),
        |image| match (&*image.edition, &*image.name) {
            ("", "") => image.index.to_string(),
            _ => String::new(),
        },
    ];
    let mut unpaired: Vec<&ImageFacts> = old.iter().collect();
    for rule in rules {
        let mut still = Vec::new();
        for was in &unpaired {
            let key = rule(was);
            let same = |images: &[&ImageFacts]| {
                images.iter().filter(|image| rule(image) == key).count() == 1
            };
            let unique = !key.is_empty() && same(&unpaired) && same(&left);
            match left.iter().position(|image| unique && rule(image) == key) {
                Some(place) => pairs.push((Some((*was).clone()), Some(left.remove(place).clone()))),
                None => still.push(*was),
            }
        }
        unpaired = still;
    }
    pairs.extend(unpaired.into_iter().map(|was| (Some(was.clone()), None)));
    pairs.extend(left.into_iter().map(|is| (None, Some(is.clone()))));
    let place = |pair: &(Option<ImageFacts>, Option<ImageFacts>)| {
        let (was, is) = pair;
        is.as_ref().or(was.as_ref()).map_or(0, |image| image.index)
    };
    pairs.sort_by_key(place);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(index: u32, edition: &str, name: &str) -> ImageFacts {
        ImageFacts { index, edition: edition.into(), name: name.into(), ..ImageFacts::default() }
    }

    #[test]
    fn images_are_paired_by_edition_then_name_then_index() {
        let old = [
            image(1, "Core", "Home"),
            image(2, "", "Tools"),
            image(3, "", ""),
            image(4, "Old", "x"),
        ];
        let new = [
            image(1, "New", "y"),
            image(2, "core", "Home 2"),
            image(3, "", ""),
            image(5, "", "Tools"),
        ];
        let pairs: Vec<_> = pair(&old, &new)
            .into_iter()
            .map(|(was, is)| (was.map(|image| image.index), is.map(|image| image.index)))
            .collect();
        assert_eq!(
            pairs,
            [
                (None, Some(1)),
                (Some(1), Some(2)),
                (Some(3), Some(3)),
                (Some(4), None),
                (Some(2), Some(5)),
            ]
        );
    }
}
