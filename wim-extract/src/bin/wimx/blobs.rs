//! Blobs as `info --blobs` and `dir --detailed` show them.

use std::io::{self, Write};

use serde::Serialize;
use wim_format::Sha1Hash;
use wim_format::resource::{ResourceFlags, ResourceHeader};

/// What is shown of a blob. The JSON shape is this structure, with absent parts left out.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct BlobView {
    #[serde(serialize_with = "as_text")]
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

impl SolidView {
    pub(crate) fn new(resource: &ResourceHeader, blob_offset: u64) -> Self {
        Self {
            size: resource.uncompressed_size,
            compressed_size: resource.size,
            offset: resource.offset,
            blob_offset,
        }
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

fn as_text<S: serde::Serializer>(hash: &Sha1Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

fn as_flag_names<S: serde::Serializer>(
    flags: &ResourceFlags,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(flag_names(*flags))
}
