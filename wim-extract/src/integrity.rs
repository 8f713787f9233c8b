//! Checking a file against its integrity table.

use std::ops::Range;

use bytes::Bytes;
use wim_format::integrity::{DEFAULT_PIECE_SIZE, IntegrityTable, covered_ranges};
use wim_format::{FormatError, Sha1Hash, Structure};

use crate::archive::{Part, read_table};
use crate::cancel::Cancel;
use crate::error::{Action, Error, Of};
use crate::export::IntegrityTable as Wanted;
use crate::hash::{Sha1, lanes, update_many};
use crate::pipeline::Task;
use crate::pipeline::lock::Lock;
use crate::progress::{Amount, Phase, Progress};
use crate::source::Source;

/// Bytes of each piece that are hashed at a time.
const STEP: u64 = 256 << 10;

/// A range of a file and the SHA-1 that its integrity table gives.
type Piece = (Range<u64>, Sha1Hash);

/// Bytes of each piece of the integrity table of an archive made from nothing, if it is to have one.
pub(crate) fn new_piece_size(wanted: Wanted) -> Option<u32> {
    (wanted == Wanted::Write).then_some(DEFAULT_PIECE_SIZE)
}

/// Bytes of each piece of the integrity table of an archive made from `part`, if it is to have one.
/// The table of `part` may be damaged: the new one does not depend on what it says.
pub(crate) fn wanted_piece_size(
    part: &Part,
    wanted: Wanted,
    progress: &dyn Progress,
) -> Option<u32> {
    let has_one = part.header.integrity.size != 0;
    if wanted == Wanted::Omit || (wanted == Wanted::Keep && !has_one) {
        return None;
    }
    let old = table(part).unwrap_or_else(|error| {
        warn_of_new_table(&error, progress);
        None
    });
    Some(old.map_or(DEFAULT_PIECE_SIZE, |table| table.parsed.chunk_size))
}

/// Says that what was recorded of a file is lost.
pub(crate) fn warn_of_new_table(damage: &Error, progress: &dyn Progress) {
    progress.warning(&format!("{damage}; a new table is made of the file as it is"));
}

/// An integrity table that fits its file.
struct Table {
    stored: Bytes,
    parsed: IntegrityTable,
}

/// The integrity table of `part`; `None` when it has none.
fn table(part: &Part) -> Result<Option<Table>, Error> {
    let Part { header, source, .. } = part;
    if header.integrity.size == 0 {
        return Ok(None);
    }
    let malformed = |source| malformed(part, source);
    let stored = read_table(part, header.integrity, Structure::IntegrityTable)?;
    let parsed = IntegrityTable::parse(&stored).map_err(malformed)?;
    drop(parsed.ranges(header.blob_table.end()).map_err(malformed)?);
    // Who asks for the integrity first has not looked at the other tables.
    header.check_file_len(source.len()).map_err(malformed)?;
    Ok(Some(Table { stored, parsed }))
}

fn malformed(part: &Part, source: FormatError) -> Error {
    Error::Malformed { file: part.source.name(), of: Of::File, source }
}

/// The pieces of `part` that its integrity table covers; `None` when it has no table.
///
/// # Errors
/// The table is malformed or does not fit the file.
pub(crate) fn pieces(part: &Part) -> Result<Option<Vec<Piece>>, Error> {
    let Some(Table { parsed, .. }) = table(part)? else { return Ok(None) };
    let ranges = parsed.ranges(part.header.blob_table.end());
    Ok(Some(ranges.map_err(|source| malformed(part, source))?.collect()))
}

/// The integrity table of `part` as it is stored; `None` when it has none.
///
/// # Errors
/// As of [`pieces`].
pub(crate) fn stored(part: &Part) -> Result<Option<Bytes>, Error> {
    Ok(table(part)?.map(|table| table.stored))
}

/// A new integrity table for `part` as it is now.
///
/// # Errors
/// The file cannot be read, or is too large for a table.
pub(crate) fn compute(
    part: &Part,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<u8>, Error> {
    let end = part.header.blob_table.end();
    let ranges: Vec<_> = covered_ranges(end, DEFAULT_PIECE_SIZE).collect();
    let bytes = ranges.iter().map(|range| range.end - range.start).sum();
    progress.begin(Phase::Integrity, Amount::new(bytes, ranges.len() as u64));
    let mut hashes = Vec::with_capacity(ranges.len());
    for ranges in ranges.chunks(lanes()) {
        hashes.extend(hash(&*part.source, ranges, progress, cancel)?);
    }
    progress.end(Phase::Integrity);
    let table = IntegrityTable { chunk_size: DEFAULT_PIECE_SIZE, hashes };
    table.to_bytes().map_err(|source| malformed(part, source))
}

/// Work that checks `pieces` of `source`, several at once in each task. Ranges that differ are
/// added to `differing`, in any order.
pub(crate) fn tasks<'t>(
    source: &'t dyn Source,
    pieces: &'t [Piece],
    differing: &'t Lock<Vec<Range<u64>>>,
    progress: &'t dyn Progress,
    cancel: &'t Cancel,
) -> impl Iterator<Item = Task<'t>> {
    pieces.chunks(lanes()).map(move |pieces| -> Task<'t> {
        Box::new(move || {
            let ranges: Vec<_> = pieces.iter().map(|(range, _)| range.clone()).collect();
            let found = hash(source, &ranges, progress, cancel)?;
            let differ =
                pieces.iter().zip(found).filter(|((_, expected), found)| expected != found);
            differing.lock().extend(differ.map(|((range, _), _)| range.clone()));
            Ok(())
        })
    })
}

/// SHA-1 of each of `ranges`, which are hashed side by side.
pub(crate) fn hash(
    source: &dyn Source,
    ranges: &[Range<u64>],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<Sha1Hash>, Error> {
    let mut states = vec![Sha1::new(); ranges.len()];
    let longest = ranges.iter().map(|range| range.end - range.start).max().unwrap_or(0);
    for at in (0..longest).step_by(STEP as usize) {
        cancel.check()?;
        let mut steps = Vec::with_capacity(ranges.len());
        for range in ranges {
            let start = range.start.saturating_add(at).min(range.end);
            let len = (range.end - start).min(STEP) as usize;
            let read = source.bytes(start, len);
            steps.push(read.map_err(Error::io(Action::Read, source.name()))?);
        }
        let mut pairs: Vec<_> =
            states.iter_mut().zip(&steps).map(|(state, bytes)| (state, bytes.as_ref())).collect();
        update_many(&mut pairs);
        let bytes = steps.iter().map(|step| step.len() as u64).sum();
        progress.advance(Amount::new(bytes, 0));
    }
    Ok(states.into_iter().map(Sha1::finish).collect())
}
