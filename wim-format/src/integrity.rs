//! The integrity table: SHA-1 of the file, piece by piece.
//!
//! ```text
//! u32 length of the table (12 + 20 n)   u32 n   u32 piece size   SHA-1[20] × n
//! ```
//!
//! The pieces cover the bytes from the end of the header to the end of the blob table. Header, XML
//! and the table itself are not covered.

#[cfg(test)]
mod tests;

use std::ops::Range;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::bytes::{invalid, record};
use crate::header::HEADER_LEN;
use crate::{FormatError, Sha1Hash, Structure};

/// The piece size that wimlib and the Microsoft tools use: 10 MiB.
pub const DEFAULT_PIECE_SIZE: u32 = 10 << 20;

/// Hashes of the pieces of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrityTable {
    /// Bytes of each piece but the last; not 0.
    pub chunk_size: u32,
    /// SHA-1 of each piece, in order.
    pub hashes: Vec<Sha1Hash>,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHead {
    size: U32,
    entries: U32,
    chunk_size: U32,
}

impl IntegrityTable {
    /// Reads the table from all of its bytes.
    ///
    /// # Errors
    /// The lengths contradict each other, or the piece size is 0.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        const OF: Structure = Structure::IntegrityTable;
        let head: &RawHead = record(bytes, 0, OF)?;
        let body = &bytes[size_of::<RawHead>()..];
        let size = u64::from(head.size.get());
        if size != bytes.len() as u64 {
            return Err(invalid(OF, 0, size, "the length of the table's resource"));
        }
        let entries = u64::from(head.entries.get());
        if entries * 20 != body.len() as u64 {
            return Err(invalid(OF, 4, entries, "one entry for each 20 bytes of the table"));
        }
        if head.chunk_size.get() == 0 {
            return Err(invalid(OF, 8, 0, "a piece size above 0"));
        }
        let (hashes, _) = body.as_chunks();
        Ok(Self {
            chunk_size: head.chunk_size.get(),
            hashes: hashes.iter().copied().map(Sha1Hash).collect(),
        })
    }

    /// The table as it stands in a file.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when its length does not fit 32 bits (a file beyond 2 PiB).
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let size = (size_of::<RawHead>() as u64).saturating_add(self.hashes.len() as u64 * 20);
        let Ok(stored_size) = u32::try_from(size) else {
            let structure = Structure::IntegrityTable;
            let expected = "a table of less than 4 GiB";
            return Err(FormatError::TooLarge { structure, found: size, expected });
        };
        let head = RawHead {
            size: stored_size.into(),
            entries: (self.hashes.len() as u32).into(),
            chunk_size: self.chunk_size.into(),
        };
        Ok([head.as_bytes(), self.hashes.as_bytes()].concat())
    }

    /// The piece of the file that each hash covers, when the blob table ends at `blob_table_end`.
    ///
    /// # Errors
    /// The table has another number of hashes than the file has pieces.
    pub fn ranges(
        &self,
        blob_table_end: u64,
    ) -> Result<impl Iterator<Item = (Range<u64>, Sha1Hash)> + '_, FormatError> {
        let expected = covered_ranges(blob_table_end, self.chunk_size);
        let found = self.hashes.len() as u64;
        if found != piece_count(blob_table_end, self.chunk_size) {
            let expected = "one hash for each piece from the header to the end of the blob table";
            return Err(invalid(Structure::IntegrityTable, 4, found, expected));
        }
        Ok(expected.zip(self.hashes.iter().copied()))
    }
}

/// The pieces of `chunk_size` bytes (the last is shorter) that an integrity table has to cover.
/// None when `chunk_size` is 0.
pub fn covered_ranges(
    blob_table_end: u64,
    chunk_size: u32,
) -> impl Iterator<Item = Range<u64>> + Clone {
    let piece = u64::from(chunk_size);
    (0..piece_count(blob_table_end, chunk_size)).map(move |index| {
        let start = HEADER_LEN as u64 + index * piece;
        start..start.saturating_add(piece).min(blob_table_end)
    })
}

fn piece_count(blob_table_end: u64, chunk_size: u32) -> u64 {
    let covered = blob_table_end.saturating_sub(HEADER_LEN as u64);
    if chunk_size == 0 { 0 } else { covered.div_ceil(u64::from(chunk_size)) }
}
