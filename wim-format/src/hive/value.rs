//! What a value holds.

use super::{BASE_LEN, Hive, ValueNode, in_file, units};
use crate::bytes::range;
use crate::{FormatError, Structure};

/// Types of values (winnt.h).
const TEXT: u32 = 1;
const NUMBER: u32 = 4;
const TEXTS: u32 = 7;
/// Bit of a length: the data is in place of its cell's offset.
const IN_PLACE: u32 = 1 << 31;

/// A value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its type, such as 1 for a text.
    pub kind: u32,
    /// Its data as it is stored.
    pub data: &'a [u8],
}

impl<'a> Value<'a> {
    pub(super) fn read(
        hive: Hive<'a>,
        node: &'a ValueNode,
        place: usize,
    ) -> Result<Self, FormatError> {
        let (kind, len) = (node.kind.get(), node.data_len.get());
        let data = if len & IN_PLACE != 0 {
            let of_cell = zerocopy::IntoBytes::as_bytes(&node.data);
            let from = (place - BASE_LEN + 8) as u32;
            range(of_cell, 0, (len & !IN_PLACE) as usize, Structure::Hive)
                .map_err(|error| in_file(error, from))?
        } else if len == 0 {
            &[]
        } else {
            let at = node.data.get();
            range(hive.cell(at)?, 0, len as usize, Structure::Hive)
                .map_err(|error| in_file(error, at.saturating_add(4)))?
        };
        Ok(Self { kind, data })
    }

    /// The text of a string (`REG_SZ`), or the first of a list of strings (`REG_MULTI_SZ`), up to its
    /// NUL. `None` for other types, an odd number of bytes, and lone surrogates.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        if !matches!(self.kind, TEXT | TEXTS) || !self.data.len().is_multiple_of(2) {
            return None;
        }
        let units = units(self.data).take_while(|&unit| unit != 0);
        char::decode_utf16(units).collect::<Result<_, _>>().ok()
    }

    /// The number of a `REG_DWORD`; `None` for other types and lengths.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        let bytes = <[u8; 4]>::try_from(self.data).ok()?;
        (self.kind == NUMBER).then_some(u32::from_le_bytes(bytes))
    }
}
