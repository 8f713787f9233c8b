//! Why bytes are not what they claim to be.

use std::fmt;

use thiserror::Error;

use crate::Codec;

/// The structure that an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Structure {
    /// The 208-byte header of a WIM.
    Header,
    /// The blob table, also called lookup table.
    BlobTable,
    /// The chunk table of a compressed resource.
    ChunkTable,
    /// The 16 bytes at the start of a solid resource.
    SolidHeader,
    /// The 40 bytes before each item of a pipable WIM.
    BlobHeader,
    /// The table of chunk hashes that guards a whole file.
    IntegrityTable,
    /// The security descriptors at the start of a metadata resource.
    SecurityData,
    /// A directory entry of a metadata resource.
    Dentry,
    /// An extra stream entry that follows a dentry.
    ExtraStream,
    /// A tagged item (object id, extended attributes, UNIX data) inside a dentry.
    TaggedItem,
    /// The data of a reparse point.
    ReparseData,
    /// The XML document.
    Xml,
    /// A registry hive of a captured Windows.
    Hive,
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "WIM header",
            Self::BlobTable => "blob table",
            Self::ChunkTable => "chunk table",
            Self::SolidHeader => "header of a solid resource",
            Self::BlobHeader => "blob header of a pipable WIM",
            Self::IntegrityTable => "integrity table",
            Self::SecurityData => "security data of the metadata resource",
            Self::Dentry => "dentry of the metadata resource",
            Self::ExtraStream => "extra stream entry of the metadata resource",
            Self::TaggedItem => "tagged item of a dentry",
            Self::ReparseData => "reparse point data",
            Self::Xml => "XML data",
            Self::Hive => "registry hive",
        })
    }
}

/// A structure of the file is malformed.
///
/// Offsets count from the start of the structure's own resource (the blob table, the uncompressed
/// metadata resource, …); the caller, who knows the file, adds its name and the resource's place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file begins with neither `MSWIM` nor `WLPWM`.
    #[error("not a WIM: it begins with {}, expected MSWIM or WLPWM", .found.escape_ascii())]
    NotWim {
        /// The first eight bytes.
        found: [u8; 8],
    },
    /// The header gives itself a length other than 208.
    #[error("WIM header: header size is {found}, expected 208")]
    HeaderSize {
        /// The size in the header.
        found: u32,
    },
    /// The version is neither 0x10d00 nor 0xe00.
    #[error("WIM header: version is {found:#x}, expected 0x10d00 or 0xe00")]
    UnknownVersion {
        /// The version in the header.
        found: u32,
    },
    /// The part number is 0 or beyond the number of parts.
    #[error("WIM header: part {part} of {total} is impossible, expected 1 to {total}")]
    PartNumber {
        /// The part number in the header.
        part: u16,
        /// The number of parts in the header.
        total: u16,
    },
    /// More images than the format allows.
    #[error("WIM header: {found} images, expected at most 65535")]
    ImageCount {
        /// The count in the header.
        found: u32,
    },
    /// The file is said to be compressed, but by no known method.
    #[error("WIM header: flags {flags:#x} say compressed, but name no known compression")]
    UnknownCompression {
        /// The header's flags.
        flags: u32,
    },
    /// A chunk size that the compression method does not allow.
    #[error(
        "{structure}: chunk size is {found} bytes, expected {}",
        chunk_size_rule(*.codec)
    )]
    ChunkSize {
        /// The header, or the solid resource, that gives the size.
        structure: Structure,
        /// The compression method; `None` for stored data.
        codec: Option<Codec>,
        /// The size found.
        found: u32,
    },
    /// Neither blob table nor XML: the writing of the file was never finished.
    #[error("WIM header: both blob table and XML are missing; the file was never completed")]
    Incomplete,
    /// A table lies, wholly or in part, behind the end of the file.
    #[error(
        "{structure} ({size} bytes at {offset}) lies outside the file, which has {file_len} bytes; \
         the file is truncated or damaged"
    )]
    OutsideFile {
        /// Which table.
        structure: Structure,
        /// Its offset in the file.
        offset: u64,
        /// Its size in the file.
        size: u64,
        /// The length of the file.
        file_len: u64,
    },
    /// The bytes end within a structure.
    #[error("{structure}, byte {offset}: {needed} bytes are needed, only {available} are left")]
    Truncated {
        /// The structure that is cut off.
        structure: Structure,
        /// Where the missing part begins.
        offset: u64,
        /// Bytes needed there.
        needed: u64,
        /// Bytes left there.
        available: u64,
    },
    /// A field has a value that it cannot have.
    #[error("{structure}, byte {offset}: found {found}, expected {expected}")]
    Invalid {
        /// The structure that holds the field.
        structure: Structure,
        /// Where the field, or the record that holds it, begins.
        offset: u64,
        /// The value found.
        found: u64,
        /// What would have been right.
        expected: &'static str,
    },
    /// The XML is not well-formed, or is not the XML of a WIM.
    #[error("XML data, byte {offset}: {problem}")]
    Xml {
        /// Byte offset in the UTF-16 text; approximate when a construct is broken as a whole.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// Something to be written does not fit the field that has to hold it.
    #[error("{structure}: {found} cannot be stored, expected {expected}")]
    TooLarge {
        /// The structure to be written.
        structure: Structure,
        /// The value that is too large.
        found: u64,
        /// The limit, in words.
        expected: &'static str,
    },
}

fn chunk_size_rule(codec: Option<Codec>) -> String {
    match codec {
        None => "more than 0".to_owned(),
        Some(codec) => {
            let range = codec.chunk_size_range();
            format!("a power of two from {} to {} for {codec:?}", range.start(), range.end())
        }
    }
}

/// A compressed chunk cannot be decoded to its stated size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The compressed data ends before the output is full.
    #[error("compressed data ends too early")]
    Truncated,
    /// A prefix code is over-full, or incomplete where the format asks for a complete one.
    #[error("invalid prefix code")]
    BadCode,
    /// A match reaches back beyond the start of the chunk.
    #[error("match offset reaches before the start of the chunk")]
    OffsetBeforeStart,
    /// A match or run goes past the end of its block or chunk.
    #[error("match or run goes past the end of its block or chunk")]
    Overrun,
    /// A block header has an unknown type or an impossible size.
    #[error("invalid block header")]
    BadBlock,
    /// The chunk is larger than the decoder was made for, or its sizes make no sense.
    #[error("chunk sizes are out of range")]
    BadSize,
}
