//! Resources: ranges of the file that hold one blob (normal) or many (solid).
//!
//! ```text
//! compressed, normal layout   [chunk table][chunk 0][chunk 1]…
//! compressed, pipable layout  [u32 len][chunk 0][u32 len][chunk 1]…[chunk table]
//! solid                       [solid header 16][u32 len of every chunk][chunk 0][chunk 1]…
//! stored                      the bytes themselves
//! ```
//!
//! Every chunk but the last holds `chunk_size` uncompressed bytes and is an independent stream of
//! its codec; a chunk whose compressed length equals its uncompressed length is stored raw.

mod chunk_table;
mod solid;
#[cfg(test)]
mod tests;

use bitflags::bitflags;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::limits::MAX_RESOURCE_SIZE;
use crate::{FormatError, Sha1Hash, Structure, bytes};

pub use chunk_table::{ChunkSpan, ChunkTable, chunk_count, write_chunk_table};
pub use solid::{SOLID_HEADER_LEN, SolidHeader};

/// Length of a resource header in bytes.
pub const RESOURCE_HEADER_LEN: usize = 24;

/// Length in bytes of the record before each item of a pipable WIM.
pub const BLOB_HEADER_LEN: usize = 40;

const BLOB_HEADER_MAGIC: u64 = 0x2b9b_9ba2_443d_b9d8;

bitflags! {
    /// Flags of a resource. Unknown bits are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ResourceFlags: u8 {
        /// Unused space; readers ignore the flag.
        const FREE = 0x1;
        /// The metadata of an image, or one of the file's tables.
        const METADATA = 0x2;
        /// Cut into chunks, with a chunk table.
        const COMPRESSED = 0x4;
        /// Spans parts of a split set; never used.
        const SPANNED = 0x8;
        /// Solid: many blobs in one resource. Has a meaning only in version 0xe00.
        const SOLID = 0x10;

        const _ = !0;
    }
}

/// Where a resource is and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResourceHeader {
    /// Bytes in the file, chunk table included; below 2^56.
    pub size: u64,
    /// Kind of the resource.
    pub flags: ResourceFlags,
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes after decompression; equal to `size` when stored.
    pub uncompressed_size: u64,
}

impl ResourceHeader {
    /// Reads a resource header from the first 24 of `bytes`.
    ///
    /// # Errors
    /// [`FormatError::Truncated`] on fewer bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        bytes::record(bytes, 0, Structure::BlobTable).map(RawResourceHeader::get)
    }

    /// The header as it stands in a file. A size of 2^56 or more, which no file can have, becomes
    /// the largest that the field holds.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RESOURCE_HEADER_LEN] {
        zerocopy::transmute!(RawResourceHeader::from(*self))
    }

    /// A table of the header: stored, as all writers store tables.
    #[must_use]
    pub const fn stored(offset: u64, size: u64, flags: ResourceFlags) -> Self {
        Self { size, flags, offset, uncompressed_size: size }
    }

    /// Whether the resource is cut into compressed chunks.
    #[must_use]
    pub const fn is_compressed(&self) -> bool {
        self.flags.contains(ResourceFlags::COMPRESSED)
    }

    /// Whether all fields are zero, which stands for "not there".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The first byte after the resource; saturates, since both fields come from the file.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

/// [`ResourceHeader`] as stored.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawResourceHeader {
    size: [u8; 7],
    flags: u8,
    offset: U64,
    uncompressed_size: U64,
}

const _: () = assert!(size_of::<RawResourceHeader>() == RESOURCE_HEADER_LEN);

impl RawResourceHeader {
    pub(crate) fn get(&self) -> ResourceHeader {
        let [a, b, c, d, e, f, g] = self.size;
        ResourceHeader {
            size: u64::from_le_bytes([a, b, c, d, e, f, g, 0]),
            flags: ResourceFlags::from_bits_retain(self.flags),
            offset: self.offset.get(),
            uncompressed_size: self.uncompressed_size.get(),
        }
    }
}

impl From<ResourceHeader> for RawResourceHeader {
    fn from(header: ResourceHeader) -> Self {
        let [a, b, c, d, e, f, g, _] = header.size.min(MAX_RESOURCE_SIZE).to_le_bytes();
        Self {
            size: [a, b, c, d, e, f, g],
            flags: header.flags.bits(),
            offset: header.offset.into(),
            uncompressed_size: header.uncompressed_size.into(),
        }
    }
}

/// The record before each item of a pipable WIM; seekable readers do not need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobHeader {
    /// Bytes of the item after decompression.
    pub uncompressed_size: u64,
    /// SHA-1 of the uncompressed item.
    pub hash: Sha1Hash,
    /// Flags of the item.
    pub flags: ResourceFlags,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawBlobHeader {
    magic: U64,
    uncompressed_size: U64,
    hash: Sha1Hash,
    flags: U32,
}

const _: () = assert!(size_of::<RawBlobHeader>() == BLOB_HEADER_LEN);

impl BlobHeader {
    /// Reads a blob header from the first 40 of `bytes`.
    ///
    /// # Errors
    /// Too few bytes or a wrong magic number.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let raw: &RawBlobHeader = bytes::record(bytes, 0, Structure::BlobHeader)?;
        if raw.magic.get() != BLOB_HEADER_MAGIC {
            let expected = "the magic number 0x2b9b9ba2443db9d8";
            return Err(bytes::invalid(Structure::BlobHeader, 0, raw.magic.get(), expected));
        }
        Ok(Self {
            uncompressed_size: raw.uncompressed_size.get(),
            hash: raw.hash,
            // The upper 24 bits of the field are unused.
            flags: ResourceFlags::from_bits_retain(raw.flags.get() as u8),
        })
    }

    /// The record as it stands in a file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BLOB_HEADER_LEN] {
        zerocopy::transmute!(RawBlobHeader {
            magic: BLOB_HEADER_MAGIC.into(),
            uncompressed_size: self.uncompressed_size.into(),
            hash: self.hash,
            flags: u32::from(self.flags.bits()).into(),
        })
    }
}
