//! Writing a layout to a file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::thread;

use bytes::Bytes;
use wim_format::integrity::{IntegrityTable, covered_ranges};
use wim_format::{FormatError, Sha1Hash};

use super::copy;
use super::layout::{Drafted, Segment};
use super::view::View;
use crate::archive::{BlobId, Wim};
use crate::cancel::Cancel;
use crate::error::{Action, Damage, Error, Of};
use crate::integrity;
use crate::output::write_all_at;
use crate::pipeline::lock::Lock;
use crate::pipeline::{self, Plan, Sink, Task, Threads, run_tasks, run_with};
use crate::progress::{Amount, Phase, Progress};
use crate::source::{FileExtent, Source, read_exact_at};

/// Whether the SHA-1 of every copied blob is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verification {
    /// Blobs that are copied as they are stored are not looked into. (Those that have to be decoded
    /// are always checked.)
    #[default]
    Trust,
    /// Every blob is decoded and checked while it is copied.
    Check,
}

/// A layout to be written and what it needs.
pub(crate) struct Job<'a> {
    /// The archives that the segments' blobs are from.
    pub(crate) inputs: Vec<&'a Wim>,
    pub(crate) drafted: &'a Drafted,
    pub(crate) threads: Threads,
    pub(crate) verification: Verification,
}

/// Writes everything but the header to `file`, which is called `name` in messages.
pub(crate) fn write(
    job: &Job<'_>,
    file: &File,
    name: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), Error> {
    let drafted = job.drafted;
    progress.begin(Phase::Write, Amount::new(job.work(), 0));
    let stop = cancel.child();
    let copy = || {
        let copied = copy::copy(drafted, job.threads, file, name, progress, &stop);
        if copied.is_err() {
            stop.cancel();
        }
        copied
    };
    let hashes = thread::scope(|scope| {
        let copying = thread::Builder::new().spawn_scoped(scope, copy).map_err(|_| copy());
        let decoded = decode(job, file, name, progress, &stop);
        if decoded.is_err() {
            stop.cancel();
        }
        let copied = match copying.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(copied)) => copied,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // No thread could be had; it is done.
            Err(copied) => copied,
        };
        first_cause(copied, decoded)
    })?;
    write_integrity(job, hashes, file, name, progress, cancel)?;
    progress.end(Phase::Write);
    Ok(())
}

impl<'a> Job<'a> {
    /// Bytes to be written, and those to be read again because they are checked or hashed.
    pub(crate) fn work(&self) -> u64 {
        let still_to_write =
            |(_, segment): &&(u64, Segment)| !matches!(segment, Segment::Written { .. });
        let written = self.drafted.segments.iter().filter(still_to_write);
        let written = written.map(|(_, segment)| segment.len());
        let inputs = match self.verification {
            Verification::Trust => &[][..],
            Verification::Check => &self.inputs[..],
        };
        let checked = (0..).zip(inputs).map(|(at, &wim)| self.copied(at, wim).amount().bytes);
        let pieces = Pieces::of(self.drafted);
        let hashed = pieces.unknown().into_iter().map(|at| &pieces.ranges[at]);
        let hashed = hashed.map(|range| range.end - range.start);
        written.chain(checked).chain(hashed).fold(0, u64::saturating_add)
    }

    /// The blobs of an input that are copied without being decoded.
    fn copied(&self, input: usize, wim: &'a Wim) -> Plan<'a> {
        let decoded = self.drafted.decoded().filter(|found| found.1 == input);
        let decoded: HashSet<BlobId> = decoded.map(|(.., blob)| blob).collect();
        let entered = self.drafted.blobs.iter().filter(|(of, _)| *of == input);
        Plan::new(wim, entered.map(|(_, blob)| *blob).filter(|blob| !decoded.contains(blob)))
    }
}

/// What went wrong, of two that stop each other by cancelling.
fn first_cause<T>(copied: Result<(), Error>, decoded: Result<T, Error>) -> Result<T, Error> {
    match (copied, decoded) {
        (Err(Error::Cancelled), Err(cause)) => Err(cause),
        (Err(cause), _) => Err(cause),
        (Ok(()), decoded) => decoded,
    }
}

/// Checks the blobs that are copied, if that is asked for.
pub(crate) fn check(job: &Job<'_>, progress: &dyn Progress, cancel: &Cancel) -> Result<(), Error> {
    if job.verification == Verification::Trust {
        return Ok(());
    }
    let options = pipeline::Options { threads: job.threads, ..pipeline::Options::default() };
    let inputs = (0..).zip(&job.inputs);
    progress.begin(Phase::Verify, Amount::default());
    for (input, &wim) in inputs {
        let plan = job.copied(input, wim);
        pipeline::run(&plan, &Checked { wim }, &options, progress, cancel)?;
    }
    progress.end(Phase::Verify);
    Ok(())
}

/// Decodes what has to be decoded, checks what is to be checked, and hashes what is copied for the
/// integrity table. Gives the hashes, unless there is no table or they cannot be known yet.
fn decode(
    job: &Job<'_>,
    file: &File,
    name: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Option<Vec<Sha1Hash>>, Error> {
    let drafted = job.drafted;
    let view = View::of(drafted, name.display().to_string());
    let pieces = Pieces::of(drafted);
    let mut tasks = Vec::new();
    if drafted.is_known() {
        tasks = pieces.tasks(&view, progress, cancel);
    }
    let options = pipeline::Options { threads: job.threads, ..pipeline::Options::default() };
    for (input, &wim) in job.inputs.iter().enumerate() {
        let decoded = drafted.decoded().filter(|found| found.1 == input);
        let places: HashMap<BlobId, u64> = decoded.map(|(at, _, blob)| (blob, at)).collect();
        if !places.is_empty() {
            let plan = Plan::new(wim, places.keys().copied());
            let sink = Placed { wim, places: &places, file, name };
            run_with(&plan, std::mem::take(&mut tasks), &sink, &options, progress, cancel)?;
        }
        if job.verification == Verification::Check {
            let plan = job.copied(input, wim);
            let tasks = std::mem::take(&mut tasks);
            run_with(&plan, tasks, &Checked { wim }, &options, progress, cancel)?;
        }
    }
    run_tasks(tasks, job.threads, cancel)?;
    Ok(pieces.finish())
}

/// Writes decoded blobs to their places.
struct Placed<'a> {
    wim: &'a Wim,
    places: &'a HashMap<BlobId, u64>,
    file: &'a File,
    name: &'a Path,
}

impl Sink for Placed<'_> {
    fn piece(&self, blob: BlobId, offset: u64, data: &[u8]) -> Result<(), Error> {
        let Some(at) = self.places.get(&blob) else { return Ok(()) };
        write_all_at(self.file, data, at + offset).map_err(Error::io(Action::Write, self.name))
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        result.map_err(|damage| self.wim.damaged(blob, damage))
    }
}

/// Lets no damaged blob pass.
struct Checked<'a> {
    wim: &'a Wim,
}

impl Sink for Checked<'_> {
    fn wants_data(&self) -> bool {
        false
    }

    fn piece(&self, _: BlobId, _: u64, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        result.map_err(|damage| self.wim.damaged(blob, damage))
    }
}

/// The pieces that an integrity table covers, and their hashes as they become known.
struct Pieces {
    ranges: Vec<Range<u64>>,
    hashes: Lock<Vec<Option<Sha1Hash>>>,
}

impl Pieces {
    fn of(drafted: &Drafted) -> Self {
        let end = drafted.covered_end();
        let ranges: Vec<_> = covered_ranges(end, drafted.piece_size.unwrap_or(0)).collect();
        let known = |range: &Range<u64>| drafted.known_pieces.get(range).copied();
        let hashes = Lock::new(ranges.iter().map(known).collect());
        Self { ranges, hashes }
    }

    /// Indices of those whose hashes are not known.
    fn unknown(&self) -> Vec<usize> {
        let known = self.hashes.lock();
        (0..self.ranges.len()).filter(|&index| known[index].is_none()).collect()
    }

    /// Work that hashes those that are not known.
    fn tasks<'t>(
        &'t self,
        source: &'t dyn Source,
        progress: &'t dyn Progress,
        cancel: &'t Cancel,
    ) -> Vec<Task<'t>> {
        let unknown = self.unknown();
        let task = |indices: &[usize]| -> Task<'t> {
            let indices = indices.to_vec();
            Box::new(move || {
                let ranges: Vec<_> =
                    indices.iter().map(|&index| self.ranges[index].clone()).collect();
                let found = integrity::hash(source, &ranges, progress, cancel)?;
                let mut hashes = self.hashes.lock();
                for (index, hash) in indices.into_iter().zip(found) {
                    hashes[index] = Some(hash);
                }
                Ok(())
            })
        };
        unknown.chunks(crate::hash::lanes()).map(task).collect()
    }

    /// All hashes, if all are known and there are any.
    fn finish(self) -> Option<Vec<Sha1Hash>> {
        let hashes: Option<Vec<_>> = self.hashes.into_inner().into_iter().collect();
        hashes.filter(|hashes| !hashes.is_empty())
    }
}

/// The hashes of the integrity table of a layout that `source` holds.
pub(crate) fn hash_pieces(
    drafted: &Drafted,
    source: &dyn Source,
    threads: Threads,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<Sha1Hash>, Error> {
    let pieces = Pieces::of(drafted);
    run_tasks(pieces.tasks(source, progress, cancel), threads, cancel)?;
    Ok(pieces.finish().unwrap_or_default())
}

/// Writes the integrity table, if there is to be one. What was decoded is hashed from the file.
fn write_integrity(
    job: &Job<'_>,
    hashes: Option<Vec<Sha1Hash>>,
    file: &File,
    name: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), Error> {
    let drafted = job.drafted;
    let Some(piece_size) = drafted.piece_size else { return Ok(()) };
    let hashes = match hashes {
        Some(hashes) => hashes,
        None => {
            let written = Written { file, name, len: drafted.covered_end() };
            hash_pieces(drafted, &written, job.threads, progress, cancel)?
        }
    };
    let table = IntegrityTable { chunk_size: piece_size, hashes };
    let table = table.to_bytes().map_err(too_large)?;
    let at = drafted.header.integrity.offset;
    write_all_at(file, &table, at).map_err(Error::io(Action::Write, name))?;
    progress.advance(Amount::new(table.len() as u64, 0));
    Ok(())
}

/// What has been written so far.
#[derive(Debug)]
struct Written<'a> {
    file: &'a File,
    name: &'a Path,
    len: u64,
}

impl Source for Written<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        read_exact_at(self.file, &mut bytes, offset)?;
        Ok(bytes.into())
    }

    fn file_extents(&self, _: u64, _: u64) -> Option<Vec<FileExtent>> {
        None
    }

    fn name(&self) -> String {
        self.name.display().to_string()
    }
}

/// The error of tables that would be too large.
pub(crate) fn too_large(source: FormatError) -> Error {
    Error::Malformed { file: "the destination".to_owned(), of: Of::File, source }
}
