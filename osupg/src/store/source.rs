//! A file of the library as a source for the engine: its pieces mapped, each one checked once.
//!
//! The engine's threads read at many places at a time and come back to each many times. A piece
//! stays mapped after its first use, which costs neither memory nor another look at its hash.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wim_extract::source::{FileExtent, Source};

use super::Library;
use super::layout::Piece;

/// Pieces of a file that stay mapped: about 1 GiB of a WIM. A process may have 65,530 maps (Linux's
/// usual `vm.max_map_count`), and several files may be open.
const MAPPED: usize = 8192;

/// A file made of pieces. Its methods read files, so it is used outside the runtime's own threads.
#[derive(Debug)]
pub struct PieceSource {
    library: Library,
    slots: Vec<Slot>,
    /// Slots whose bytes are mapped, the first to go in front.
    mapped: Mutex<VecDeque<usize>>,
    len: u64,
    name: String,
}

/// The place of a piece in the file.
#[derive(Debug)]
struct Slot {
    start: u64,
    piece: Piece,
    /// Locked while the piece is mapped and checked, so that only one thread does it.
    bytes: Mutex<Option<Bytes>>,
}

impl PieceSource {
    /// The file made of `pieces`; `name` is used in messages.
    #[must_use]
    pub fn new(library: Library, pieces: &[Piece], name: impl Into<String>) -> Self {
        let mut len = 0;
        let slots = pieces
            .iter()
            .map(|piece| {
                let start = len;
                len += piece.size;
                Slot { start, piece: *piece, bytes: Mutex::default() }
            })
            .collect();
        Self { library, slots, mapped: Mutex::default(), len, name: name.into() }
    }

    fn piece(&self, index: usize) -> io::Result<Bytes> {
        let bytes = {
            let mut bytes = lock(&self.slots[index].bytes);
            if let Some(bytes) = &*bytes {
                return Ok(bytes.clone());
            }
            let mapped = self.library.map(&self.slots[index].piece);
            bytes
                .insert(mapped.map_err(|error| {
                    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
                })?)
                .clone()
        };
        let oldest = {
            let mut mapped = lock(&self.mapped);
            mapped.push_back(index);
            let most = self.library.mappable().min(MAPPED);
            if mapped.len() > most { mapped.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            *lock(&self.slots[oldest].bytes) = None;
        }
        Ok(bytes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let first = self.slots.partition_point(|slot| slot.start <= offset).saturating_sub(1);
        let mut whole = BytesMut::new();
        for (index, Slot { start, piece, .. }) in self.slots.iter().enumerate().skip(first) {
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
            whole.reserve(len - whole.len());
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
    async fn many_readers_map_a_piece_once() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::local(folder.path()).unwrap();
        let bytes = Bytes::from(vec![7; 1 << 20]);
        let piece = Piece { id: ObjectId::of(&bytes), size: bytes.len() as u64 };
        library.put(&piece.id, &bytes).await.unwrap();
        let source = PieceSource::new(library, &[piece; 2], "test");
        let places: std::collections::HashSet<usize> = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| source.bytes(0, 5).unwrap().as_ptr() as usize))
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert_eq!(places.len(), 1, "each has a slice of the same map");
        assert_eq!(lock(&source.mapped).len(), 1);
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
