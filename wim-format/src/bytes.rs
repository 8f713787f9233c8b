//! Checked reading of fixed records.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::{FormatError, Structure};

/// Rounds up to a multiple of eight, as most of the format does; saturates near `usize::MAX`.
pub(crate) const fn align8(len: usize) -> usize {
    len.saturating_add(7) & !7
}

/// Borrows the record `T` that begins at `offset`.
pub(crate) fn record<T>(bytes: &[u8], offset: usize, of: Structure) -> Result<&T, FormatError>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    let rest = bytes.get(offset..).unwrap_or_default();
    T::ref_from_prefix(rest)
        .map(|(record, _)| record)
        .map_err(|_| truncated(of, offset, size_of::<T>(), rest.len()))
}

/// Borrows `len` bytes at `offset`.
pub(crate) fn range(
    bytes: &[u8],
    offset: usize,
    len: usize,
    of: Structure,
) -> Result<&[u8], FormatError> {
    let rest = bytes.get(offset..).unwrap_or_default();
    rest.get(..len).ok_or_else(|| truncated(of, offset, len, rest.len()))
}

pub(crate) fn truncated(
    structure: Structure,
    offset: usize,
    needed: usize,
    available: usize,
) -> FormatError {
    FormatError::Truncated {
        structure,
        offset: offset as u64,
        needed: needed as u64,
        available: available as u64,
    }
}

pub(crate) fn invalid(
    structure: Structure,
    offset: usize,
    found: u64,
    expected: &'static str,
) -> FormatError {
    FormatError::Invalid { structure, offset: offset as u64, found, expected }
}
