//! Reading the chunks of one resource.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wim_format::Codec;
use wim_format::header::Layout;
use wim_format::resource::{ChunkTable, ResourceHeader, SOLID_HEADER_LEN, SolidHeader};

use crate::cancel::Cancel;
use crate::error::Damage;
use crate::pipeline::buffers::zeroed;
use crate::pipeline::decode::{Decoders, Jobs};
use crate::pipeline::lock::Lock;
use crate::pipeline::{Task, Threads, run_tasks};
use crate::source::{Expect, Source};

/// How the chunks of a resource are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coding {
    /// Compression of the chunks that are not stored raw; `None` when all are raw.
    pub(crate) codec: Option<Codec>,
    /// Uncompressed bytes of every chunk but the last.
    pub(crate) chunk_size: u32,
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codec = match self.codec {
            None => return f.write_str("not compressed"),
            Some(Codec::Xpress) => "XPRESS",
            Some(Codec::Lzx) => "LZX",
            Some(Codec::Lzms) => "LZMS",
        };
        write!(f, "{codec} in chunks of {} bytes", self.chunk_size)
    }
}

/// A resource together with what is needed to read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resource<'w> {
    pub(crate) source: &'w dyn Source,
    pub(crate) place: ResourceHeader,
    pub(crate) form: Form,
}

/// The form of a resource in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The bytes as they are.
    Stored,
    /// One blob in chunks.
    Chunks(Coding, Layout),
    /// Many blobs, one after the other, in chunks.
    Solid(SolidHeader),
}

impl<'w> Resource<'w> {
    /// Whether the file has `len` bytes at `offset` of the resource.
    pub(crate) fn check_range(&self, offset: u64, len: u64) -> Result<(), Damage> {
        let offset = self.place.offset.saturating_add(offset);
        let end = offset.saturating_add(len);
        let file_len = self.source.len();
        if end <= file_len { Ok(()) } else { Err(Damage::Truncated { offset, end, file_len }) }
    }

    /// `len` bytes at `offset` of the resource.
    pub(crate) fn bytes(&self, offset: u64, len: u64) -> Result<Bytes, Damage> {
        self.check_range(offset, len)?;
        let len = usize::try_from(len).map_err(|_| Damage::Memory { bytes: usize::MAX })?;
        let offset = self.place.offset + offset;
        let read = self.source.bytes(offset, len);
        read.map_err(|source| Damage::Read { offset, source: Arc::new(source) })
    }

    /// Says that the resource will be read soon.
    pub(crate) fn expect_soon(&self) {
        self.source.expect(Expect::Soon, self.place.offset, self.place.size);
    }

    /// Bytes after decoding.
    pub(crate) fn uncompressed_size(&self) -> u64 {
        self.place.uncompressed_size
    }

    /// Uncompressed bytes of a chunk; `None` for a stored resource, which has none.
    pub(crate) fn coding(&self) -> Option<Coding> {
        match self.form {
            Form::Stored => None,
            Form::Chunks(coding, _) => Some(coding),
            Form::Solid(header) => {
                Some(Coding { codec: header.codec, chunk_size: header.chunk_size })
            }
        }
    }

    /// Where the chunk table is, counted from the start of the resource.
    pub(crate) fn table_range(&self) -> Result<Range<u64>, Damage> {
        match self.form {
            Form::Stored => Ok(0..0),
            Form::Chunks(coding, layout) => {
                ChunkTable::table_range(&self.place, coding.chunk_size, layout)
                    .map_err(Damage::Layout)
            }
            Form::Solid(header) => {
                let start = SOLID_HEADER_LEN as u64;
                Ok(start..start.saturating_add(header.table_len()))
            }
        }
    }

    /// Understands the bytes at [`table_range`](Self::table_range); `None` for a stored resource.
    pub(crate) fn parse_table<'t>(
        &self,
        table: &'t [u8],
    ) -> Result<Option<ChunkTable<'t>>, Damage> {
        match &self.form {
            Form::Stored => return Ok(None),
            Form::Chunks(coding, layout) => {
                ChunkTable::parse(table, &self.place, coding.chunk_size, *layout)
            }
            Form::Solid(header) => ChunkTable::parse_solid(table, header, self.place.size),
        }
        .map(Some)
        .map_err(Damage::Layout)
    }

    /// The chunk table, read from the file; `None` for a stored resource.
    pub(crate) fn table(&self) -> Result<Option<ChunkTable<'static>>, Damage> {
        let range = self.table_range()?;
        let bytes = self.bytes(range.start, range.end - range.start)?;
        Ok(self.parse_table(&bytes)?.map(ChunkTable::into_owned))
    }
}

/// The decoded bytes of a whole resource that is not solid. The caller has made sure that its size is
/// credible. The bytes are not checked against any hash.
pub(crate) fn read_whole(resource: &Resource<'_>, threads: Threads) -> Result<Bytes, Damage> {
    /// Chunks that are worth a thread.
    const SHARE: u64 = 16;
    let bytes = resource.bytes(0, resource.place.size)?;
    if resource.form == Form::Stored {
        return Ok(bytes);
    }
    let range = resource.table_range()?;
    let raw = bytes.slice(range.start as usize..range.end as usize);
    let Some(table) = resource.parse_table(&raw)? else { return Ok(bytes) };
    let len = usize::try_from(resource.uncompressed_size())
        .map_err(|_| Damage::Memory { bytes: usize::MAX })?;
    let mut out = zeroed(len)?;
    let share = table.len().div_ceil(threads.get() as u64).max(SHARE);
    let share_len = usize::try_from(share * u64::from(table.chunk_size())).unwrap_or(usize::MAX);
    let shares = table.len().div_ceil(share);
    // One for each share, so that what is reported does not depend on who comes first.
    let damages: Vec<Lock<Option<Damage>>> = (0..shares).map(|_| Lock::new(None)).collect();
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for ((index, out), damage) in (0..).zip(out.chunks_mut(share_len)).zip(&damages) {
        let chunks = index * share..((index + 1) * share).min(table.len());
        let mut jobs = Jobs::default();
        jobs.add(resource, &table, chunks, (bytes.clone(), 0), 0, 0)?;
        tasks.push(Box::new(move || {
            jobs.decode(&mut Decoders::default(), out, |_, found| {
                damage.lock().get_or_insert(found);
            });
            Ok(())
        }));
    }
    // Nothing fails or cancels these tasks.
    drop(run_tasks(tasks, threads, &Cancel::new()));
    let damage = damages.into_iter().find_map(Lock::into_inner);
    damage.map_or(Ok(out.into()), Err)
}
