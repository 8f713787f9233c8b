//! Descriptor tags and checked access to the fields behind them ([ECMA-167] 3/7.2).

use bytes::Bytes;

use super::UdfError;
use crate::source::Source;

/// The kinds of descriptors that are read, by tag identifier.
pub(super) mod id {
    pub(in super::super) const ANCHOR: u16 = 2;
    pub(in super::super) const VOLUME_POINTER: u16 = 3;
    pub(in super::super) const PARTITION: u16 = 5;
    pub(in super::super) const LOGICAL_VOLUME: u16 = 6;
    pub(in super::super) const TERMINATING: u16 = 8;
    pub(in super::super) const FILE_SET: u16 = 256;
    pub(in super::super) const FILE_IDENTIFIER: u16 = 257;
    pub(in super::super) const ALLOCATION_EXTENT: u16 = 258;
    pub(in super::super) const FILE_ENTRY: u16 = 261;
    pub(in super::super) const EXTENDED_FILE_ENTRY: u16 = 266;
}

/// Bytes of a tag.
pub(super) const TAG_LEN: usize = 16;

/// A block whose tag was checked. Fields are read by their offset in the descriptor; a field that
/// would lie outside the block is an error, never a panic.
#[derive(Debug)]
pub(super) struct Descriptor {
    bytes: Bytes,
    /// Where the block is in the image.
    pub(super) offset: u64,
    /// Which kind, one of [`id`] or any other number.
    pub(super) id: u16,
}

impl Descriptor {
    /// Reads the block of `len` bytes at `offset` and checks its tag. `location` is the block
    /// number that the tag has to name.
    pub(super) fn read(
        source: &dyn Source,
        offset: u64,
        len: u32,
        location: u32,
    ) -> Result<Descriptor, UdfError> {
        let bytes = source.bytes(offset, len as usize)?;
        let mut descriptor = Descriptor { bytes, offset, id: 0 };
        descriptor.id = descriptor.u16(0)?;
        descriptor.check(location)?;
        Ok(descriptor)
    }

    fn check(&self, location: u32) -> Result<(), UdfError> {
        if !tag_checksum_holds(self.slice(0, TAG_LEN)?) {
            return Err(self.damaged("a descriptor tag with a wrong checksum"));
        }
        if self.u32(12)? != location {
            return Err(self.damaged("a descriptor tag that names another block"));
        }
        let covered = self.slice(TAG_LEN, usize::from(self.u16(10)?))?;
        if crc(covered) != self.u16(8)? {
            return Err(self.damaged("a descriptor with a wrong CRC"));
        }
        Ok(())
    }

    /// The error of a rule broken by this descriptor.
    pub(super) fn damaged(&self, what: &'static str) -> UdfError {
        UdfError::Damaged { offset: self.offset, what }
    }

    /// The `len` bytes at `at`.
    pub(super) fn slice(&self, at: usize, len: usize) -> Result<&[u8], UdfError> {
        let range = at.checked_add(len).and_then(|end| self.bytes.get(at..end));
        range.ok_or_else(|| self.damaged("a field that reaches beyond its block"))
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], UdfError> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(at, N)?);
        Ok(array)
    }

    pub(super) fn u8(&self, at: usize) -> Result<u8, UdfError> {
        Ok(self.array::<1>(at)?[0])
    }

    pub(super) fn u16(&self, at: usize) -> Result<u16, UdfError> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    pub(super) fn u32(&self, at: usize) -> Result<u32, UdfError> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    pub(super) fn u64(&self, at: usize) -> Result<u64, UdfError> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }
}

/// Whether byte 4 of a tag is the sum of its other fifteen bytes.
pub(super) fn tag_checksum_holds(tag: &[u8]) -> bool {
    let Some((tag, _)) = tag.split_first_chunk::<TAG_LEN>() else { return false };
    let sum = tag.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    sum.wrapping_sub(tag[4]) == tag[4]
}

/// CRC-16 with polynomial x¹⁶+x¹²+x⁵+1, from zero, highest bit first ([ECMA-167] 3/7.2.6).
pub(super) fn crc(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = (i as u16) << 8;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, &byte| crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_standard_example() {
        // [ECMA-167] 3/7.2.6 gives this example.
        assert_eq!(crc(&[0x70, 0x6A, 0x77]), 0x3299);
    }
}
