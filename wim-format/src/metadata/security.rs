//! The security descriptors at the start of a metadata resource.
//!
//! They are self-relative Windows security descriptors, opaque here; dentries name them by index.

use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

use crate::bytes::{align8, invalid, record, truncated};
use crate::{FormatError, Structure};

/// Bytes before the table of sizes.
const HEAD_LEN: usize = 8;

/// The security descriptors of an image.
#[derive(Debug, Clone, Copy)]
pub struct SecurityDescriptors<'a> {
    bytes: &'a [u8],
    sizes: &'a [U64],
}

impl<'a> SecurityDescriptors<'a> {
    /// `bytes` are security data that [`security_len`] has accepted.
    pub(super) fn over(bytes: &'a [u8]) -> Self {
        Self { bytes, sizes: sizes(bytes) }
    }

    /// Number of descriptors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// The descriptor that a dentry with this security id has; `None` for -1 and for ids that do
    /// not exist. Takes time in proportion to `id`: to look up many, collect [`iter`](Self::iter).
    #[must_use]
    pub fn get(&self, id: i32) -> Option<&'a [u8]> {
        self.iter().nth(usize::try_from(id).ok()?)
    }

    /// All descriptors in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let start = HEAD_LEN + size_of_val(self.sizes);
        self.sizes.iter().scan(start, move |start, size| {
            let end = start.checked_add(usize::try_from(size.get()).ok()?)?;
            let descriptor = bytes.get(*start..end)?;
            *start = end;
            Some(descriptor)
        })
    }

    /// The security data as stored, padding included.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Checks the security data at the start of `bytes` and returns its length, a multiple of 8.
pub(super) fn security_len(bytes: &[u8]) -> Result<usize, FormatError> {
    const OF: Structure = Structure::SecurityData;
    let [total, count]: &[U32; 2] = record(bytes, 0, OF)?;
    // wimlib takes a total of 0 for an empty table.
    let total = match total.get() {
        0 => HEAD_LEN,
        total => total as usize,
    };
    if align8(total) > bytes.len() {
        return Err(truncated(OF, 0, align8(total), bytes.len()));
    }
    if total < HEAD_LEN {
        return Err(invalid(OF, 0, total as u64, "a length of at least 8"));
    }
    let count = count.get() as usize;
    let left = total - HEAD_LEN;
    if count > left / 8 {
        return Err(invalid(OF, 4, count as u64, "a table of sizes inside the security data"));
    }
    let mut left = (left - 8 * count) as u64;
    for (index, size) in sizes(bytes).iter().enumerate() {
        left = left.checked_sub(size.get()).ok_or_else(|| {
            invalid(OF, HEAD_LEN + 8 * index, size.get(), "descriptors inside the security data")
        })?;
    }
    Ok(align8(total))
}

/// Number of descriptors of security data that [`security_len`] has accepted.
pub(super) fn descriptor_count(bytes: &[u8]) -> usize {
    sizes(bytes).len()
}

fn sizes(bytes: &[u8]) -> &[U64] {
    let count = bytes.get(4..8).map_or(0, |count| match count {
        &[a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    });
    let table = bytes.get(HEAD_LEN..).unwrap_or_default();
    <[U64]>::ref_from_prefix_with_elems(table, count as usize).map_or(&[], |(sizes, _)| sizes)
}
