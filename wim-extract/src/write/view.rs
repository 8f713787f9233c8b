//! A planned file that can be read without having been written.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wim_format::header::HEADER_LEN;
use wim_format::integrity::IntegrityTable;

use super::execute;
use super::layout::{Drafted, Segment};
use crate::cancel::Cancel;
use crate::error::Error;
use crate::pipeline::Threads;
use crate::progress::Silent;
use crate::source::{Expect, FileExtent, Source};

/// The file that a layout describes, byte for byte what would be written, as a source. The
/// integrity table, if there is to be one, is computed here.
///
/// # Errors
/// Those of reading; [`Error::Cancelled`].
pub(crate) fn source(
    drafted: &Drafted,
    name: String,
    threads: Threads,
    cancel: &Cancel,
) -> Result<Arc<dyn Source>, Error> {
    let mut view = View::of(drafted, name);
    if let Some(piece_size) = drafted.piece_size {
        let hashes = execute::hash_pieces(drafted, &view, threads, &Silent, cancel)?;
        let table = IntegrityTable { chunk_size: piece_size, hashes };
        view.set_integrity(table.to_bytes().map_err(execute::too_large)?.into());
    }
    Ok(Arc::new(view))
}

/// The segments of a layout, readable at any place. Decoded blobs and an integrity table that is
/// not set are not.
#[derive(Debug)]
pub(crate) struct View {
    name: String,
    sources: Vec<Arc<dyn Source>>,
    segments: Vec<(u64, Segment)>,
    len: u64,
}

impl View {
    pub(crate) fn of(drafted: &Drafted, name: String) -> Self {
        let head = drafted.head().map(|head| Segment::Literal(Bytes::copy_from_slice(&head)));
        let mut segments: Vec<_> = head.into_iter().map(|head| (0, head)).collect();
        segments.extend(drafted.before.clone().map(|before| (HEADER_LEN as u64, before)));
        segments.extend(drafted.segments.iter().cloned());
        Self { name, sources: drafted.sources.clone(), segments, len: drafted.len() }
    }

    fn set_integrity(&mut self, table: Bytes) {
        for (_, segment) in &mut self.segments {
            if matches!(segment, Segment::Integrity { .. }) {
                *segment = Segment::Literal(table.clone());
            }
        }
    }

    /// The segments that hold the bytes `offset..end`, each with the range wanted of it.
    fn covering(&self, offset: u64, end: u64) -> impl Iterator<Item = (&Segment, u64, u64)> {
        let first = self.segments.partition_point(|(at, segment)| at + segment.len() <= offset);
        let rest = self.segments[first..].iter().take_while(move |(at, _)| *at < end);
        rest.map(move |(at, segment)| {
            let from = offset.max(*at) - at;
            let to = end.min(at + segment.len()) - at;
            (segment, from, to)
        })
    }

    fn read(&self, segment: &Segment, from: u64, to: u64) -> io::Result<Bytes> {
        match segment {
            Segment::Copy { source, offset, .. } => {
                self.sources[*source].bytes(offset + from, (to - from) as usize)
            }
            Segment::Literal(bytes) => Ok(bytes.slice(from as usize..to as usize)),
            Segment::Decoded { .. } | Segment::Written { .. } | Segment::Integrity { .. } => {
                Err(io::Error::other("these bytes are not known before the file is written"))
            }
        }
    }
}

impl Source for View {
    fn len(&self) -> u64 {
        self.len
    }

    fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut pieces = self.covering(offset, end);
        let Some((segment, from, to)) = pieces.next() else { return Ok(Bytes::new()) };
        let first = self.read(segment, from, to)?;
        if first.len() == len {
            return Ok(first);
        }
        let mut all = BytesMut::with_capacity(len);
        all.extend_from_slice(&first);
        for (segment, from, to) in pieces {
            all.extend_from_slice(&self.read(segment, from, to)?);
        }
        Ok(all.freeze())
    }

    fn file_extents(&self, offset: u64, len: u64) -> Option<Vec<FileExtent>> {
        let end = offset.checked_add(len).filter(|&end| end <= self.len)?;
        let mut extents = Vec::new();
        for (segment, from, to) in self.covering(offset, end) {
            let Segment::Copy { source, offset, .. } = segment else { return None };
            extents.extend(self.sources[*source].file_extents(offset + from, to - from)?);
        }
        Some(extents)
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn expect(&self, what: Expect, offset: u64, len: u64) {
        for (segment, from, to) in self.covering(offset, offset.saturating_add(len)) {
            if let Segment::Copy { source, offset, .. } = segment {
                self.sources[*source].expect(what, offset + from, to - from);
            }
        }
    }
}
