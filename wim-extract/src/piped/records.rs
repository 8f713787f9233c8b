//! The records of a pipable archive, one after the other.
//!
//! ```text
//! record    header (208 bytes, magic WLPWM) | blob header (40 bytes, its own magic), resource
//! resource  stored: the bytes; compressed: length and bytes of each chunk, then the chunk table
//! ```

use std::io::{self, Read};

use wim_format::header::{HEADER_LEN, Header, Layout};
use wim_format::resource::{BLOB_HEADER_LEN, BlobHeader, ChunkTable, ResourceFlags, chunk_count};
use wim_format::{FormatError, Structure};

use crate::cancel::Cancel;
use crate::error::{Action, Damage, Error, Of};

/// Bytes of a stored resource that are taken at a time, as if they were a chunk.
const STORED_PIECE: u64 = 256 << 10;
/// Memory that is set aside before what fills it has come.
const TRUSTED: u64 = 1 << 20;
/// Bytes of a magic number.
const MAGIC_LEN: usize = 8;

/// What a stream is made of.
#[derive(Debug)]
pub(super) enum Record {
    /// A header: at the end of the archive or of a part of a split set, or before the next part.
    Header,
    /// A resource follows.
    Resource(BlobHeader),
}

/// Reads bytes in order.
#[derive(Debug)]
pub(super) struct Records<R> {
    input: R,
    /// What the stream is called in messages.
    name: String,
    /// Bytes read so far.
    at: u64,
    cancel: Cancel,
}

/// A resource that is being read.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) header: BlobHeader,
    /// Uncompressed bytes of a chunk.
    chunk_size: u32,
    /// Number of the next chunk.
    next: u64,
    chunks: u64,
}

/// A chunk that has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// Number of the chunk in its resource, and where it is in the stream.
    pub(super) number: u64,
    pub(super) offset: u64,
    /// Where in the uncompressed resource it begins.
    pub(super) start: u64,
    pub(super) compressed: usize,
    pub(super) uncompressed: usize,
}

impl Open {
    /// Where the uncompressed bytes of the next chunk begin.
    pub(super) fn position(&self) -> u64 {
        self.next.saturating_mul(self.chunk_size.into()).min(self.header.uncompressed_size)
    }

    fn is_compressed(&self) -> bool {
        self.header.flags.contains(ResourceFlags::COMPRESSED)
    }
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, name: String, cancel: &Cancel) -> Self {
        Self { input, name, at: 0, cancel: cancel.clone() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The header that everything begins with.
    pub(super) fn first_header(&mut self) -> Result<Header, Error> {
        let mut bytes = [0; HEADER_LEN];
        self.exact(&mut bytes, "the header")?;
        let header = Header::parse(&bytes).map_err(|source| self.malformed(source))?;
        match header.layout {
            Layout::Pipable => Ok(header),
            Layout::Normal => Err(Error::NotPipable { file: self.name.clone() }),
        }
    }

    /// The next record; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Error> {
        let start = self.at;
        let mut bytes = [0; HEADER_LEN];
        let found = self.some(&mut bytes[..MAGIC_LEN])?;
        if found == 0 {
            return Ok(None);
        }
        self.exact(&mut bytes[found..MAGIC_LEN], "a record")?;
        if let Some(rest) = integrity_table(&bytes) {
            self.skip(rest, "the integrity table")?;
            return self.next();
        }
        if bytes.starts_with(b"WLPWM\0\0\0") {
            self.exact(&mut bytes[MAGIC_LEN..], "a header")?;
            Header::parse(&bytes).map_err(|source| self.malformed(source))?;
            return Ok(Some(Record::Header));
        }
        self.exact(&mut bytes[MAGIC_LEN..BLOB_HEADER_LEN], "a blob header")?;
        let header = BlobHeader::parse(&bytes[..BLOB_HEADER_LEN]);
        let header = header.map_err(|source| Error::BrokenStream {
            file: self.name.clone(),
            offset: start,
            problem: source.to_string(),
        })?;
        Ok(Some(Record::Resource(header)))
    }

    /// Begins to read the resource behind a blob header; `chunk_size` is that of the archive.
    pub(super) fn open(&self, header: BlobHeader, chunk_size: u32) -> Result<Open, Error> {
        let compressed = header.flags.contains(ResourceFlags::COMPRESSED);
        if compressed && chunk_size == 0 {
            let damage = Damage::NoCodec { offset: self.at };
            return Err(self.damaged(&header, damage));
        }
        let chunk_size = if compressed { chunk_size } else { STORED_PIECE as u32 };
        let chunks = chunk_count(header.uncompressed_size, chunk_size);
        Ok(Open { header, chunk_size, next: 0, chunks })
    }

    /// Reads the next chunk to the end of `buffer`. When there is none left, what is behind the last
    /// has been passed over.
    pub(super) fn chunk(
        &mut self,
        open: &mut Open,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Chunk>, Error> {
        let Some(mut chunk) = self.begin_chunk(open)? else { return Ok(None) };
        let wanted = chunk.compressed as u64;
        let before = buffer.len();
        buffer.reserve(wanted.min(TRUSTED) as usize);
        while buffer.len() - before < chunk.compressed {
            let left = wanted - (buffer.len() - before) as u64;
            let start = buffer.len();
            buffer.resize(start + left.min(TRUSTED) as usize, 0);
            self.exact(&mut buffer[start..], "a chunk")?;
        }
        chunk.compressed = buffer.len() - before;
        self.end_chunk(open)?;
        Ok(Some(chunk))
    }

    /// Passes over what is left of a resource.
    pub(super) fn skip_resource(&mut self, mut open: Open) -> Result<(), Error> {
        if !open.is_compressed() {
            let left = open.header.uncompressed_size - open.position();
            return self.skip(left, "a blob");
        }
        while let Some(chunk) = self.begin_chunk(&mut open)? {
            self.skip(chunk.compressed as u64, "a chunk")?;
            self.end_chunk(&mut open)?;
        }
        Ok(())
    }

    fn begin_chunk(&mut self, open: &mut Open) -> Result<Option<Chunk>, Error> {
        if open.next >= open.chunks {
            return Ok(None);
        }
        let start = open.position();
        let uncompressed =
            (open.header.uncompressed_size - start).min(open.chunk_size.into()) as usize;
        let mut compressed = uncompressed;
        if open.is_compressed() {
            let mut len = [0; 4];
            let offset = self.at;
            self.exact(&mut len, "the length of a chunk")?;
            compressed = u32::from_le_bytes(len) as usize;
            if !(1..=uncompressed).contains(&compressed) {
                let damage = Damage::Layout(FormatError::Invalid {
                    structure: Structure::ChunkTable,
                    offset,
                    found: compressed as u64,
                    expected: "the length of a chunk, which is at most that of its contents",
                });
                return Err(self.damaged(&open.header, damage));
            }
        }
        let number = open.next;
        open.next += 1;
        Ok(Some(Chunk { number, offset: self.at, start, compressed, uncompressed }))
    }

    /// Passes over the chunk table behind the last chunk: the lengths are known by then.
    fn end_chunk(&mut self, open: &mut Open) -> Result<(), Error> {
        if open.next < open.chunks || !open.is_compressed() {
            return Ok(());
        }
        let table = ChunkTable::table_len(open.header.uncompressed_size, open.chunk_size);
        self.skip(table, "a chunk table")
    }

    /// Reads on to the end of the stream, so that its writer is not cut off. Nothing in it is needed.
    pub(super) fn drain(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; STORED_PIECE as usize];
        while self.some(&mut buffer)? > 0 {}
        Ok(())
    }

    fn skip(&mut self, len: u64, what: &'static str) -> Result<(), Error> {
        let mut buffer = vec![0; len.min(STORED_PIECE) as usize];
        let mut left = len;
        while left > 0 {
            let step = left.min(STORED_PIECE) as usize;
            self.exact(&mut buffer[..step], what)?;
            left -= step as u64;
        }
        Ok(())
    }

    /// Fills `buffer`, with a part of `what`.
    fn exact(&mut self, buffer: &mut [u8], what: &'static str) -> Result<(), Error> {
        let mut done = 0;
        while done < buffer.len() {
            match self.some(&mut buffer[done..])? {
                0 => return Err(self.ends(what)),
                read => done += read,
            }
        }
        Ok(())
    }

    /// Reads what there is; nothing at the end of the stream.
    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            self.cancel.check()?;
            match self.input.read(buffer) {
                Ok(read) => {
                    self.at += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(Action::Read, &self.name)(error)),
            }
        }
    }

    /// The error of a stream that ends within `what`.
    pub(super) fn ends(&self, what: &str) -> Error {
        Error::StreamEnds { file: self.name.clone(), offset: self.at, what: what.to_owned() }
    }

    pub(super) fn malformed(&self, source: FormatError) -> Error {
        Error::Malformed { file: self.name.clone(), of: Of::File, source }
    }

    pub(super) fn damaged(&self, header: &BlobHeader, damage: Damage) -> Error {
        Error::Damaged { file: self.name.clone(), path: None, hash: header.hash, damage }
    }
}

/// How many bytes of an integrity table follow, where `start` is how one begins: it is no resource,
/// and stands between the parts of a split set.
fn integrity_table(start: &[u8]) -> Option<u64> {
    let (words, _) = start.as_chunks::<4>();
    let word = |index: usize| words.get(index).map(|word| u64::from(u32::from_le_bytes(*word)));
    let (len, count) = (word(0)?, word(1)?);
    (len == 12 + 20 * count).then(|| len - MAGIC_LEN as u64)
}
