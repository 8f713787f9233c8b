//! The 208-byte header of a WIM.
//!
//! ```text
//! 0x00 magic[8]      0x08 header size   0x0c version       0x10 flags    0x14 chunk size
//! 0x18 GUID[16]      0x28 part u16      0x2a parts u16     0x2c images
//! 0x30 blob table    0x48 XML           0x60 boot metadata 0x78 boot index
//! 0x7c integrity     0x94 zeros[60]                        (all tables: resource headers)
//! ```
//!
//! A pipable WIM (wimlib's own layout) has this header twice: first with the tables still unknown,
//! and as the last 208 bytes of the file, complete.

#[cfg(test)]
mod tests;

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::resource::{RawResourceHeader, ResourceHeader};
use crate::{Codec, FormatError, Structure, bytes, limits};

/// Length of the header in bytes; the header says so itself at offset 8.
pub const HEADER_LEN: usize = 208;

const MAGIC_NORMAL: [u8; 8] = *b"MSWIM\0\0\0";
const MAGIC_PIPABLE: [u8; 8] = *b"WLPWM\0\0\0";

/// How resources lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// The layout of the Microsoft tools (magic `MSWIM`): chunk tables before the chunks.
    Normal,
    /// wimlib's layout for pipes (magic `WLPWM`): chunk tables after the chunks, the valid header
    /// at the end of the file.
    Pipable,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// 0x10d00, used since Windows Vista.
    Normal = 0x10d00,
    /// 0xe00: solid resources or LZMS (ESD files).
    Solid = 0xe00,
}

bitflags! {
    /// Flags of the header. Unknown bits are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct HeaderFlags: u32 {
        /// Reserved.
        const RESERVED = 0x1;
        /// Resources may be compressed; one of the method flags is set too.
        const COMPRESSION = 0x2;
        /// The file must not be changed.
        const READONLY = 0x4;
        /// Part of a split set.
        const SPANNED = 0x8;
        /// Holds only file resources.
        const RESOURCE_ONLY = 0x10;
        /// Holds only metadata resources.
        const METADATA_ONLY = 0x20;
        /// Set while the file is being changed in place.
        const WRITE_IN_PROGRESS = 0x40;
        /// Targets of absolute links were made relative to the captured directory.
        const RP_FIX = 0x80;
        /// Reserved compression method.
        const COMPRESS_RESERVED = 0x1_0000;
        /// XPRESS.
        const XPRESS = 0x2_0000;
        /// LZX.
        const LZX = 0x4_0000;
        /// LZMS.
        const LZMS = 0x8_0000;
        /// XPRESS with other chunk sizes, as newer Microsoft tools mark it.
        const XPRESS_2 = 0x20_0000;

        /// Everything that says how resources are compressed.
        const METHODS = Self::COMPRESSION.bits()
            | Self::XPRESS.bits()
            | Self::LZX.bits()
            | Self::LZMS.bits()
            | Self::XPRESS_2.bits();

        const _ = !0;
    }
}

impl HeaderFlags {
    /// The flags that say "compressed by `codec`"; empty for stored resources.
    #[must_use]
    pub const fn of_codec(codec: Option<Codec>) -> Self {
        match codec {
            None => Self::empty(),
            Some(Codec::Xpress) => Self::COMPRESSION.union(Self::XPRESS),
            Some(Codec::Lzx) => Self::COMPRESSION.union(Self::LZX),
            Some(Codec::Lzms) => Self::COMPRESSION.union(Self::LZMS),
        }
    }
}

/// The header of a WIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Normal or pipable.
    pub layout: Layout,
    /// The format's version.
    pub version: Version,
    /// Flags; see [`Header::codec`] for the compression method.
    pub flags: HeaderFlags,
    /// Uncompressed bytes of a chunk in non-solid resources; 0 when these are stored.
    pub chunk_size: u32,
    /// Random identifier, equal in all parts of a split set.
    pub guid: [u8; 16],
    /// Which part of a split set this is, from 1.
    pub part_number: u16,
    /// Number of parts; 1 for a file that stands alone.
    pub total_parts: u16,
    /// Number of images; at most 65535.
    pub image_count: u32,
    /// Where the blob table is.
    pub blob_table: ResourceHeader,
    /// Where the XML is.
    pub xml: ResourceHeader,
    /// Copy of the boot image's metadata entry, or zero.
    pub boot_metadata: ResourceHeader,
    /// Where the integrity table is, or zero.
    pub integrity: ResourceHeader,
    /// The bootable image from 1, or 0 for none. A value above `image_count` is kept as found; see
    /// [`Header::boot_image`].
    pub boot_index: u32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: [u8; 8],
    header_size: U32,
    version: U32,
    flags: U32,
    chunk_size: U32,
    guid: [u8; 16],
    part_number: U16,
    total_parts: U16,
    image_count: U32,
    blob_table: RawResourceHeader,
    xml: RawResourceHeader,
    boot_metadata: RawResourceHeader,
    boot_index: U32,
    integrity: RawResourceHeader,
    unused: [u8; 60],
}

const _: () = assert!(size_of::<RawHeader>() == HEADER_LEN);

impl Header {
    /// Reads the header from the first 208 of `bytes`.
    ///
    /// When the result has [`Layout::Pipable`], the caller reads again from the last 208 bytes of
    /// the file, because the tables are given only there.
    ///
    /// # Errors
    /// Wrong magic, header size, version, part number or image count; fewer than 208 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let raw: &RawHeader = bytes::record(bytes, 0, Structure::Header)?;
        let layout = match raw.magic {
            MAGIC_NORMAL => Layout::Normal,
            MAGIC_PIPABLE => Layout::Pipable,
            found => return Err(FormatError::NotWim { found }),
        };
        if raw.header_size.get() as usize != HEADER_LEN {
            return Err(FormatError::HeaderSize { found: raw.header_size.get() });
        }
        let version = match raw.version.get() {
            0x10d00 => Version::Normal,
            0xe00 => Version::Solid,
            found => return Err(FormatError::UnknownVersion { found }),
        };
        let (part, total) = (raw.part_number.get(), raw.total_parts.get());
        if part == 0 || part > total {
            return Err(FormatError::PartNumber { part, total });
        }
        if raw.image_count.get() > limits::MAX_IMAGES {
            return Err(FormatError::ImageCount { found: raw.image_count.get() });
        }
        Ok(Self {
            layout,
            version,
            flags: HeaderFlags::from_bits_retain(raw.flags.get()),
            chunk_size: raw.chunk_size.get(),
            guid: raw.guid,
            part_number: part,
            total_parts: total,
            image_count: raw.image_count.get(),
            blob_table: raw.blob_table.get(),
            xml: raw.xml.get(),
            boot_metadata: raw.boot_metadata.get(),
            integrity: raw.integrity.get(),
            boot_index: raw.boot_index.get(),
        })
    }

    /// The header as it stands in a file; the unused bytes are zero.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let raw = RawHeader {
            magic: match self.layout {
                Layout::Normal => MAGIC_NORMAL,
                Layout::Pipable => MAGIC_PIPABLE,
            },
            header_size: (HEADER_LEN as u32).into(),
            version: (self.version as u32).into(),
            flags: self.flags.bits().into(),
            chunk_size: self.chunk_size.into(),
            guid: self.guid,
            part_number: self.part_number.into(),
            total_parts: self.total_parts.into(),
            image_count: self.image_count.into(),
            blob_table: self.blob_table.into(),
            xml: self.xml.into(),
            boot_metadata: self.boot_metadata.into(),
            boot_index: self.boot_index.into(),
            integrity: self.integrity.into(),
            unused: [0; 60],
        };
        zerocopy::transmute!(raw)
    }

    /// The compression of non-solid resources, `None` when all are stored.
    ///
    /// Where several method flags are set, LZX goes before XPRESS before LZMS, as wimlib reads
    /// them.
    ///
    /// # Errors
    /// Compressed by no known method, or a chunk size that the method does not allow.
    pub fn codec(&self) -> Result<Option<Codec>, FormatError> {
        if !self.flags.contains(HeaderFlags::COMPRESSION) {
            return Ok(None);
        }
        let codec = if self.flags.contains(HeaderFlags::LZX) {
            Codec::Lzx
        } else if self.flags.intersects(HeaderFlags::XPRESS | HeaderFlags::XPRESS_2) {
            Codec::Xpress
        } else if self.flags.contains(HeaderFlags::LZMS) {
            Codec::Lzms
        } else {
            return Err(FormatError::UnknownCompression { flags: self.flags.bits() });
        };
        if !codec.is_valid_chunk_size(self.chunk_size) {
            return Err(FormatError::ChunkSize {
                structure: Structure::Header,
                codec: Some(codec),
                found: self.chunk_size,
            });
        }
        Ok(Some(codec))
    }

    /// The bootable image, counted from 1. An index beyond the images counts as none; readers warn
    /// about it and go on.
    #[must_use]
    pub fn boot_image(&self) -> Option<u32> {
        (1..=self.image_count).contains(&self.boot_index).then_some(self.boot_index)
    }

    /// Checks blob table and XML against the length of the file. An archive can be read without an
    /// integrity table: that one has [`check_integrity_place`](Self::check_integrity_place).
    ///
    /// # Errors
    /// [`FormatError::OutsideFile`] for a table that is not wholly inside the file, and
    /// [`FormatError::Incomplete`] when there is neither blob table nor XML.
    pub fn check_file_len(&self, file_len: u64) -> Result<(), FormatError> {
        if self.blob_table.size == 0 && self.xml.size == 0 {
            return Err(FormatError::Incomplete);
        }
        check_place(Structure::BlobTable, self.blob_table, file_len)?;
        check_place(Structure::Xml, self.xml, file_len)
    }

    /// Checks the place of the integrity table, if there is one, against the length of the file.
    ///
    /// # Errors
    /// [`FormatError::OutsideFile`].
    pub fn check_integrity_place(&self, file_len: u64) -> Result<(), FormatError> {
        check_place(Structure::IntegrityTable, self.integrity, file_len)
    }
}

fn check_place(
    structure: Structure,
    table: ResourceHeader,
    file_len: u64,
) -> Result<(), FormatError> {
    let ResourceHeader { offset, size, .. } = table;
    let inside = size <= file_len && offset <= file_len - size;
    match size == 0 || inside {
        true => Ok(()),
        false => Err(FormatError::OutsideFile { structure, offset, size, file_len }),
    }
}
