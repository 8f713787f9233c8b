//! Opening archives: headers, tables, references.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use wim_format::blob_table::{BlobTable, Ignored, IgnoredReason};
use wim_format::header::{HEADER_LEN, Header, HeaderFlags, Layout};
use wim_format::resource::{ResourceHeader, SOLID_HEADER_LEN, SolidHeader};
use wim_format::xml::WimXml;
use wim_format::{FormatError, Structure, limits};

use super::{Image, Index, Integrity, OpenOptions, Part, Wim};
use crate::blob::{Coding, Form, Resource, read_whole};
use crate::cancel::Cancel;
use crate::error::{Action, Damage, Error, Of};
use crate::pipeline::Threads;
use crate::progress::Silent;
use crate::source::{self, Source};

/// Opens the archive at `path` and what `options` refer to.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Wim, Error> {
    let mut sources = files(path, options)?;
    if options.integrity == Integrity::Check {
        crate::verify::check_integrity(&sources, options.threads, &Silent, &Cancel::new())?;
    }
    let references = sources.split_off(1);
    let mut wim = from_sources(sources.remove(0), references)?;
    wim.threads = options.threads;
    Ok(wim)
}

/// The files of an archive at `path`, itself first.
pub(super) fn files(path: &Path, options: &OpenOptions) -> Result<Vec<Arc<dyn Source>>, Error> {
    let mut sources = vec![source::open(path, options.access)?];
    sources.append(&mut references(path, options)?);
    Ok(sources)
}

/// The files that `options` refer to beside the archive at `path`.
pub(super) fn references(
    path: &Path,
    options: &OpenOptions,
) -> Result<Vec<Arc<dyn Source>>, Error> {
    let mut references = Vec::new();
    for pattern in &options.references {
        let found = source::expand(pattern, options.access)?;
        if found.is_empty() {
            let nothing = std::io::Error::new(std::io::ErrorKind::NotFound, "no file matches");
            return Err(Error::io(Action::Open, pattern)(nothing));
        }
        for reference in found.iter().filter(|&found| !is_same_file(found, path)) {
            references.push(source::open(reference, options.access)?);
        }
    }
    Ok(references)
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    let canonical = |path: &Path| -> PathBuf {
        std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    };
    canonical(a) == canonical(b)
}

/// Opens the archive in `main`, with the other parts in `references`.
pub(super) fn from_sources(
    main: Arc<dyn Source>,
    references: impl IntoIterator<Item = Arc<dyn Source>>,
) -> Result<Wim, Error> {
    let mut warnings = Vec::new();
    let mut main = begin(main, &mut warnings)?;
    // The XML goes first: of an encrypted file, nothing else can be understood.
    let (xml, xml_bytes) = read_xml(&main)?;
    read_blob_table(&mut main, &mut warnings)?;
    let images = images(&main, &xml, &mut warnings)?;
    let mut wim = Wim {
        index: Index::default(),
        parts: Vec::new(),
        xml,
        xml_bytes,
        images,
        warnings,
        threads: Threads::default(),
    };
    wim.add(main)?;
    for source in references {
        let mut part = begin(source, &mut wim.warnings)?;
        read_blob_table(&mut part, &mut wim.warnings)?;
        check_belongs(&wim, &part)?;
        wim.add(part)?;
    }
    Ok(wim)
}

impl Wim {
    /// Adds a part and those of its blobs that are not there yet.
    fn add(&mut self, mut part: Part) -> Result<(), Error> {
        part.first = self.blob_count();
        if self.parts.is_empty() {
            self.index = Index::with_capacity(part.blobs.blobs.len());
        } else {
            part.blobs.blobs.retain(|blob| self.find(&blob.hash).is_none());
        }
        let count = part.blobs.blobs.len();
        if u32::try_from(count).ok().and_then(|count| part.first.checked_add(count)).is_none() {
            return Err(Error::Unsupported(format!("{}: too many blobs", part.source.name())));
        }
        self.parts.push(part);
        let Self { parts, index, .. } = self;
        let hash_of = |id| blob_of(parts, id).hash;
        if let Some(part) = parts.last() {
            for (blob, id) in part.blobs.blobs.iter().zip(part.first..) {
                index.insert(&blob.hash, super::BlobId(id), hash_of);
            }
        }
        Ok(())
    }
}

pub(super) fn blob_of(parts: &[Part], id: super::BlobId) -> &wim_format::blob_table::Blob {
    let part = match parts {
        [only] => only,
        parts => &parts[parts.partition_point(|part| part.first <= id.0) - 1],
    };
    &part.blobs.blobs[(id.0 - part.first) as usize]
}

/// Reads the header of a file. Of what it points to, nothing is looked at.
pub(crate) fn head(source: Arc<dyn Source>) -> Result<Part, Error> {
    let header = read_header(&*source)?;
    let codec = header.codec().map_err(|error| {
        let file = source.name();
        Error::Malformed { file, of: Of::File, source: error }
    })?;
    let coding = Coding { codec, chunk_size: header.chunk_size };
    Ok(Part { source, header, blobs: BlobTable::default(), coding, first: 0 })
}

/// Reads the header of a file and checks it; the part has no blobs yet.
fn begin(source: Arc<dyn Source>, warnings: &mut Vec<String>) -> Result<Part, Error> {
    let part = head(source)?;
    let Part { source, header, .. } = &part;
    let file = source.name();
    header.check_file_len(source.len()).map_err(|error| {
        let file = file.clone();
        Error::Malformed { file, of: Of::File, source: error }
    })?;
    if let Err(error) = header.check_integrity_place(source.len()) {
        warnings.push(format!("{file}: {error}; all else is read as usual"));
    }
    if header.flags.contains(HeaderFlags::WRITE_IN_PROGRESS) {
        warnings.push(format!(
            "{file}: is marked as being written to; if nobody is at it, an earlier change was \
             interrupted, and the archive is as it was before"
        ));
    }
    Ok(part)
}

fn read_xml(part: &Part) -> Result<(WimXml, Bytes), Error> {
    let file = part.source.name();
    let bytes = read_table(part, part.header.xml, Structure::Xml)?;
    let xml = WimXml::parse(&bytes).map_err(|source| Error::Malformed {
        file: file.clone(),
        of: Of::File,
        source,
    })?;
    if xml.is_encrypted() { Err(Error::Encrypted { file }) } else { Ok((xml, bytes)) }
}

fn read_blob_table(part: &mut Part, warnings: &mut Vec<String>) -> Result<(), Error> {
    let file = part.source.name();
    let table = read_table(part, part.header.blob_table, Structure::BlobTable)?;
    let solid = |place: &ResourceHeader| solid_header(part, place);
    part.blobs = BlobTable::parse(&table, &part.header, solid).map_err(|error| match error {
        TableError::Format(source) => Error::Malformed { file: file.clone(), of: Of::File, source },
        TableError::Solid(error) => error,
    })?;
    warn_of_ignored(&file, &part.blobs.ignored, warnings);
    Ok(())
}

/// The header; of a pipable file the one at its end.
pub(crate) fn read_header(source: &dyn Source) -> Result<Header, Error> {
    let file = source.name();
    let malformed = |error| Error::Malformed { file: file.clone(), of: Of::File, source: error };
    let read = |offset| -> Result<Header, Error> {
        let len = source.len().saturating_sub(offset).min(HEADER_LEN as u64) as usize;
        let bytes = source.bytes(offset, len).map_err(Error::io(Action::Read, &file))?;
        Header::parse(&bytes).map_err(malformed)
    };
    let header = read(0)?;
    match header.layout {
        Layout::Normal => Ok(header),
        Layout::Pipable => read(source.len().saturating_sub(HEADER_LEN as u64)),
    }
}

/// The bytes of one of the file's tables, which lies within the file.
pub(crate) fn read_table(
    part: &Part,
    place: ResourceHeader,
    structure: Structure,
) -> Result<Bytes, Error> {
    let file = part.source.name();
    let resource = part.resource(place);
    if !limits::is_credible_metadata_size(place.uncompressed_size, part.source.len()) {
        let source = FormatError::TooLarge {
            structure,
            found: place.uncompressed_size,
            expected: "a size in proportion to the file's",
        };
        return Err(Error::Malformed { file, of: Of::File, source });
    }
    read_whole(&resource, Threads::ONE).map_err(|damage| match damage {
        Damage::Read { source, .. } => Error::Io {
            action: Action::Read,
            path: file.into(),
            source: std::io::Error::new(source.kind(), source),
        },
        damage => Error::DamagedTable { file, structure, damage },
    })
}

/// What goes wrong while a blob table is read: in itself, or in a solid resource it points to.
enum TableError {
    Format(FormatError),
    Solid(Error),
}

impl From<FormatError> for TableError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

fn solid_header(part: &Part, place: &ResourceHeader) -> Result<SolidHeader, TableError> {
    let file = || part.source.name();
    let resource = Resource { source: &*part.source, place: *place, form: Form::Stored };
    let head = resource.bytes(0, SOLID_HEADER_LEN as u64).map_err(|damage| {
        TableError::Solid(Error::DamagedTable {
            file: file(),
            structure: Structure::SolidHeader,
            damage,
        })
    })?;
    SolidHeader::parse(&head).map_err(|source| {
        TableError::Solid(Error::Malformed { file: file(), of: Of::Resource(place.offset), source })
    })
}

fn warn_of_ignored(file: &str, ignored: &[Ignored], warnings: &mut Vec<String>) {
    const SHOWN: usize = 10;
    let odd = |ignored: &&Ignored| !matches!(ignored.reason, IgnoredReason::OtherPart);
    let count = ignored.iter().filter(odd).count();
    for Ignored { entry, hash, reason } in ignored.iter().filter(odd).take(SHOWN) {
        let why = match reason {
            IgnoredReason::ZeroHash => "its hash is zero",
            IgnoredReason::Empty => "it has no bytes",
            IgnoredReason::OtherPart => "it belongs to another part",
            IgnoredReason::Duplicate => "an earlier entry has the same hash",
            IgnoredReason::UnreferencedMetadata => "it is metadata that nothing refers to",
            IgnoredReason::MetadataOutsideFirstPart => "it is metadata outside of part 1",
            IgnoredReason::SurplusMetadata => "it is more metadata than there are images",
            IgnoredReason::Cut => "the table ends within it",
            IgnoredReason::OutsideSolidResource => "it lies outside of its solid resource",
            _ => "it makes no sense",
        };
        warnings
            .push(format!("{file}: entry {entry} of the blob table ({hash}) is ignored: {why}"));
    }
    if count > SHOWN {
        warnings.push(format!("{file}: {} more entries are ignored", count - SHOWN));
    }
}

/// The images of the file itself.
fn images(main: &Part, xml: &WimXml, warnings: &mut Vec<String>) -> Result<Vec<Image>, Error> {
    let file = main.source.name();
    let (stated, listed) = (main.header.image_count, xml.image_count());
    let is_first = main.header.part_number == 1;
    let mut metadata = &main.blobs.metadata[..];
    let found = if is_first { metadata.len() as u32 } else { stated };
    if found == listed && stated != listed {
        warnings.push(format!(
            "{file}: the header speaks of {stated} images, but there is metadata of {found} only"
        ));
    } else if found < listed && stated == listed {
        // The next one would be taken for one that is lost.
        metadata = &[];
        warnings.push(format!(
            "{file}: there is metadata of {found} of the {listed} images, and nothing says of \
             which; their files cannot be read"
        ));
    } else if found != listed {
        return Err(Error::ImageCount { file, header: found, xml: listed });
    }
    if main.header.boot_index > listed {
        warnings.push(format!(
            "{file}: the boot image {} does not exist; none is taken to be bootable",
            main.header.boot_index
        ));
    }
    let image =
        |index: u32| Image { entry: metadata.get(index as usize).copied(), tree: OnceLock::new() };
    Ok((0..listed).map(image).collect())
}

/// Whether a further file can be a part of `wim`: another part of its split set, or another
/// archive altogether, on which it builds as a delta.
fn check_belongs(wim: &Wim, part: &Part) -> Result<(), Error> {
    let main = &wim.main().header;
    let other = &part.header;
    if other.guid != main.guid {
        return Ok(());
    }
    let problem = if other.total_parts != main.total_parts {
        format!("says that the set has {} parts, not {}", other.total_parts, main.total_parts)
    } else if wim.parts.iter().any(|known| {
        known.header.guid == other.guid && known.header.part_number == other.part_number
    }) {
        format!("is part {}, which was given already", other.part_number)
    } else {
        return Ok(());
    };
    Err(Error::SplitSet { file: part.source.name(), problem })
}

/// Guards against metadata that could not be held in memory.
pub(super) fn check_metadata_size(resource: &Resource<'_>) -> Result<(), FormatError> {
    let found = resource.uncompressed_size();
    if limits::is_credible_metadata_size(found, resource.source.len()) {
        return Ok(());
    }
    Err(FormatError::TooLarge {
        structure: Structure::Dentry,
        found,
        expected: "metadata of at most 512 times the size of the file, and less than 4 GiB",
    })
}
