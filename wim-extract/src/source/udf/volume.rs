//! From the anchor to the root directory.

use super::{
    UdfError, name,
    tag::{Descriptor, id},
};
use crate::source::Source;

/// What is needed of the volume structures.
#[derive(Debug)]
pub(super) struct Volume {
    /// Bytes of a logical block, which are those of a sector too.
    pub(super) block_size: u32,
    /// The volume's name.
    pub(super) label: String,
    /// Where the root directory's file entry is in the image, in bytes.
    pub(super) root: u64,
    /// First block of the partition.
    partition_start: u32,
    /// The number that the partition has in extents: its place in the partition map, always 0.
    partition: u16,
}

/// Sector sizes in the order in which they are tried: optical media, disks, disks with 4 KiB.
const SECTOR_SIZES: [u32; 3] = [2048, 512, 4096];
/// Descriptors read at most from a volume descriptor sequence; 16 sectors are usual.
const MAX_VOLUME_DESCRIPTORS: usize = 256;

impl Volume {
    pub(super) fn read(source: &dyn Source) -> Result<Volume, UdfError> {
        for sector_size in SECTOR_SIZES {
            let Some(anchor) = find_anchor(source, sector_size)? else { continue };
            // The main sequence is at 16 of the anchor, its copy for the case of damage at 24.
            let main = read_sequence(source, sector_size, &anchor, 16);
            let sequence = main.or_else(|error| {
                read_sequence(source, sector_size, &anchor, 24).map_err(|_| error)
            })?;
            return sequence.volume(source, sector_size);
        }
        Err(UdfError::NotUdf)
    }

    /// The place in the image of block `block` of partition `partition`, as extents name them.
    pub(super) fn place(&self, block: u32, partition: u16) -> Option<u64> {
        let sector = u64::from(self.partition_start) + u64::from(block);
        (partition == self.partition).then(|| sector * u64::from(self.block_size))
    }

    /// The place of a block in this volume's only partition.
    pub(super) fn place_here(&self, block: u32) -> u64 {
        (u64::from(self.partition_start) + u64::from(block)) * u64::from(self.block_size)
    }

    /// Reads the descriptor at `place`, a block of the partition.
    pub(super) fn descriptor(
        &self,
        source: &dyn Source,
        place: u64,
    ) -> Result<Descriptor, UdfError> {
        // Every place comes from `place` or `place_here`, so it is a block of the partition.
        let block = place / u64::from(self.block_size) - u64::from(self.partition_start);
        Descriptor::read(source, place, self.block_size, block as u32)
    }
}

/// The anchor of an image whose sectors have `size` bytes, if there is one.
fn find_anchor(source: &dyn Source, size: u32) -> Result<Option<Descriptor>, UdfError> {
    let sectors = source.len() / u64::from(size);
    let candidates = [Some(256), sectors.checked_sub(1), sectors.checked_sub(257)];
    for sector in candidates.into_iter().flatten().filter(|&sector| sector < sectors) {
        let Ok(location) = u32::try_from(sector) else { continue };
        match Descriptor::read(source, sector * u64::from(size), size, location) {
            Ok(descriptor) if descriptor.id == id::ANCHOR => return Ok(Some(descriptor)),
            Ok(_) | Err(UdfError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The two descriptors of a volume descriptor sequence that matter; of several of a kind the one
/// with the highest sequence number prevails.
#[derive(Default)]
struct Sequence {
    partitions: Vec<Descriptor>,
    logical_volume: Option<Descriptor>,
}

/// Reads the sequence whose extent (length, sector) is at `field` of the anchor.
fn read_sequence(
    source: &dyn Source,
    size: u32,
    anchor: &Descriptor,
    field: usize,
) -> Result<Sequence, UdfError> {
    let mut sequence = Sequence::default();
    let mut left = anchor.u32(field)? / size;
    let mut sector = anchor.u32(field + 4)?;
    for _ in 0..MAX_VOLUME_DESCRIPTORS {
        if left == 0 {
            break;
        }
        let place = u64::from(sector) * u64::from(size);
        let descriptor = Descriptor::read(source, place, size, sector)?;
        match descriptor.id {
            id::TERMINATING => break,
            id::VOLUME_POINTER => {
                (left, sector) = (descriptor.u32(20)? / size, descriptor.u32(24)?);
                continue;
            }
            id::PARTITION => sequence.partitions.push(descriptor),
            id::LOGICAL_VOLUME if prevails(&descriptor, sequence.logical_volume.as_ref())? => {
                sequence.logical_volume = Some(descriptor);
            }
            _ => {}
        }
        left -= 1;
        sector = sector.checked_add(1).ok_or(UdfError::NotUdf)?;
    }
    if sequence.logical_volume.is_none() || sequence.partitions.is_empty() {
        return Err(anchor.damaged("a volume without a partition or logical volume descriptor"));
    }
    Ok(sequence)
}

/// Whether the volume descriptor sequence number at 16 of `new` is not lower than that of `old`.
fn prevails(new: &Descriptor, old: Option<&Descriptor>) -> Result<bool, UdfError> {
    Ok(match old {
        Some(old) => new.u32(16)? >= old.u32(16)?,
        None => true,
    })
}

impl Sequence {
    fn volume(self, source: &dyn Source, sector_size: u32) -> Result<Volume, UdfError> {
        // `read_sequence` gives only sequences that have one.
        let logical = self.logical_volume.ok_or(UdfError::NotUdf)?;
        if logical.u32(212)? != sector_size {
            let what = "a volume whose logical blocks are not of the size of its sectors";
            return Err(UdfError::Unsupported { what });
        }
        let number = only_partition(&logical)?;
        let mut partition: Option<&Descriptor> = None;
        for candidate in &self.partitions {
            if candidate.u16(22)? == number && prevails(candidate, partition)? {
                partition = Some(candidate);
            }
        }
        let Some(partition) = partition else {
            return Err(logical.damaged("a logical volume in a partition that does not exist"));
        };
        let mut volume = Volume {
            block_size: sector_size,
            label: name::dstring(logical.slice(84, 128)?),
            root: 0,
            partition_start: partition.u32(188)?,
            partition: 0,
        };
        let block_and_partition = (logical.u32(252)?, logical.u16(256)?);
        let file_set = volume.indirect(source, &logical, block_and_partition, id::FILE_SET)?;
        let root = (file_set.u32(404)?, file_set.u16(408)?);
        volume.root = volume.place(root.0, root.1).ok_or_else(|| {
            file_set.damaged("a root directory in a partition that does not exist")
        })?;
        Ok(volume)
    }
}

impl Volume {
    /// Reads the descriptor of kind `id` that `from` points to.
    fn indirect(
        &self,
        source: &dyn Source,
        from: &Descriptor,
        (block, partition): (u32, u16),
        id: u16,
    ) -> Result<Descriptor, UdfError> {
        let Some(place) = self.place(block, partition) else {
            return Err(from.damaged("a pointer into a partition that does not exist"));
        };
        let descriptor = self.descriptor(source, place)?;
        if descriptor.id != id {
            return Err(descriptor.damaged("a descriptor of another kind than its pointer says"));
        }
        Ok(descriptor)
    }
}

/// The number of the one partition in a logical volume's partition map, at 440.
fn only_partition(logical: &Descriptor) -> Result<u16, UdfError> {
    let plain = logical.u32(268)? == 1 && logical.slice(440, 2)? == [1, 6];
    if !plain {
        let what = "UDF 1.50 or later with virtual, sparable or metadata partitions";
        return Err(UdfError::Unsupported { what });
    }
    logical.u16(444)
}
