//! A source made of ranges of another source.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{Expect, FileExtent, Source, out_of_range, range_end};

/// A range of the base source, or zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte in the base; `None` for bytes that are not stored and read as zeros.
    pub place: Option<u64>,
    /// Number of bytes.
    pub len: u64,
}

/// Ranges of a base source strung together: a file of an ISO image, for example.
///
/// Neighbouring ranges are joined, so a large file whose extents follow each other (as every
/// mastering program writes them) is one range and gives free slices.
#[derive(Debug)]
pub struct ExtentSource {
    base: Arc<dyn Source>,
    /// In order of `start`, without gaps, none empty.
    pieces: Vec<Piece>,
    len: u64,
    name: String,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u64,
    extent: Extent,
}

impl ExtentSource {
    /// Strings `extents` of `base` together; `name` is used in messages.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where an extent is not wholly inside `base`.
    pub fn new(
        base: Arc<dyn Source>,
        extents: impl IntoIterator<Item = Extent>,
        name: impl Into<String>,
    ) -> io::Result<ExtentSource> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut len = 0u64;
        for extent in extents.into_iter().filter(|extent| extent.len > 0) {
            if let Some(place) = extent.place
                && range_end(base.len(), place, extent.len).is_none()
            {
                return Err(out_of_range(&*base, place, extent.len));
            }
            let Some(end) = len.checked_add(extent.len) else {
                return Err(io::ErrorKind::FileTooLarge.into());
            };
            match pieces.last_mut() {
                Some(last) if joins(last.extent, extent) => last.extent.len += extent.len,
                _ => pieces.push(Piece { start: len, extent }),
            }
            len = end;
        }
        Ok(ExtentSource { base, pieces, len, name: name.into() })
    }

    /// The number of separate ranges, after joining neighbours.
    pub fn fragments(&self) -> usize {
        self.pieces.len()
    }

    /// The extents of the base that hold `offset..offset + len`, a range inside this source.
    fn parts(&self, offset: u64, len: u64) -> impl Iterator<Item = Extent> + '_ {
        let end = offset + len;
        let first = self.pieces.partition_point(|p| p.start + p.extent.len <= offset);
        let touched = self.pieces[first..].iter().take_while(move |p| p.start < end);
        touched.map(move |piece| {
            let from = offset.max(piece.start);
            let to = end.min(piece.start + piece.extent.len);
            let skip = from - piece.start;
            Extent { place: piece.extent.place.map(|place| place + skip), len: to - from }
        })
    }
}

/// Whether `next` continues `last` in the base.
fn joins(last: Extent, next: Extent) -> bool {
    match (last.place, next.place) {
        (Some(last_place), Some(next_place)) => last_place + last.len == next_place,
        (None, None) => true,
        _ => false,
    }
}

impl Source for ExtentSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        if range_end(self.len, offset, len as u64).is_none() {
            return Err(out_of_range(self, offset, len as u64));
        }
        if let Some(Extent { place: Some(place), len: whole }) =
            self.parts(offset, len as u64).next()
            && whole == len as u64
        {
            return self.base.bytes(place, len);
        }
        let mut buffer = BytesMut::zeroed(len);
        self.read_at(offset, &mut buffer)?;
        Ok(buffer.freeze())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if range_end(self.len, offset, buffer.len() as u64).is_none() {
            return Err(out_of_range(self, offset, buffer.len() as u64));
        }
        let mut rest = &mut *buffer;
        for part in self.parts(offset, rest.len() as u64) {
            let (now, later) = rest.split_at_mut(part.len as usize);
            match part.place {
                Some(place) => self.base.read_at(place, now)?,
                None => now.fill(0),
            }
            rest = later;
        }
        Ok(())
    }

    fn file_extents(&self, offset: u64, len: u64) -> Option<Vec<FileExtent>> {
        range_end(self.len, offset, len)?;
        let mut extents = Vec::new();
        for part in self.parts(offset, len) {
            extents.extend(self.base.file_extents(part.place?, part.len)?);
        }
        Some(extents)
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn expect(&self, what: Expect, offset: u64, len: u64) {
        let len = len.min(self.len.saturating_sub(offset));
        for part in self.parts(offset.min(self.len), len) {
            if let Some(place) = part.place {
                self.base.expect(what, place, part.len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::MemorySource;

    fn base() -> Arc<dyn Source> {
        Arc::new(MemorySource::new((0..=255).collect::<Vec<u8>>(), "base"))
    }

    fn at(place: u64, len: u64) -> Extent {
        Extent { place: Some(place), len }
    }

    #[test]
    fn neighbours_are_joined_and_slices_are_free() {
        let source = ExtentSource::new(base(), [at(10, 5), at(15, 5), at(0, 0)], "joined").unwrap();
        assert_eq!(source.fragments(), 1);
        let bytes = source.bytes(2, 6).unwrap();
        let again = source.bytes(2, 6).unwrap();
        assert_eq!(bytes.as_ptr(), again.as_ptr(), "a slice of the base, not a copy");
        assert_eq!(&bytes[..], [12, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn an_extent_beyond_the_base_is_refused() {
        for extent in [at(250, 7), at(u64::MAX, 1), at(0, u64::MAX)] {
            assert!(ExtentSource::new(base(), [extent], "bad").is_err());
        }
        let huge = [Extent { place: None, len: u64::MAX }, Extent { place: None, len: 1 }];
        assert!(ExtentSource::new(base(), huge, "bad").is_err());
    }

    proptest! {
        #[test]
        fn reads_equal_the_extents_strung_together(
            extents in proptest::collection::vec(
                (proptest::option::of(0u64..200), 0u64..56)
                    .prop_map(|(place, len)| Extent { place, len }), 0..12),
            offset in 0u64..700, len in 0usize..700,
        ) {
            let base = base();
            let mut whole = Vec::new();
            for extent in &extents {
                match extent.place {
                    Some(place) => whole.extend(place as u8..(place + extent.len) as u8),
                    None => whole.extend(std::iter::repeat_n(0, extent.len as usize)),
                }
            }
            let source = ExtentSource::new(base, extents, "extents").unwrap();
            prop_assert_eq!(source.len(), whole.len() as u64);
            let expected = whole.get(offset as usize..offset as usize + len);
            source.expect(Expect::Soon, offset, len as u64);
            let bytes = source.bytes(offset, len).ok();
            prop_assert_eq!(bytes.as_deref(), expected);
            let mut buffer = vec![1; len];
            prop_assert_eq!(source.read_at(offset, &mut buffer).is_ok(), expected.is_some());
            if let Some(expected) = expected {
                prop_assert_eq!(&buffer, expected);
            }
        }
    }
}
