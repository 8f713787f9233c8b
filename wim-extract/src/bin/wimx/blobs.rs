//! Blobs as `info --blobs` and `dir --detailed` show them.

use std::io::{self, Write};

use serde::Serialize;
use wim_extract::archive::{BlobId, Wim};
use wim_format::Sha1Hash;
use wim_format::blob_table::{Blob, BlobPlace, MetadataEntry};
use wim_format::header::Version;
use wim_format::resource::{ResourceFlags, ResourceHeader};

use crate::text::display;

/// What is shown of a blob. The JSON shape is this structure, with absent parts left out.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct BlobView {
    #[serde(serialize_with = "display")]
    pub(crate) sha1: Sha1Hash,
    #[serde(flatten)]
    pub(crate) place: Place,
}

/// Where a blob is.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum Place {
    /// In a resource of its own, or nowhere: an empty stream shows zeros.
    Alone {
        size: u64,
        compressed_size: u64,
        offset: u64,
        part: u16,
        references: u32,
        #[serde(serialize_with = "as_flag_names")]
        flags: ResourceFlags,
    },
    /// In a solid resource.
    Solid { size: u64, solid: SolidView, part: u16, references: u32 },
    /// In a file that was not given.
    Missing { missing: bool },
}

/// A solid resource and the blob's place in it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct SolidView {
    size: u64,
    compressed_size: u64,
    offset: u64,
    blob_offset: u64,
}

impl Place {
    fn alone(wim: &Wim, resource: ResourceHeader, part: u16, references: u32) -> Self {
        let ResourceHeader { size, mut flags, offset, uncompressed_size } = resource;
        if wim.header().version == Version::Normal {
            // The bit has no meaning in this version.
            flags.remove(ResourceFlags::SOLID);
        }
        let (size, compressed_size) = (uncompressed_size, size);
        Self::Alone { size, compressed_size, offset, part, references, flags }
    }
}

impl BlobView {
    /// The blob of an empty stream: there is none, and wimlib shows it as zeros.
    pub(crate) const EMPTY: Self = Self {
        sha1: Sha1Hash::ZERO,
        place: Place::Alone {
            size: 0,
            compressed_size: 0,
            offset: 0,
            part: 0,
            references: 0,
            flags: ResourceFlags::empty(),
        },
    };

    /// The data of a stream with this hash.
    pub(crate) fn of_stream(wim: &Wim, hash: Sha1Hash) -> Self {
        if hash.is_zero() {
            return Self::EMPTY;
        }
        match wim.find(&hash) {
            Some(id) => Self::of(wim, id),
            None => Self { sha1: hash, place: Place::Missing { missing: true } },
        }
    }

    /// A blob of an archive.
    pub(crate) fn of(wim: &Wim, id: BlobId) -> Self {
        let &Blob { hash, size, refcount, part_number, place } = wim.blob(id);
        let place = match place {
            BlobPlace::Resource(resource) => Place::alone(wim, resource, part_number, refcount),
            BlobPlace::Solid { resource, offset } => {
                let whole = &wim.parts()[wim.part_of(id)].blobs.solid[resource].resource;
                let solid = SolidView {
                    size: whole.uncompressed_size,
                    compressed_size: whole.size,
                    offset: whole.offset,
                    blob_offset: offset,
                };
                Place::Solid { size, solid, part: part_number, references: refcount }
            }
        };
        Self { sha1: hash, place }
    }

    /// The metadata of an image, which is stored like a blob.
    pub(crate) fn of_metadata(wim: &Wim, entry: &MetadataEntry) -> Self {
        let part = wim.header().part_number;
        Self { sha1: entry.hash, place: Place::alone(wim, entry.resource, part, 1) }
    }

    /// Uncompressed size in bytes; `None` when the blob is missing.
    pub(crate) fn size(&self) -> Option<u64> {
        match self.place {
            Place::Alone { size, .. } | Place::Solid { size, .. } => Some(size),
            Place::Missing { .. } => None,
        }
    }

    /// Writes wimlib's lines, an empty one last.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Hash              = 0x{}", self.sha1)?;
        match self.place {
            Place::Alone { size, compressed_size, offset, part, references, flags } => {
                writeln!(out, "Uncompressed size = {size} bytes")?;
                writeln!(out, "Compressed size   = {compressed_size} bytes")?;
                writeln!(out, "Offset in WIM     = {offset} bytes")?;
                print_tail(out, part, references, flags)?;
            }
            Place::Solid { size, solid, part, references } => {
                let SolidView { size: whole, compressed_size, offset, blob_offset } = solid;
                writeln!(out, "Uncompressed size = {size} bytes")?;
                writeln!(
                    out,
                    "Solid resource    = {whole} => {compressed_size} bytes @ offset {offset}"
                )?;
                writeln!(out, "Solid offset      = {blob_offset} bytes")?;
                print_tail(out, part, references, ResourceFlags::SOLID)?;
            }
            Place::Missing { .. } => {}
        }
        writeln!(out)
    }
}

fn print_tail(
    out: &mut impl Write,
    part: u16,
    references: u32,
    flags: ResourceFlags,
) -> io::Result<()> {
    writeln!(out, "Part Number       = {part}")?;
    writeln!(out, "Reference Count   = {references}")?;
    write!(out, "Flags             = ")?;
    for name in flag_names(flags) {
        write!(out, "WIM_RESHDR_FLAG_{name}  ")?;
    }
    writeln!(out)
}

/// Names of the flags in wimlib's order.
fn flag_names(flags: ResourceFlags) -> impl Iterator<Item = &'static str> {
    [
        (ResourceFlags::COMPRESSED, "COMPRESSED"),
        (ResourceFlags::METADATA, "METADATA"),
        (ResourceFlags::FREE, "FREE"),
        (ResourceFlags::SPANNED, "SPANNED"),
        (ResourceFlags::SOLID, "SOLID"),
    ]
    .into_iter()
    .filter(move |(flag, _)| flags.contains(*flag))
    .map(|(_, name)| name)
}

fn as_flag_names<S: serde::Serializer>(
    flags: &ResourceFlags,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(flag_names(*flags))
}
