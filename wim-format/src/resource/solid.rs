//! The head of a solid resource.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::chunk_count;
use crate::{Codec, FormatError, Structure, bytes};

/// Length of [`SolidHeader`] in bytes; the table of chunk sizes follows it.
pub const SOLID_HEADER_LEN: usize = 16;

/// What a solid resource says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolidHeader {
    /// Sum of the sizes of its blobs.
    pub uncompressed_size: u64,
    /// Uncompressed bytes of each chunk but the last.
    pub chunk_size: u32,
    /// Compression, `None` for stored chunks.
    pub codec: Option<Codec>,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawSolidHeader {
    uncompressed_size: U64,
    chunk_size: U32,
    format: U32,
}

const _: () = assert!(size_of::<RawSolidHeader>() == SOLID_HEADER_LEN);

impl SolidHeader {
    /// Reads the header from the first 16 of `bytes`.
    ///
    /// # Errors
    /// Too few bytes, an unknown compression format, or a chunk size that it does not allow.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let raw: &RawSolidHeader = bytes::record(bytes, 0, Structure::SolidHeader)?;
        let codec = match raw.format.get() {
            0 => None,
            1 => Some(Codec::Xpress),
            2 => Some(Codec::Lzx),
            3 => Some(Codec::Lzms),
            found => {
                let expected = "compression format 0 (none), 1 (XPRESS), 2 (LZX) or 3 (LZMS)";
                return Err(bytes::invalid(Structure::SolidHeader, 12, found.into(), expected));
            }
        };
        let chunk_size = raw.chunk_size.get();
        if !codec.map_or(chunk_size > 0, |codec| codec.is_valid_chunk_size(chunk_size)) {
            let structure = Structure::SolidHeader;
            return Err(FormatError::ChunkSize { structure, codec, found: chunk_size });
        }
        Ok(Self { uncompressed_size: raw.uncompressed_size.get(), chunk_size, codec })
    }

    /// The header as it stands in a file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SOLID_HEADER_LEN] {
        zerocopy::transmute!(RawSolidHeader {
            uncompressed_size: self.uncompressed_size.into(),
            chunk_size: self.chunk_size.into(),
            format: match self.codec {
                None => 0,
                Some(Codec::Xpress) => 1,
                Some(Codec::Lzx) => 2,
                Some(Codec::Lzms) => 3,
            }
            .into(),
        })
    }

    /// Number of chunks.
    #[must_use]
    pub const fn chunk_count(&self) -> u64 {
        chunk_count(self.uncompressed_size, self.chunk_size)
    }

    /// Bytes of the chunk table that follows the header: four for every chunk.
    #[must_use]
    pub const fn table_len(&self) -> u64 {
        self.chunk_count().saturating_mul(4)
    }
}
