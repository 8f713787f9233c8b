//! Checks all of an archive: integrity tables, the metadata of every image, whether every blob
//! that an image refers to is there, and the SHA-1 of every blob, referenced or not.
//!
//! Nothing stops at the first problem: the [`Outcome`] lists all of them, with the files that a
//! damaged or missing blob belongs to.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use wim_format::Sha1Hash;

use crate::archive::{self, BlobId, ImageIndex, ImageTree, Integrity, Wim};
use crate::cancel::Cancel;
use crate::error::{Damage, Error};
use crate::integrity;
use crate::pipeline::lock::Lock;
use crate::pipeline::{self, Plan, Sink, Task, Threads, run_tasks};
use crate::progress::{Amount, Phase, Progress};
use crate::source::Source;

/// How to verify.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Number of worker threads.
    pub threads: Threads,
    /// Whether to check the integrity tables too.
    pub integrity: Integrity,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: Threads::default(), integrity: Integrity::Check }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Blobs read, and their uncompressed bytes.
    pub blobs: Amount,
    /// Number of images whose metadata was read.
    pub images: u32,
    /// Number of files with an integrity table that was checked.
    pub integrity_tables: u32,
    /// Everything that is wrong: integrity tables first, then the number of images, then metadata by
    /// image, then missing blobs, then damaged blobs in the order of the file.
    pub problems: Vec<Problem>,
    /// What is odd but does no harm, one sentence each.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Exit status of `wimlib-imagex verify`, which stops at the first problem: 0 when sound.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.problems.first().map_or(0, Problem::code)
    }
}

/// Something that is wrong with an archive.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// An integrity table cannot be read, or the metadata of an image cannot, or their number is not
    /// the one that is stated.
    Unreadable(Error),
    /// A range of a file differs from what its integrity table says.
    Integrity {
        /// Name of the file.
        file: String,
        /// The range, in bytes from the start of the file.
        range: Range<u64>,
    },
    /// An image refers to a blob that is not there.
    Missing {
        /// SHA-1 of the blob.
        hash: Sha1Hash,
        /// The files that have it.
        files: Vec<FileInImage>,
    },
    /// The data of a blob is damaged.
    Damaged {
        /// Name of the file that holds it.
        file: String,
        /// SHA-1 by which it is known.
        hash: Sha1Hash,
        /// What is wrong.
        damage: Damage,
        /// The files that have it; empty when no image refers to it.
        files: Vec<FileInImage>,
    },
}

/// A file in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileInImage {
    /// The image.
    pub image: ImageIndex,
    /// Path from the root of the image, as WTF-8.
    pub path: Vec<u8>,
}

impl Problem {
    /// Exit status of `wimlib-imagex verify` for this problem.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Unreadable(error) => error.code(),
            Self::Integrity { .. } => 13,
            Self::Missing { .. } => 55,
            Self::Damaged { damage, .. } => damage.code(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Integrity { file, range } => {
                let Range { start, end } = range;
                write!(f, "{file}: bytes {start}..{end} differ from the integrity table")
            }
            Self::Missing { hash, .. } => write!(
                f,
                "blob {hash} is missing; if the archive is split or a delta, give the other files \
                 with --ref"
            ),
            Self::Damaged { file, hash, damage, .. } => {
                write!(f, "{file}: blob {hash} is damaged: {damage}")
            }
        }
    }
}

impl fmt::Display for FileInImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image {}: {}", self.image, String::from_utf8_lossy(&self.path))
    }
}

/// Checks all of `wim`. The [`Outcome`] does not depend on the number of threads.
///
/// # Errors
/// [`Error::Cancelled`]; what is wrong with the archive is in the outcome.
pub fn run(
    wim: &Wim,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut tables = Vec::new();
    if options.integrity == Integrity::Check {
        for part in wim.parts() {
            match integrity::pieces(part) {
                Ok(Some(pieces)) => tables.push((part, pieces, Lock::new(Vec::new()))),
                Ok(None) => {}
                Err(error) => outcome.problems.push(Problem::Unreadable(error)),
            }
        }
    }
    let images: Vec<_> = match wim.header().part_number {
        1 if wim.require_metadata().is_ok() => {
            wim.images().map(|image| (image, Lock::new(None))).collect()
        }
        // Later parts of a split set have data only.
        _ => Vec::new(),
    };
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for (image, report) in &images {
        tasks.push(Box::new(|| {
            *report.lock() = Some(ImageReport::of(wim, *image));
            Ok(())
        }));
    }
    for (part, pieces, differing) in &tables {
        tasks.extend(integrity::tasks(&*part.source, pieces, differing, progress, cancel));
    }
    let plan = Plan::new(wim, wim.blobs().map(|(id, _)| id));
    let damaged = DamagedBlobs::default();
    let covered = tables.iter().flat_map(|(_, pieces, _)| pieces);
    let covered: u64 = covered.map(|(range, _)| range.end - range.start).sum();
    let Amount { bytes, items } = plan.amount();
    progress.begin(Phase::Verify, Amount::new(bytes.saturating_add(covered), items));
    let pipeline = pipeline::Options { threads: options.threads, ..pipeline::Options::default() };
    pipeline::run_with(&plan, tasks, &damaged, &pipeline, progress, cancel)?;
    progress.end(Phase::Verify);

    outcome.blobs = plan.amount();
    outcome.images = images.len() as u32;
    outcome.integrity_tables = tables.len() as u32;
    for (part, _, differing) in tables {
        let mut ranges = differing.into_inner();
        ranges.sort_by_key(|range| range.start);
        let file = part.source.name();
        let problem = |range| Problem::Integrity { file: file.clone(), range };
        outcome.problems.extend(ranges.into_iter().map(problem));
    }
    if wim.require_metadata().is_err() && wim.header().part_number == 1
        || wim.header().image_count != wim.image_count()
    {
        outcome.problems.push(Problem::Unreadable(wim.image_count_error()));
    }
    let reports =
        images.into_iter().filter_map(|(image, report)| Some((image, report.into_inner()?)));
    add_reports(wim, reports, damaged.0.into_inner(), &mut outcome);
    Ok(outcome)
}

/// Checks the integrity tables of the files of an archive ([`Wim::files`]), before anything else is read
/// from them. Gives the names of those that have none.
///
/// # Errors
/// [`Error::Integrity`] for the first range that differs, or what is wrong with a header or a table.
pub fn check_integrity<'a>(
    files: impl IntoIterator<Item = &'a Arc<dyn Source>>,
    threads: Threads,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<String>, Error> {
    let mut without = Vec::new();
    for source in files {
        let part = archive::head(Arc::clone(source))?;
        let Some(pieces) = integrity::pieces(&part)? else {
            without.push(source.name());
            continue;
        };
        let bytes = pieces.iter().map(|(range, _)| range.end - range.start).sum();
        progress.begin(Phase::Integrity, Amount::new(bytes, pieces.len() as u64));
        let differing = Lock::new(Vec::new());
        let tasks = integrity::tasks(&**source, &pieces, &differing, progress, cancel).collect();
        run_tasks(tasks, threads, cancel)?;
        progress.end(Phase::Integrity);
        if let Some(range) = differing.into_inner().into_iter().min_by_key(|range| range.start) {
            let file = source.name();
            return Err(Error::Integrity { file, offset: range.start, end: range.end });
        }
    }
    Ok(without)
}

/// Collects damaged blobs.
#[derive(Default)]
struct DamagedBlobs(Lock<Vec<(BlobId, Damage)>>);

impl Sink for DamagedBlobs {
    fn wants_data(&self) -> bool {
        false
    }

    fn piece(&self, _: BlobId, _: u64, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        if let Err(damage) = result {
            self.0.lock().push((blob, damage));
        }
        Ok(())
    }
}

/// How the metadata of an image fared.
struct ImageReport {
    error: Option<Error>,
    missing: HashSet<Sha1Hash>,
    warnings: Vec<String>,
}

impl ImageReport {
    /// Warnings of one image that are told one by one.
    const WARNINGS: usize = 10;

    fn of(wim: &Wim, image: ImageIndex) -> Self {
        let mut report = Self { error: None, missing: HashSet::new(), warnings: Vec::new() };
        match wim.load_metadata(image) {
            Ok(tree) => report.look_at(wim, image, &tree),
            Err(error) => report.error = Some(error),
        }
        report
    }

    fn look_at(&mut self, wim: &Wim, image: ImageIndex, tree: &ImageTree) {
        for id in tree.ids() {
            for stream in tree.dentry(id).streams() {
                if !stream.hash.is_zero() && wim.find(&stream.hash).is_none() {
                    self.missing.insert(stream.hash);
                }
            }
        }
        for warning in tree.warnings().iter().take(Self::WARNINGS) {
            let directory = tree.path(warning.directory);
            let directory = String::from_utf8_lossy(&directory);
            self.warnings.push(format!("image {image}: in {directory}: {}", warning.kind));
        }
        let more = tree.warnings().len().saturating_sub(Self::WARNINGS);
        if more > 0 {
            self.warnings.push(format!("image {image}: {more} more warnings of this kind"));
        }
    }
}

/// Adds what was found in images and blobs, with the files that are concerned.
fn add_reports(
    wim: &Wim,
    reports: impl Iterator<Item = (ImageIndex, ImageReport)>,
    mut damaged: Vec<(BlobId, Damage)>,
    outcome: &mut Outcome,
) {
    let mut concerned: HashMap<Sha1Hash, Vec<FileInImage>> = HashMap::new();
    let mut missing = Vec::new();
    let mut readable = Vec::new();
    for (image, report) in reports {
        outcome.warnings.extend(report.warnings);
        match report.error {
            Some(error) => outcome.problems.push(Problem::Unreadable(error)),
            None => readable.push(image),
        }
        for hash in report.missing {
            if concerned.insert(hash, Vec::new()).is_none() {
                missing.push(hash);
            }
        }
    }
    damaged.sort_by_key(|&(id, _)| (wim.part_of(id), wim.file_offset(id), id));
    concerned.extend(damaged.iter().map(|&(id, _)| (wim.blob(id).hash, Vec::new())));
    if !concerned.is_empty() {
        for image in readable {
            add_files(wim, image, &mut concerned);
        }
    }
    let mut files = |hash| concerned.remove(&hash).unwrap_or_default();
    let mut missing: Vec<_> = missing.into_iter().map(|hash| (files(hash), hash)).collect();
    missing.sort();
    let missing = missing.into_iter().map(|(files, hash)| Problem::Missing { hash, files });
    outcome.problems.extend(missing);
    outcome.problems.extend(damaged.into_iter().map(|(id, damage)| {
        let hash = wim.blob(id).hash;
        let file = wim.parts()[wim.part_of(id)].source.name();
        Problem::Damaged { file, hash, damage, files: files(hash) }
    }));
}

/// Adds the files of an image that have one of the `concerned` blobs.
fn add_files(wim: &Wim, image: ImageIndex, concerned: &mut HashMap<Sha1Hash, Vec<FileInImage>>) {
    // It could be read a moment ago; should it fail now, only paths are missing.
    let Ok(tree) = wim.load_metadata(image) else { return };
    for id in tree.ids() {
        for stream in tree.dentry(id).streams() {
            if let Some(files) = concerned.get_mut(&stream.hash) {
                files.push(FileInImage { image, path: tree.path(id) });
            }
        }
    }
}
