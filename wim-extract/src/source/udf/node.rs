//! File entries: attributes, and where the data is ([ECMA-167] 4/14.6 to 4/14.17).

use std::{collections::HashSet, time::SystemTime};

use super::{
    EntryKind, UdfError,
    tag::{Descriptor, id},
    time,
    volume::Volume,
};
use crate::source::{Extent, Source};

/// Extents of a file at most: a file of 1 TiB in pieces of 1 MiB.
const MAX_EXTENTS: usize = 1_000_000;

/// A file or directory.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: EntryKind,
    /// Bytes of its data.
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
    /// The `size` bytes of data; empty after [`Node::read_attributes`].
    pub(super) extents: Vec<Extent>,
}

/// Where the fields are that lie differently in a file entry and an extended file entry.
struct Layout {
    modified: usize,
    extended_attributes_len: usize,
    /// First byte behind the fixed part: extended attributes, then allocation descriptors.
    variable: usize,
}

const FILE_ENTRY: Layout = Layout { modified: 84, extended_attributes_len: 168, variable: 176 };
const EXTENDED: Layout = Layout { modified: 92, extended_attributes_len: 208, variable: 216 };

/// How data is described: bits 0–2 of the flags in the ICB tag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allocation {
    /// 8 bytes each: length, block.
    Short,
    /// 16 bytes each: length, block, partition, 6 bytes of no meaning here.
    Long,
    /// The data itself is in place of the descriptors.
    Embedded,
}

impl Node {
    /// Reads the file entry at `place` without its extents.
    pub(super) fn read_attributes(
        source: &dyn Source,
        volume: &Volume,
        place: u64,
    ) -> Result<Node, UdfError> {
        let entry = volume.descriptor(source, place)?;
        let layout = layout(&entry)?;
        let kind = match entry.u8(27)? {
            4 => EntryKind::Directory,
            // 0 is "not specified", as some programs write for files.
            0 | 5 => EntryKind::File,
            _ => {
                let what = "a link, device or other special file";
                return Err(UdfError::Unsupported { what });
            }
        };
        let modified = time::parse(entry.slice(layout.modified, 12)?);
        Ok(Node { kind, size: entry.u64(56)?, modified, extents: Vec::new() })
    }

    /// Reads the file entry at `place`.
    pub(super) fn read(source: &dyn Source, volume: &Volume, place: u64) -> Result<Node, UdfError> {
        let mut node = Node::read_attributes(source, volume, place)?;
        let entry = volume.descriptor(source, place)?;
        let layout = layout(&entry)?;
        let skipped = entry.u32(layout.extended_attributes_len)? as usize;
        let start = layout.variable.saturating_add(skipped);
        let len = entry.u32(layout.extended_attributes_len + 4)? as usize;
        entry.slice(start, len)?;
        node.extents = match allocation(&entry)? {
            Allocation::Embedded => {
                vec![Extent { place: Some(place + start as u64), len: len as u64 }]
            }
            kind => Walk::new(source, volume, kind).run(entry, start, len)?,
        };
        node.cut_to_size(place)?;
        Ok(node)
    }

    /// Shortens the extents, which are whole blocks, to the size of the file.
    fn cut_to_size(&mut self, place: u64) -> Result<(), UdfError> {
        let mut left = self.size;
        for extent in &mut self.extents {
            extent.len = extent.len.min(left);
            left -= extent.len;
        }
        self.extents.retain(|extent| extent.len > 0);
        match left {
            0 => Ok(()),
            _ => Err(UdfError::Damaged { offset: place, what: "a file longer than its extents" }),
        }
    }
}

/// Which layout a file entry has; anything else, or a kind of ICB that only write-once media have,
/// is an error.
fn layout(entry: &Descriptor) -> Result<Layout, UdfError> {
    let layout = match entry.id {
        id::FILE_ENTRY => FILE_ENTRY,
        id::EXTENDED_FILE_ENTRY => EXTENDED,
        _ => return Err(entry.damaged("something else where a file entry is expected")),
    };
    match entry.u16(20)? {
        4 => Ok(layout),
        _ => Err(UdfError::Unsupported { what: "an ICB strategy for write-once media" }),
    }
}

fn allocation(entry: &Descriptor) -> Result<Allocation, UdfError> {
    match entry.u16(34)? & 7 {
        0 => Ok(Allocation::Short),
        1 => Ok(Allocation::Long),
        3 => Ok(Allocation::Embedded),
        _ => Err(UdfError::Unsupported { what: "a file with extended allocation descriptors" }),
    }
}

/// A walk over the allocation descriptors of one file, which may go on in further blocks.
struct Walk<'a> {
    source: &'a dyn Source,
    volume: &'a Volume,
    allocation: Allocation,
    extents: Vec<Extent>,
}

/// What follows the descriptors of one block.
enum Then {
    End,
    /// More descriptors in the block at this place.
    Continue(u64),
}

impl<'a> Walk<'a> {
    fn new(source: &'a dyn Source, volume: &'a Volume, allocation: Allocation) -> Walk<'a> {
        Walk { source, volume, allocation, extents: Vec::new() }
    }

    /// Reads the descriptors in the `len` bytes at `start` of `block`, and those that continue them.
    fn run(
        mut self,
        mut block: Descriptor,
        mut start: usize,
        mut len: usize,
    ) -> Result<Vec<Extent>, UdfError> {
        let mut visited = HashSet::new();
        while let Then::Continue(place) = self.descriptors(&block, start, len)? {
            if !visited.insert(place) {
                return Err(block.damaged("allocation descriptors that go in a circle"));
            }
            block = self.volume.descriptor(self.source, place)?;
            if block.id != id::ALLOCATION_EXTENT {
                return Err(block.damaged("no allocation descriptors where they should continue"));
            }
            (start, len) = (24, block.u32(20)? as usize);
        }
        Ok(self.extents)
    }

    fn descriptors(
        &mut self,
        block: &Descriptor,
        start: usize,
        len: usize,
    ) -> Result<Then, UdfError> {
        block.slice(start, len)?;
        let step = if self.allocation == Allocation::Short { 8 } else { 16 };
        for at in (start..start + len / step * step).step_by(step) {
            let field = block.u32(at)?;
            // The two highest bits are the extent's type.
            let (kind, len) = (field >> 30, field & 0x3FFF_FFFF);
            if len == 0 {
                break;
            }
            let number = block.u32(at + 4)?;
            let place = match self.allocation {
                Allocation::Long => self.volume.place(number, block.u16(at + 8)?),
                Allocation::Short | Allocation::Embedded => Some(self.volume.place_here(number)),
            };
            let Some(place) = place else {
                return Err(block.damaged("an extent in a partition that does not exist"));
            };
            if kind == 3 {
                return Ok(Then::Continue(place));
            }
            if self.extents.len() >= MAX_EXTENTS {
                let limit = MAX_EXTENTS as u64;
                return Err(UdfError::TooMuch { limit, what: "extents in a file" });
            }
            // Type 0 is recorded; 1 and 2 are holes, which read as zeros.
            let place = (kind == 0).then_some(place);
            self.extents.push(Extent { place, len: u64::from(len) });
        }
        Ok(Then::End)
    }
}
