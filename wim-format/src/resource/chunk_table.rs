//! Chunk tables of the three kinds, read through one type.

use std::borrow::Cow;
use std::ops::Range;

use super::{ResourceHeader, SOLID_HEADER_LEN, SolidHeader};
use crate::header::Layout;
use crate::{FormatError, Structure};

/// Up to this uncompressed size a table has entries of four bytes, above it of eight.
const MAX_SIZE_OF_SHORT_ENTRIES: u64 = 0xffff_ffff;

/// Where the compressed bytes of one chunk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSpan {
    /// Offset from the start of the resource.
    pub offset: u64,
    /// Bytes in the file, at least 1 and at most `uncompressed`.
    pub compressed: u32,
    /// Bytes after decompression.
    pub uncompressed: u32,
}

impl ChunkSpan {
    /// Whether the chunk is not compressed: its bytes are stored as they are.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.compressed == self.uncompressed
    }
}

/// Number of chunks of `chunk_size` bytes that `uncompressed_size` bytes make; 0 for a chunk size
/// of 0.
#[must_use]
pub const fn chunk_count(uncompressed_size: u64, chunk_size: u32) -> u64 {
    if chunk_size == 0 { 0 } else { uncompressed_size.div_ceil(chunk_size as u64) }
}

/// The chunk table of a compressed resource.
///
/// Making one checks that the table has the length it must have; the entries are checked as they
/// are asked for, so opening a resource of a million chunks costs nothing.
#[derive(Debug, Clone)]
pub struct ChunkTable<'a> {
    entries: Entries<'a>,
    /// Number of chunks.
    len: u64,
    chunk_size: u32,
    uncompressed_size: u64,
    /// Offset of chunk 0 from the start of the resource, without the length before it in the
    /// pipable layout.
    first: u64,
    /// Length of all chunks together, without the lengths before them in the pipable layout.
    data_len: u64,
    /// Bytes before each chunk: 4 in the pipable layout, else 0.
    prefix: u64,
}

#[derive(Debug, Clone)]
enum Entries<'a> {
    /// Starts of chunks 1, 2, …, four bytes each.
    Starts32(Cow<'a, [u8]>),
    /// Starts of chunks 1, 2, …, eight bytes each.
    Starts64(Cow<'a, [u8]>),
    /// Ends of all chunks: the sums of the sizes in the file.
    Ends(Vec<u64>),
}

impl<'a> ChunkTable<'a> {
    /// Bytes of the table of a non-solid resource: one entry less than there are chunks.
    #[must_use]
    pub const fn table_len(uncompressed_size: u64, chunk_size: u32) -> u64 {
        let entries = chunk_count(uncompressed_size, chunk_size).saturating_sub(1);
        entries.saturating_mul(entry_len(uncompressed_size))
    }

    /// Where the table of the non-solid `resource` is, counted from the start of the resource.
    ///
    /// # Errors
    /// The resource is too small to hold its table and one byte for each chunk, or `chunk_size` is
    /// zero.
    pub fn table_range(
        resource: &ResourceHeader,
        chunk_size: u32,
        layout: Layout,
    ) -> Result<Range<u64>, FormatError> {
        if chunk_size == 0 {
            let structure = Structure::ChunkTable;
            return Err(FormatError::ChunkSize { structure, codec: None, found: 0 });
        }
        let chunks = chunk_count(resource.uncompressed_size, chunk_size);
        let table = Self::table_len(resource.uncompressed_size, chunk_size);
        let per_chunk = match layout {
            Layout::Normal => 1,
            Layout::Pipable => 5,
        };
        check_room(table.saturating_add(chunks.saturating_mul(per_chunk)), resource.size)?;
        Ok(match layout {
            Layout::Normal => 0..table,
            Layout::Pipable => resource.size - table..resource.size,
        })
    }

    /// Reads the table of a non-solid resource; `table` are the bytes at
    /// [`table_range`](Self::table_range).
    ///
    /// # Errors
    /// As `table_range`, or `table` has another length.
    pub fn parse(
        table: &'a [u8],
        resource: &ResourceHeader,
        chunk_size: u32,
        layout: Layout,
    ) -> Result<Self, FormatError> {
        let range = Self::table_range(resource, chunk_size, layout)?;
        let table_len = range.end - range.start;
        check_table_len(table, table_len)?;
        let len = chunk_count(resource.uncompressed_size, chunk_size);
        let (first, prefix) = match layout {
            Layout::Normal => (table_len, 0),
            Layout::Pipable => (0, 4),
        };
        Ok(Self {
            entries: match entry_len(resource.uncompressed_size) {
                4 => Entries::Starts32(table.into()),
                _ => Entries::Starts64(table.into()),
            },
            len,
            chunk_size,
            uncompressed_size: resource.uncompressed_size,
            first,
            data_len: resource.size - table_len - len * prefix,
            prefix,
        })
    }

    /// Reads the table of a solid resource; `table` are the [`SolidHeader::table_len`] bytes after
    /// its header and `resource_size` is its size in the file.
    ///
    /// # Errors
    /// The resource is too small for its table and chunks, or `table` has another length.
    pub fn parse_solid(
        table: &'a [u8],
        header: &SolidHeader,
        resource_size: u64,
    ) -> Result<Self, FormatError> {
        let len = header.chunk_count();
        let first = (SOLID_HEADER_LEN as u64).saturating_add(header.table_len());
        check_room(first.saturating_add(len), resource_size)?;
        check_table_len(table, header.table_len())?;
        let (sizes, _) = table.as_chunks();
        let mut end = 0u64;
        let ends: Vec<u64> = sizes
            .iter()
            .map(|size| {
                end += u64::from(u32::from_le_bytes(*size));
                end
            })
            .collect();
        Ok(Self {
            entries: Entries::Ends(ends),
            len,
            chunk_size: header.chunk_size,
            uncompressed_size: header.uncompressed_size,
            first,
            data_len: resource_size - first,
            prefix: 0,
        })
    }

    /// Copies what is borrowed, so that the table can outlive the bytes it was read from.
    #[must_use]
    pub fn into_owned(self) -> ChunkTable<'static> {
        let entries = match self.entries {
            Entries::Starts32(bytes) => Entries::Starts32(Cow::Owned(bytes.into_owned())),
            Entries::Starts64(bytes) => Entries::Starts64(Cow::Owned(bytes.into_owned())),
            Entries::Ends(ends) => Entries::Ends(ends),
        };
        ChunkTable { entries, ..self }
    }

    /// Number of chunks.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no chunks, because the resource unpacks to nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Uncompressed bytes of every chunk but the last.
    #[must_use]
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Uncompressed bytes of all chunks.
    #[must_use]
    pub const fn uncompressed_size(&self) -> u64 {
        self.uncompressed_size
    }

    /// The chunk that holds the uncompressed byte `position`, and the position within it.
    #[must_use]
    pub const fn chunk_of(&self, position: u64) -> (u64, u32) {
        let chunk_size = self.chunk_size as u64;
        (position / chunk_size, (position % chunk_size) as u32)
    }

    /// Where chunk `index` is.
    ///
    /// # Errors
    /// The entries go backwards, leave the resource, or give an impossible compressed length, or
    /// there is no such chunk.
    pub fn get(&self, index: u64) -> Result<ChunkSpan, FormatError> {
        let bounds = self.start(index).zip(self.end(index));
        let Some((start, end)) = bounds.filter(|_| index < self.len) else {
            return Err(chunk_error(index, self.len, "a chunk that the table lists"));
        };
        let uncompressed = self.uncompressed_len(index);
        let compressed = end.checked_sub(start).filter(|len| (1..=uncompressed).contains(len));
        let Some(compressed) = compressed.filter(|_| end <= self.data_len) else {
            let expected = "a chunk that ends inside the resource, after its start and at most \
                            its uncompressed length later";
            return Err(chunk_error(index, end, expected));
        };
        Ok(ChunkSpan {
            offset: self.first + start + self.prefix * (index + 1),
            // Both are at most the chunk size, which has 32 bits.
            compressed: compressed as u32,
            uncompressed: uncompressed as u32,
        })
    }

    /// All chunks in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<ChunkSpan, FormatError>> + '_ {
        (0..self.len).map(|index| self.get(index))
    }

    fn uncompressed_len(&self, index: u64) -> u64 {
        let before = index.saturating_mul(u64::from(self.chunk_size));
        self.uncompressed_size.saturating_sub(before).min(u64::from(self.chunk_size))
    }

    /// Start of a chunk, counted from the start of chunk 0.
    fn start(&self, index: u64) -> Option<u64> {
        let Some(before) = index.checked_sub(1).map(usize::try_from) else { return Some(0) };
        let before = before.ok()?;
        match &self.entries {
            Entries::Starts32(bytes) => {
                bytes.as_chunks().0.get(before).map(|entry| u32::from_le_bytes(*entry).into())
            }
            Entries::Starts64(bytes) => {
                bytes.as_chunks().0.get(before).map(|entry| u64::from_le_bytes(*entry))
            }
            Entries::Ends(ends) => ends.get(before).copied(),
        }
    }

    /// End of a chunk, counted from the start of chunk 0.
    fn end(&self, index: u64) -> Option<u64> {
        match &self.entries {
            Entries::Ends(ends) => ends.get(usize::try_from(index).ok()?).copied(),
            _ if index.checked_add(1)? == self.len => Some(self.data_len),
            _ => self.start(index + 1),
        }
    }
}

/// The chunk table of a non-solid resource whose chunks have these compressed sizes.
///
/// There must be as many sizes as [`chunk_count`] says; the table goes before the chunks in the
/// normal layout and after them in the pipable one. (A solid resource's table is simply its sizes,
/// four bytes each.)
///
/// # Errors
/// [`FormatError::TooLarge`] for offsets that do not fit the entries.
pub fn write_chunk_table(
    compressed: &[u32],
    uncompressed_size: u64,
) -> Result<Vec<u8>, FormatError> {
    let entry_len = entry_len(uncompressed_size);
    let entries = compressed.len().saturating_sub(1);
    let mut table = Vec::with_capacity(entries * entry_len as usize);
    let mut start = 0u64;
    for size in &compressed[..entries] {
        start += u64::from(*size);
        if entry_len == 8 {
            table.extend(start.to_le_bytes());
            continue;
        }
        let entry = u32::try_from(start).map_err(|_| FormatError::TooLarge {
            structure: Structure::ChunkTable,
            found: start,
            expected: "chunks that are not larger than their contents",
        })?;
        table.extend(entry.to_le_bytes());
    }
    Ok(table)
}

const fn entry_len(uncompressed_size: u64) -> u64 {
    if uncompressed_size <= MAX_SIZE_OF_SHORT_ENTRIES { 4 } else { 8 }
}

fn check_room(needed: u64, available: u64) -> Result<(), FormatError> {
    if needed <= available {
        return Ok(());
    }
    Err(FormatError::Truncated { structure: Structure::ChunkTable, offset: 0, needed, available })
}

fn check_table_len(table: &[u8], needed: u64) -> Result<(), FormatError> {
    let available = table.len() as u64;
    if available == needed {
        return Ok(());
    }
    Err(FormatError::Truncated { structure: Structure::ChunkTable, offset: 0, needed, available })
}

fn chunk_error(index: u64, found: u64, expected: &'static str) -> FormatError {
    FormatError::Invalid { structure: Structure::ChunkTable, offset: index, found, expected }
}
