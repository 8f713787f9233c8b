//! A file of the library as a source for the engine: read piece by piece, each one checked.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use wim_extract::source::{FileExtent, Source};

use super::Library;
use super::layout::Piece;

/// Pieces kept in memory: at most 64 MiB.
const KEPT: usize = 8;

/// A file made of pieces. Its methods block, so it is used outside the runtime's own threads.
#[derive(Debug)]
pub struct PieceSource {
    library: Library,
    runtime: Handle,
    /// Each piece with the offset of its first byte.
    pieces: Vec<(u64, Piece)>,
    len: u64,
    name: String,
    kept: Mutex<VecDeque<(usize, Bytes)>>,
}

impl PieceSource {
    /// The file made of `pieces`; `name` is used in messages. Called on a thread of the runtime.
    #[must_use]
    pub fn new(library: Library, pieces: &[Piece], name: impl Into<String>) -> Self {
        let mut len = 0;
        let pieces = pieces
            .iter()
            .map(|piece| {
                let start = len;
                len += piece.size;
                (start, *piece)
            })
            .collect();
        let kept = Mutex::new(VecDeque::with_capacity(KEPT));
        Self { library, runtime: Handle::current(), pieces, len, name: name.into(), kept }
    }

    fn piece(&self, index: usize) -> io::Result<Bytes> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = lock().iter().find(|(kept, _)| *kept == index) {
            return Ok(bytes.clone());
        }
        let bytes = self
            .runtime
            .block_on(self.library.get(&self.pieces[index].1))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let mut kept = lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((index, bytes.clone()));
        Ok(bytes)
    }
}

impl Source for PieceSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = offset.checked_add(len as u64).filter(|end| *end <= self.len);
        let Some(end) = end else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} has only {} bytes", self.name, self.len),
            ));
        };
        // The last piece that begins at or before the offset.
        let first = self.pieces.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        let mut whole = BytesMut::new();
        for (index, (start, piece)) in self.pieces.iter().enumerate().skip(first) {
            if *start >= end {
                break;
            }
            let bytes = self.piece(index)?;
            let from = offset.saturating_sub(*start).min(piece.size) as usize;
            let to = (end - start).min(piece.size) as usize;
            let part = bytes.slice(from..to);
            if part.len() == len {
                return Ok(part);
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole.freeze())
    }

    fn file_extents(&self, _offset: u64, _len: u64) -> Option<Vec<FileExtent>> {
        None
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::layout::ObjectId;

    #[tokio::test]
    async fn any_range_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::local(folder.path()).unwrap();
        let whole: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let mut pieces = Vec::new();
        for part in whole.chunks(700) {
            let bytes = Bytes::copy_from_slice(part);
            let id = ObjectId::of(part);
            library.put(&id, &bytes).await.unwrap();
            pieces.push(Piece { id, size: part.len() as u64 });
        }
        let source = PieceSource::new(library, &pieces, "test");
        tokio::task::spawn_blocking(move || {
            for (offset, len) in
                [(0, 10_000), (0, 0), (699, 2), (700, 700), (9_999, 1), (10_000, 0), (123, 8_000)]
            {
                let bytes = source.bytes(offset as u64, len).unwrap();
                assert_eq!(bytes, whole[offset..offset + len], "{offset} {len}");
            }
            assert!(source.bytes(9_999, 2).is_err());
            assert!(source.bytes(u64::MAX, 1).is_err());
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_damaged_piece_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::local(folder.path()).unwrap();
        let id = ObjectId::of(b"0123");
        library.put(&id, &Bytes::from_static(b"0123")).await.unwrap();
        let source = PieceSource::new(library, &[Piece { id, size: 4 }], "test");
        std::fs::write(folder.path().join(id.location().as_ref()), "0124").unwrap();
        tokio::task::spawn_blocking(move || {
            let error = source.bytes(0, 1).unwrap_err();
            assert!(error.to_string().contains("is damaged"), "{error}");
        })
        .await
        .unwrap();
    }
}
