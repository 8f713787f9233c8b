//! The blob table (Microsoft calls it the lookup table): every blob of the file by its SHA-1.
//!
//! ```text
//! 0 resource header[24]   24 part u16   26 reference count u32   30 SHA-1[20]      (× n, no head)
//! ```
//!
//! In version 0xe00 a run of entries with the SOLID flag describes solid resources and the blobs
//! in them. An entry whose uncompressed size is 2^32 is a resource; any other is a blob, whose
//! "offset" counts through the uncompressed bytes of all resources of the run in turn.

#[cfg(test)]
mod tests;

use std::ops::Range;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::bytes::invalid;
use crate::hash::Sha1Set;
use crate::header::{Header, Version};
use crate::resource::{RawResourceHeader, ResourceFlags, ResourceHeader, SolidHeader};
use crate::{FormatError, Sha1Hash, Structure};

/// Length of an entry in bytes.
pub const BLOB_ENTRY_LEN: usize = 50;

/// The uncompressed size that marks the entry of a solid resource.
const SOLID_RESOURCE_MARK: u64 = 1 << 32;

/// What a blob table holds, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlobTable {
    /// The metadata resource of image 1, 2, …; their order in the table defines it.
    pub metadata: Vec<MetadataEntry>,
    /// All other blobs in table order, no two with the same hash.
    pub blobs: Vec<Blob>,
    /// The solid resources that hold some of the blobs.
    pub solid: Vec<SolidResource>,
    /// Entries that readers pass over.
    pub ignored: Vec<Ignored>,
}

/// The metadata resource of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataEntry {
    /// Where it is.
    pub resource: ResourceHeader,
    /// SHA-1 of the uncompressed metadata.
    pub hash: Sha1Hash,
}

/// A blob: the contents of one or more streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// SHA-1 of the uncompressed bytes.
    pub hash: Sha1Hash,
    /// Uncompressed size in bytes, not 0.
    pub size: u64,
    /// Number of streams, over all images and hard links, that refer to it.
    pub refcount: u32,
    /// The part of the split set that holds it.
    pub part_number: u16,
    /// Where it is.
    pub place: BlobPlace,
}

/// Where a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobPlace {
    /// Alone in a resource.
    Resource(ResourceHeader),
    /// In a solid resource.
    Solid {
        /// Index in [`BlobTable::solid`].
        resource: usize,
        /// Offset in the uncompressed bytes of that resource.
        offset: u64,
    },
}

/// A solid resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolidResource {
    /// Where it is; `uncompressed_size` is the true one, as in `header`.
    pub resource: ResourceHeader,
    /// Its own header, read from the file.
    pub header: SolidHeader,
}

/// An entry that is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored {
    /// Index of the entry in the table.
    pub entry: usize,
    /// The hash it gives; zero where the table ends within the entry.
    pub hash: Sha1Hash,
    /// Why.
    pub reason: IgnoredReason,
}

/// Why an entry of the table is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IgnoredReason {
    /// The hash is all zero, which stands for "no blob".
    ZeroHash,
    /// The blob has no bytes.
    Empty,
    /// It belongs to another part of the split set.
    OtherPart,
    /// An earlier entry has the same hash.
    Duplicate,
    /// Metadata that nothing refers to.
    UnreferencedMetadata,
    /// Metadata outside part 1.
    MetadataOutsideFirstPart,
    /// More metadata than the header has images.
    SurplusMetadata,
    /// A solid blob that does not lie within one solid resource of its run.
    OutsideSolidResource,
    /// The table ends within it.
    Cut,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawEntry {
    resource: RawResourceHeader,
    part_number: U16,
    refcount: U32,
    hash: Sha1Hash,
}

const _: () = assert!(size_of::<RawEntry>() == BLOB_ENTRY_LEN);

impl BlobTable {
    /// Reads the table of the file that `header` heads. For each solid resource, `solid_header`
    /// is called with its place and has to return what the file holds there.
    ///
    /// # Errors
    /// A stored blob with two different sizes, metadata that is solid or has several references;
    /// whatever `solid_header` returns.
    pub fn parse<E: From<FormatError>>(
        bytes: &[u8],
        header: &Header,
        solid_header: impl FnMut(&ResourceHeader) -> Result<SolidHeader, E>,
    ) -> Result<Self, E> {
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOB_ENTRY_LEN);
        let entries = <[RawEntry]>::ref_from_bytes(whole).unwrap_or_default();
        let mut reader = Reader {
            table: Self::default(),
            seen: Sha1Set::with_capacity_and_hasher(entries.len(), <_>::default()),
            run: Vec::new(),
            header,
            solid_header,
        };
        let mut index = 0;
        while let Some(entry) = entries.get(index) {
            if reader.is_solid(entry) {
                let run = entries[index..].iter().take_while(|entry| reader.is_solid(entry));
                let end = index + run.count();
                reader.solid_run(&entries[index..end], index)?;
                index = end;
            } else {
                reader.single(entry, index)?;
                index += 1;
            }
        }
        if !rest.is_empty() {
            let (entry, hash, reason) = (entries.len(), Sha1Hash::ZERO, IgnoredReason::Cut);
            reader.table.ignored.push(Ignored { entry, hash, reason });
        }
        Ok(reader.table)
    }
}

impl BlobTable {
    /// The table as it stands in a file: metadata in the order of the images, then all else in
    /// the order of the file. Neighbouring solid resources form one run. Ignored entries are left
    /// out.
    ///
    /// # Errors
    /// A blob names a solid resource that `solid` does not have.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let metadata = self.metadata.iter().map(|entry| RawEntry {
            resource: entry.resource.into(),
            part_number: 1.into(),
            refcount: 1.into(),
            hash: entry.hash,
        });
        let mut table: Vec<RawEntry> = metadata.collect();
        // Where in the uncompressed bytes of the run the last solid resource begins and ends.
        let mut run = 0u64..0;
        for item in self.items_in_file_order()? {
            let entry = match item {
                Item::Solid(SolidResource { resource, header }) => {
                    let start = run.end;
                    let end = start.checked_add(header.uncompressed_size);
                    run = start..end.ok_or(FormatError::TooLarge {
                        structure: Structure::BlobTable,
                        found: header.uncompressed_size,
                        expected: "solid resources of less than 2^64 bytes together",
                    })?;
                    RawEntry {
                        resource: ResourceHeader {
                            flags: resource.flags | ResourceFlags::SOLID,
                            uncompressed_size: SOLID_RESOURCE_MARK,
                            ..*resource
                        }
                        .into(),
                        part_number: 1.into(),
                        refcount: 1.into(),
                        hash: Sha1Hash::ZERO,
                    }
                }
                Item::Blob(blob) => blob_entry(blob, &mut run),
            };
            table.push(entry);
        }
        Ok(table.as_bytes().to_vec())
    }

    fn items_in_file_order(&self) -> Result<Vec<Item<'_>>, FormatError> {
        // Sorted by place in the file, then each solid resource before its blobs.
        let solid = self.solid.iter().zip(1..);
        let mut items: Vec<_> = solid
            .map(|(solid, nth)| ((solid.resource.offset, nth, None), Item::Solid(solid)))
            .collect();
        for (blob, index) in self.blobs.iter().zip(0..) {
            items.push(match blob.place {
                BlobPlace::Resource(resource) => ((resource.offset, 0, None), Item::Blob(blob)),
                BlobPlace::Solid { resource, offset } => {
                    let Some(solid) = self.solid.get(resource) else {
                        let expected = "a blob in a solid resource of the table";
                        let found = resource as u64;
                        return Err(invalid(Structure::BlobTable, index, found, expected));
                    };
                    let key = (solid.resource.offset, resource + 1, Some(offset));
                    (key, Item::Blob(blob))
                }
            });
        }
        items.sort_by_key(|(key, _)| *key);
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }
}

/// An entry to be written.
enum Item<'t> {
    Solid(&'t SolidResource),
    Blob(&'t Blob),
}

/// The entry of a blob; `run` is what the last solid resource covers of its run, and is emptied by
/// a blob that is in none.
fn blob_entry(blob: &Blob, run: &mut Range<u64>) -> RawEntry {
    let resource = match blob.place {
        BlobPlace::Resource(resource) => {
            *run = 0..0;
            resource
        }
        BlobPlace::Solid { offset, .. } => ResourceHeader {
            size: blob.size,
            flags: ResourceFlags::SOLID,
            offset: run.start.saturating_add(offset),
            uncompressed_size: 0,
        },
    };
    RawEntry {
        resource: resource.into(),
        part_number: blob.part_number.into(),
        refcount: blob.refcount.into(),
        hash: blob.hash,
    }
}

struct Reader<'h, F> {
    table: BlobTable,
    seen: Sha1Set,
    /// Solid resources of the current run: index, start and end in the run's uncompressed bytes.
    run: Vec<(usize, u64, u64)>,
    header: &'h Header,
    solid_header: F,
}

impl<F> Reader<'_, F> {
    fn is_solid(&self, entry: &RawEntry) -> bool {
        self.header.version == Version::Solid
            && entry.resource.get().flags.contains(ResourceFlags::SOLID)
    }

    fn solid_run<E: From<FormatError>>(
        &mut self,
        entries: &[RawEntry],
        first: usize,
    ) -> Result<(), E>
    where
        F: FnMut(&ResourceHeader) -> Result<SolidHeader, E>,
    {
        self.run.clear();
        let mut end = 0u64;
        for (entry, index) in entries.iter().zip(first..) {
            let mut resource = entry.resource.get();
            if resource.flags.contains(ResourceFlags::METADATA) {
                let at = index * BLOB_ENTRY_LEN;
                Err(invalid(Structure::BlobTable, at, 0x12, "metadata that is not solid"))?;
            }
            if resource.uncompressed_size != SOLID_RESOURCE_MARK {
                continue;
            }
            let header = (self.solid_header)(&resource)?;
            resource.uncompressed_size = header.uncompressed_size;
            let start = end;
            end = start.saturating_add(header.uncompressed_size);
            if end > start {
                self.run.push((self.table.solid.len(), start, end));
            }
            self.table.solid.push(SolidResource { resource, header });
        }
        for (entry, index) in entries.iter().zip(first..) {
            let place = entry.resource.get();
            if place.uncompressed_size == SOLID_RESOURCE_MARK {
                continue;
            }
            match self.place_in_run(&place) {
                Some(found) => self.blob(entry, index, place.size, found),
                None => self.ignore(entry, index, IgnoredReason::OutsideSolidResource),
            }
        }
        Ok(())
    }

    /// The solid resource of the run that holds all of a blob.
    fn place_in_run(&self, blob: &ResourceHeader) -> Option<BlobPlace> {
        let blob_end = blob.offset.checked_add(blob.size)?;
        let after = self.run.partition_point(|&(_, start, _)| start <= blob.offset);
        let &(resource, start, end) = self.run.get(after.checked_sub(1)?)?;
        (blob_end <= end).then_some(BlobPlace::Solid { resource, offset: blob.offset - start })
    }

    fn single(&mut self, entry: &RawEntry, index: usize) -> Result<(), FormatError> {
        let resource = entry.resource.get();
        if !resource.is_compressed() && resource.size != resource.uncompressed_size {
            let expected = "equal sizes for a stored blob";
            let at = index * BLOB_ENTRY_LEN;
            return Err(invalid(Structure::BlobTable, at, resource.size, expected));
        }
        if resource.flags.contains(ResourceFlags::METADATA) {
            return self.metadata(entry, index);
        }
        self.blob(entry, index, resource.uncompressed_size, BlobPlace::Resource(resource));
        Ok(())
    }

    fn metadata(&mut self, entry: &RawEntry, index: usize) -> Result<(), FormatError> {
        let reason = if entry.hash.is_zero() {
            IgnoredReason::ZeroHash
        } else if entry.resource.get().uncompressed_size == 0 {
            IgnoredReason::Empty
        } else if entry.part_number.get() != self.header.part_number {
            IgnoredReason::OtherPart
        } else if entry.refcount.get() == 0 {
            IgnoredReason::UnreferencedMetadata
        } else if entry.refcount.get() > 1 {
            let at = index * BLOB_ENTRY_LEN + 26;
            let expected = "a reference count of 1 for metadata";
            return Err(invalid(Structure::BlobTable, at, entry.refcount.get().into(), expected));
        } else if self.header.part_number != 1 {
            IgnoredReason::MetadataOutsideFirstPart
        } else if self.table.metadata.len() >= self.header.image_count as usize {
            IgnoredReason::SurplusMetadata
        } else {
            let resource = entry.resource.get();
            self.table.metadata.push(MetadataEntry { resource, hash: entry.hash });
            return Ok(());
        };
        self.ignore(entry, index, reason);
        Ok(())
    }

    fn blob(&mut self, entry: &RawEntry, index: usize, size: u64, place: BlobPlace) {
        let part_number = entry.part_number.get();
        let reason = if entry.hash.is_zero() {
            IgnoredReason::ZeroHash
        } else if size == 0 {
            IgnoredReason::Empty
        } else if part_number != self.header.part_number {
            IgnoredReason::OtherPart
        } else if !self.seen.insert(entry.hash) {
            IgnoredReason::Duplicate
        } else {
            let (hash, refcount) = (entry.hash, entry.refcount.get());
            self.table.blobs.push(Blob { hash, size, refcount, part_number, place });
            return;
        };
        self.ignore(entry, index, reason);
    }

    fn ignore(&mut self, entry: &RawEntry, index: usize, reason: IgnoredReason) {
        self.table.ignored.push(Ignored { entry: index, hash: entry.hash, reason });
    }
}
