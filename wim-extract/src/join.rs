//! Makes one archive of the parts of a split set.
//!
//! All parts have to be there, each once; they say themselves which one they are. Resources are
//! copied as they are, and the archive gets the GUID of the set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wim_format::Codec;
use wim_format::header::{Header, HeaderFlags, Version};

use crate::archive::{Wim, read_header};
use crate::cancel::Cancel;
use crate::error::Error;
use crate::export::add;
use crate::export::select::Selection;
use crate::export::{IntegrityTable, Verification};
use crate::integrity;
use crate::output::{AtomicFile, require_space};
use crate::pipeline::Threads;
use crate::progress::Progress;
use crate::source::Source;
use crate::write::execute::{self, Job};
use crate::write::layout::{Draft, Drafted};

/// How to join.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of threads. The bytes written do not depend on it.
    pub threads: Threads,
    /// Whether the archive gets an integrity table; to keep means: if the first part has one.
    pub integrity: IntegrityTable,
    /// Whether the SHA-1 of every copied blob is checked.
    pub verification: Verification,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Number of parts.
    pub parts: u16,
    /// Length of the archive in bytes.
    pub len: u64,
    /// Bytes copied as they were.
    pub copied: u64,
    /// Blobs in the archive.
    pub blobs: u64,
}

/// Opens the parts of a set, given in any order, as one archive.
///
/// # Errors
/// [`Error::SplitSet`] where a part is missing, there twice, or not of the set of the others; those
/// of reading, and malformed tables.
pub fn open(parts: impl IntoIterator<Item = Arc<dyn Source>>) -> Result<Wim, Error> {
    let mut set = Set::default();
    for part in parts {
        set.add(part)?;
    }
    let mut parts = set.finish()?.into_values().map(|part| part.source);
    let first = parts.next().ok_or_else(nothing_given)?;
    Wim::from_source(first, parts)
}

fn nothing_given() -> Error {
    Error::Usage("no part is given; name all parts of the set".to_owned())
}

/// The parts of a set, by number.
#[derive(Default)]
struct Set {
    parts: BTreeMap<u16, Given>,
    /// Number of the part that was given first, with which the others have to agree.
    leader: u16,
}

/// A part that was given.
struct Given {
    source: Arc<dyn Source>,
    header: Header,
}

impl Set {
    /// Adds a part, if it goes with those before.
    fn add(&mut self, source: Arc<dyn Source>) -> Result<(), Error> {
        let header = read_header(&*source)?;
        let file = source.name();
        let number = header.part_number;
        if let Some(leader) = self.parts.get(&self.leader) {
            if let Some(problem) = mismatch(leader, &header) {
                return Err(Error::SplitSet { file, problem });
            }
        } else {
            self.leader = number;
        }
        let total = header.total_parts;
        match self.parts.insert(number, Given { source, header }) {
            None => Ok(()),
            Some(other) => {
                let other = other.source.name();
                let problem = if other == file {
                    format!("is given twice; it is part {number} of {total}")
                } else {
                    format!("is part {number} of {total}, and so is {other}; give only one of them")
                };
                Err(Error::SplitSet { file, problem })
            }
        }
    }

    /// All parts, if none is missing.
    fn finish(self) -> Result<BTreeMap<u16, Given>, Error> {
        let leader = self.parts.get(&self.leader).ok_or_else(nothing_given)?;
        let total = leader.header.total_parts;
        let missing: Vec<u16> =
            (1..=total).filter(|number| !self.parts.contains_key(number)).collect();
        if missing.is_empty() {
            return Ok(self.parts);
        }
        let file = leader.source.name();
        let problem = format!("the set has {total} parts; {}", say_missing(&missing));
        Err(Error::SplitSet { file, problem })
    }
}

/// Why a part cannot be of the set of the one given first.
fn mismatch(leader: &Given, header: &Header) -> Option<String> {
    let (other, of) = (&leader.header, leader.source.name());
    if header.guid != other.guid {
        return Some(format!("is not of the set that {of} is of: it has another GUID"));
    }
    let methods = HeaderFlags::METHODS;
    for (what, found, expected) in [
        ("parts in all", u32::from(header.total_parts), u32::from(other.total_parts)),
        ("images", header.image_count, other.image_count),
        ("bytes in a chunk", header.chunk_size, other.chunk_size),
    ] {
        if found != expected {
            return Some(format!("says {found} {what}, but {of} says {expected}"));
        }
    }
    if header.flags & methods != other.flags & methods {
        return Some(format!("is not compressed as {of} is"));
    }
    None
}

/// "part 2 is missing", "parts 2, 5 and 6 are missing".
fn say_missing(missing: &[u16]) -> String {
    const SHOWN: usize = 10;
    let mut numbers: Vec<String> = missing.iter().take(SHOWN).map(u16::to_string).collect();
    if missing.len() > SHOWN {
        numbers.push(format!("{} more", missing.len() - SHOWN));
    }
    match numbers.pop() {
        None => "none is missing".to_owned(),
        Some(only) if numbers.is_empty() => format!("part {only} is missing; give it too"),
        Some(last) => format!("parts {} and {last} are missing; give them too", numbers.join(", ")),
    }
}

/// Writes the archive that `wim`, from [`open`], is to `destination`: whole, or not at all. A file of
/// that name is replaced.
///
/// # Errors
/// [`Error::Usage`] where it would replace one of the parts; [`Error::MissingBlob`] where the parts
/// do not hold all data of their images; those of reading and writing.
pub fn run(
    wim: &Wim,
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    spare_the_parts(wim, destination)?;
    let selection = Selection::everything(wim, options.threads, cancel)?;
    let (drafted, outcome) = draft(&selection, options, progress)?;
    let file = AtomicFile::create(destination)?;
    require_space(file.directory(), drafted.len())?;
    file.reserve(drafted.to_reserve())?;
    let Options { threads, verification, .. } = *options;
    let job = Job { inputs: vec![wim], drafted: &drafted, threads, verification };
    execute::write(&job, file.file(), file.target(), progress, cancel)?;
    if let Some(head) = drafted.head() {
        file.write_at(&head, 0)?;
    }
    file.commit()?;
    Ok(outcome)
}

/// Lays out the archive.
fn draft(
    selection: &Selection<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<(Drafted, Outcome), Error> {
    let wim = selection.wim;
    let layout = add::layout_of_copy(wim);
    let mut draft = Draft::new(wim.coding(), layout);
    let old = wim.header();
    let mut flags = old.flags;
    flags.remove(HeaderFlags::SPANNED | HeaderFlags::WRITE_IN_PROGRESS);
    let is_lzms = wim.codec() == Some(Codec::Lzms);
    let mut header = Header {
        layout,
        version: if is_lzms { Version::Solid } else { Version::Normal },
        flags,
        part_number: 1,
        total_parts: 1,
        boot_index: old.boot_image().unwrap_or(0),
        ..old.clone()
    };
    let added = add::copy_all(&mut draft, selection, options.threads, (&header, wim.xml()))?;
    if draft.has_solid() {
        header.version = Version::Solid;
    }
    let table = integrity::wanted_piece_size(&wim.parts()[0], options.integrity, progress);
    let drafted = draft.finish(header, wim.xml().clone(), table)?;
    let outcome = Outcome {
        parts: old.total_parts,
        len: drafted.len(),
        copied: added.copied,
        blobs: added.blobs,
    };
    Ok((drafted, outcome))
}

/// Refuses to put the archive in the place of one of its parts.
fn spare_the_parts(wim: &Wim, destination: &Path) -> Result<(), Error> {
    let Ok(destination) = destination.canonicalize() else { return Ok(()) };
    for part in wim.parts() {
        let name = part.source.name();
        if PathBuf::from(&name).canonicalize().is_ok_and(|path| path == destination) {
            return Err(Error::Usage(format!(
                "{name}: the archive would take the place of this part; choose another name for it"
            )));
        }
    }
    Ok(())
}
