//! Registry hives (`regf`), read only: keys by path, and values that are not large.
//!
//! ```text
//! base block  4096 bytes: "regf", version, the root's cell, length of the bins
//! bins        cells of { i32 length, negative when in use | data }, at multiples of 8
//!   nk  a key: flags, lists of subkeys and values, name
//!   li lf lh  a list of keys; ri a list of such lists
//!   vk  a value: type, data (in place up to four bytes, else in a cell), name
//! ```
//!
//! A cell is named by its offset from the first bin. The facts are from M. Suhanov's description of
//! the format, <https://github.com/msuhanov/regf>. Checksum, sequence numbers and log files are not
//! looked at: what wimlib and Windows Setup read of an offline hive does not depend on them.
//!
//! No key leads to another by itself, so that a hive whose keys go round in circles is as harmless as
//! any: a path is as deep as it is long, and no list gives more keys than the file has room for.

#[cfg(test)]
mod tests;
mod value;

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::bytes::{invalid, range, record};
use crate::name::{CaseSensitivity, Utf16NameBuf};
use crate::{FormatError, Structure};

pub use value::Value;

/// Length of the base block, in front of the bins.
const BASE_LEN: usize = 4096;
/// Stands for no cell.
const NONE: u32 = u32::MAX;
/// Flag of a key and of a value: the name is in Latin-1, a byte each.
const NODE_LATIN: u16 = 0x20;
const VALUE_LATIN: u16 = 1;

/// The base block as far as it matters.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Base {
    signature: [u8; 4],
    _sequence: [U32; 2],
    _written: U64,
    major: U32,
    _minor: U32,
    _kind: U32,
    _format: U32,
    root: U32,
    bins_len: U32,
}

/// A key, in front of its name.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Node {
    signature: [u8; 2],
    flags: U16,
    _written: U64,
    _access: U32,
    _parent: U32,
    subkeys: U32,
    _volatile_subkeys: U32,
    subkey_list: U32,
    _volatile_list: U32,
    values: U32,
    value_list: U32,
    _security: U32,
    _class: U32,
    _longest: [U32; 4],
    _work: U32,
    name_len: U16,
    _class_len: U16,
}

/// A value, in front of its name.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ValueNode {
    signature: [u8; 2],
    name_len: U16,
    data_len: U32,
    data: U32,
    kind: U32,
    flags: U16,
    _spare: U16,
}

/// The head of a list of keys or lists.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct List {
    signature: [u8; 2],
    count: U16,
}

/// A hive, borrowed from all of its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Hive<'a> {
    bins: &'a [u8],
    root: u32,
}

/// A key of a hive.
#[derive(Debug, Clone)]
pub struct Key<'a> {
    hive: Hive<'a>,
    /// Its cell.
    at: u32,
    name: Utf16NameBuf,
    subkeys: u32,
    subkey_list: u32,
    values: u32,
    value_list: u32,
}

impl<'a> Hive<'a> {
    /// Reads the base block. Bytes behind the bins are ignored.
    ///
    /// # Errors
    /// Not a hive of major version 1, or the bins are cut off.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        const OF: Structure = Structure::Hive;
        let base: &Base = record(bytes, 0, OF)?;
        if base.signature != *b"regf" {
            let found = u32::from_le_bytes(base.signature).into();
            return Err(invalid(OF, 0, found, "the signature regf (0x66676572)"));
        }
        if base.major.get() != 1 {
            return Err(invalid(OF, 20, base.major.get().into(), "major version 1"));
        }
        let bins = range(bytes, BASE_LEN, base.bins_len.get() as usize, OF)?;
        Ok(Self { bins, root: base.root.get() })
    }

    /// The key that holds all others.
    ///
    /// # Errors
    /// It is malformed.
    pub fn root(self) -> Result<Key<'a>, FormatError> {
        Key::read(self, self.root)
    }

    /// The key at a path from the root, its parts divided by `\`, of whatever case.
    ///
    /// # Errors
    /// A key on the way is malformed.
    pub fn key(self, path: &str) -> Result<Option<Key<'a>>, FormatError> {
        let mut key = self.root()?;
        for part in path.split('\\') {
            match key.subkey(part)? {
                Some(next) => key = next,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// The data of the cell at `offset`, which has to be in use.
    fn cell(self, offset: u32) -> Result<&'a [u8], FormatError> {
        let at = offset as usize;
        let len: &U32 =
            record(self.bins, at, Structure::Hive).map_err(|error| in_file(error, 0))?;
        let len = len.get().cast_signed();
        if len > -4 {
            let found = u64::from(len.cast_unsigned());
            let expected = "a cell in use: a length of -4 or less";
            return Err(invalid(Structure::Hive, BASE_LEN + at, found, expected));
        }
        let data_len = len.unsigned_abs() as usize - 4;
        range(self.bins, at + 4, data_len, Structure::Hive).map_err(|error| in_file(error, 0))
    }

    /// The record at the start of a cell, what is behind it, and the offset of the cell's data in the
    /// file.
    fn record<T>(self, offset: u32) -> Result<(&'a T, &'a [u8], usize), FormatError>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let data = self.cell(offset)?;
        let at = BASE_LEN + offset as usize + 4;
        let found = record(data, 0, Structure::Hive).map_err(|error| in_file(error, offset + 4))?;
        Ok((found, &data[size_of::<T>()..], at))
    }

    /// Number of keys that the bins have room for: none takes less.
    fn room(self) -> usize {
        self.bins.len() / (size_of::<Node>() + 4)
    }
}

impl<'a> Key<'a> {
    fn read(hive: Hive<'a>, at: u32) -> Result<Self, FormatError> {
        let (node, rest, place): (&Node, _, _) = hive.record(at)?;
        require_signature(node.signature, *b"nk", place, "a key (nk, 0x6b6e)")?;
        let name = name(rest, node.name_len.get(), node.flags.get() & NODE_LATIN != 0, place)?;
        Ok(Self {
            hive,
            at,
            name,
            subkeys: node.subkeys.get(),
            subkey_list: node.subkey_list.get(),
            values: node.values.get(),
            value_list: node.value_list.get(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Utf16NameBuf {
        &self.name
    }

    /// The subkey of this name, of whatever case.
    ///
    /// # Errors
    /// A list or key in front of it is malformed.
    pub fn subkey(&self, name: &str) -> Result<Option<Self>, FormatError> {
        let name = Utf16NameBuf::from(name);
        for key in self.subkeys()? {
            let key = key?;
            if key.name.as_name().matches(name.as_name(), CaseSensitivity::Insensitive) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Its subkeys in their order, which is that of their names.
    ///
    /// # Errors
    /// The list of subkeys is malformed. Each key may be, too.
    pub fn subkeys(
        &self,
    ) -> Result<impl Iterator<Item = Result<Key<'a>, FormatError>> + use<'a>, FormatError> {
        let hive = self.hive;
        let lists = match self.subkeys {
            0 => Vec::new(),
            _ => self.lists()?,
        };
        let keys = lists.into_iter().flatten().take(hive.room());
        Ok(keys.map(move |at| Self::read(hive, at)))
    }

    /// The lists of subkeys: the cells of each.
    fn lists(&self) -> Result<Vec<Cells<'a>>, FormatError> {
        let (signature, cells) = self.list(self.subkey_list)?;
        if signature != *b"ri" {
            return leaf(signature, cells, self.subkey_list).map(|cells| vec![cells]);
        }
        // A list of lists holds no lists of lists.
        cells
            .map(|list| {
                let (signature, cells) = self.list(list)?;
                leaf(signature, cells, list)
            })
            .collect()
    }

    /// The signature of a list, and the cells that it names.
    fn list(&self, at: u32) -> Result<([u8; 2], Cells<'a>), FormatError> {
        let (list, rest, place): (&List, _, _) = self.hive.record(at)?;
        // Beside each key stands a part of its name or a hash of it.
        let step = if matches!(&list.signature, b"lf" | b"lh") { 8 } else { 4 };
        let len = usize::from(list.count.get()) * step;
        let entries = range(rest, 0, len, Structure::Hive)
            .map_err(|error| in_file(error, (place - BASE_LEN + size_of::<List>()) as u32))?;
        Ok((list.signature, Cells { entries, step }))
    }

    /// The value of this name, of whatever case. The empty name is the key's own value.
    ///
    /// # Errors
    /// The list of values, or a value in front of it, is malformed, or its data is; data of more than
    /// 16344 bytes, which is kept in pieces, is not read.
    pub fn value(&self, name: &str) -> Result<Option<Value<'a>>, FormatError> {
        if self.values == 0 || self.value_list == NONE {
            return Ok(None);
        }
        let name = Utf16NameBuf::from(name);
        let cell = self.hive.cell(self.value_list)?;
        let len = (self.values as usize).saturating_mul(4);
        let entries = range(cell, 0, len, Structure::Hive)
            .map_err(|error| in_file(error, self.value_list.saturating_add(4)))?;
        for at in (Cells { entries, step: 4 }) {
            let (node, rest, place): (&ValueNode, _, _) = self.hive.record(at)?;
            require_signature(node.signature, *b"vk", place, "a value (vk, 0x6b76)")?;
            let latin = node.flags.get() & VALUE_LATIN != 0;
            let found = self::name(rest, node.name_len.get(), latin, place)?;
            if found.as_name().matches(name.as_name(), CaseSensitivity::Insensitive) {
                return Value::read(self.hive, node, place).map(Some);
            }
        }
        Ok(None)
    }

    /// Where its cell begins, in bytes from the first bin.
    #[must_use]
    pub fn offset(&self) -> u32 {
        self.at
    }
}

/// The cells that a list names.
#[derive(Debug, Clone, Copy)]
struct Cells<'a> {
    entries: &'a [u8],
    /// Bytes for each.
    step: usize,
}

impl Iterator for Cells<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let at = self.entries.first_chunk::<4>()?;
        self.entries = self.entries.get(self.step..).unwrap_or_default();
        Some(u32::from_le_bytes(*at))
    }
}

fn leaf(signature: [u8; 2], cells: Cells<'_>, at: u32) -> Result<Cells<'_>, FormatError> {
    match &signature {
        b"li" | b"lf" | b"lh" => Ok(cells),
        _ => {
            let found = u16::from_le_bytes(signature).into();
            let expected = "a list of keys (li, lf or lh)";
            Err(invalid(Structure::Hive, BASE_LEN + at as usize + 4, found, expected))
        }
    }
}

fn require_signature(
    found: [u8; 2],
    wanted: [u8; 2],
    place: usize,
    expected: &'static str,
) -> Result<(), FormatError> {
    if found == wanted {
        return Ok(());
    }
    Err(invalid(Structure::Hive, place, u16::from_le_bytes(found).into(), expected))
}

/// The name of a key or value: `len` bytes of Latin-1 or UTF-16.
fn name(bytes: &[u8], len: u16, latin: bool, place: usize) -> Result<Utf16NameBuf, FormatError> {
    let bytes = range(bytes, 0, len.into(), Structure::Hive)
        .map_err(|error| in_file(error, (place - BASE_LEN) as u32))?;
    Ok(match latin {
        true => Utf16NameBuf::from_units(bytes.iter().map(|&byte| u16::from(byte))),
        false => Utf16NameBuf::from_units(units(bytes)),
    })
}

/// The code units of UTF-16LE; an odd byte at the end is none.
fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair))
}

/// An error whose offset counts from `from` in the bins, as one that counts from the file's start.
fn in_file(error: FormatError, from: u32) -> FormatError {
    match error {
        FormatError::Truncated { structure, offset, needed, available } => {
            let offset = offset + BASE_LEN as u64 + u64::from(from);
            FormatError::Truncated { structure, offset, needed, available }
        }
        other => other,
    }
}
