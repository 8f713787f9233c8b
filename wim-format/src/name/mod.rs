//! File names: UTF-16LE as Windows stores it, where a surrogate may stand alone.
//!
//! Outside the file, names are WTF-8: UTF-8 in which a lone surrogate takes the three bytes that
//! its value would have. Every UTF-16 name converts to WTF-8 and back without loss, and a valid
//! name becomes plain UTF-8.

#[cfg(test)]
mod tests;
mod upcase;

use std::cmp::Ordering;
use std::fmt;

pub use upcase::upcase;

/// Whether names that differ only in case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CaseSensitivity {
    /// Names are the same only unit for unit.
    #[default]
    Sensitive,
    /// Names are the same when their NTFS upper-case forms are.
    Insensitive,
}

/// A borrowed name: UTF-16LE code units, without a terminator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Utf16Name<'a>(&'a [[u8; 2]]);

impl<'a> Utf16Name<'a> {
    /// Takes the bytes of a name; an odd last byte is left out.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.as_chunks().0)
    }

    /// The bytes of the name, UTF-16LE.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0.as_flattened()
    }

    /// Number of UTF-16 code units.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether the name has no units.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The code units.
    pub fn units(self) -> impl ExactSizeIterator<Item = u16> + DoubleEndedIterator + Clone + 'a {
        self.0.iter().map(|unit| u16::from_le_bytes(*unit))
    }

    /// Whether one of the units is 0.
    #[must_use]
    pub fn contains_nul(self) -> bool {
        // All units are looked at: without a way out the loop becomes vector code.
        self.0.iter().fold(false, |found, unit| found | (*unit == [0, 0]))
    }

    fn is_ascii(self) -> bool {
        self.units().fold(0, |bits, unit| bits | unit) < 0x80
    }

    /// Appends the name as WTF-8.
    pub fn append_wtf8(self, out: &mut Vec<u8>) {
        if self.is_ascii() {
            // Nearly every name, with a quarter of the instructions.
            out.extend(self.0.iter().map(|[low, _]| low));
            return;
        }
        out.reserve(self.0.len());
        for unit in char::decode_utf16(self.units()) {
            match unit {
                Ok(c) => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(lone) => {
                    let unit = lone.unpaired_surrogate();
                    out.extend([
                        0xe0 | (unit >> 12) as u8,
                        0x80 | (unit >> 6 & 0x3f) as u8,
                        0x80 | (unit & 0x3f) as u8,
                    ]);
                }
            }
        }
    }

    /// The name as WTF-8.
    #[must_use]
    pub fn to_wtf8(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_wtf8(&mut out);
        out
    }

    /// The name as the operating system spells it: WTF-8 on UNIX, UTF-16 on Windows.
    #[must_use]
    pub fn to_os_string(self) -> std::ffi::OsString {
        #[cfg(unix)]
        return std::os::unix::ffi::OsStringExt::from_vec(self.to_wtf8());
        #[cfg(windows)]
        return std::os::windows::ffi::OsStringExt::from_wide(&self.units().collect::<Vec<_>>());
    }

    /// Order of NTFS directories: by upper-case form, and where that is equal by code units.
    #[must_use]
    pub fn cmp_ntfs(self, other: Utf16Name<'_>) -> Ordering {
        self.cmp_ignore_case(other).then_with(|| self.units().cmp(other.units()))
    }

    /// Order by upper-case form alone.
    #[must_use]
    pub fn cmp_ignore_case(self, other: Utf16Name<'_>) -> Ordering {
        for (a, b) in self.units().zip(other.units()) {
            if a != b {
                let order = upcase(a).cmp(&upcase(b));
                if order.is_ne() {
                    return order;
                }
            }
        }
        self.len().cmp(&other.len())
    }

    /// Whether the two names are the same under `case`.
    #[must_use]
    pub fn matches(self, other: Utf16Name<'_>, case: CaseSensitivity) -> bool {
        match case {
            CaseSensitivity::Sensitive => self == other,
            CaseSensitivity::Insensitive => self.cmp_ignore_case(other).is_eq(),
        }
    }

    /// A copy that owns its units.
    #[must_use]
    pub fn to_owned(self) -> Utf16NameBuf {
        Utf16NameBuf(self.0.to_vec())
    }
}

/// Shows the name with U+FFFD for lone surrogates.
impl fmt::Display for Utf16Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        char::decode_utf16(self.units())
            .try_for_each(|c| f.write_char(c.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

impl fmt::Debug for Utf16Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.to_wtf8().escape_ascii())
    }
}

/// An owned name.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Utf16NameBuf(Vec<[u8; 2]>);

/// The bytes are neither UTF-8 nor WTF-8, so that no UTF-16 name stands for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("name is not valid UTF-8 (byte {offset}), so it has no UTF-16 form")]
pub struct NotUnicode {
    /// The first byte that does not belong.
    pub offset: usize,
}

impl Utf16NameBuf {
    /// Makes a name of code units.
    #[must_use]
    pub fn from_units(units: impl IntoIterator<Item = u16>) -> Self {
        Self(units.into_iter().map(u16::to_le_bytes).collect())
    }

    /// Makes a name of WTF-8, which includes UTF-8.
    ///
    /// # Errors
    /// [`NotUnicode`] for other bytes.
    pub fn from_wtf8(bytes: &[u8]) -> Result<Self, NotUnicode> {
        let mut units = Vec::with_capacity(bytes.len());
        let mut offset = 0;
        for chunk in bytes.utf8_chunks() {
            units.extend(chunk.valid().encode_utf16().map(u16::to_le_bytes));
            offset += chunk.valid().len();
            // A surrogate is invalid UTF-8 byte by byte, so its tail shows up in later chunks.
            let tail = &bytes[offset..];
            match (chunk.invalid(), tail) {
                ([], _) => {}
                ([0xed], &[0xed, b @ 0xa0..=0xbf, c @ 0x80..=0xbf, ..]) => {
                    let unit = 0xd000 | u16::from(b & 0x3f) << 6 | u16::from(c & 0x3f);
                    units.push(unit.to_le_bytes());
                }
                ([0x80..=0xbf], _) if is_surrogate_tail(bytes, offset) => {}
                _ => return Err(NotUnicode { offset }),
            }
            offset += chunk.invalid().len();
        }
        Ok(Self(units))
    }

    /// Makes a name of the operating system's spelling.
    ///
    /// # Errors
    /// [`NotUnicode`] when it is not WTF-8, which on Windows does not happen.
    pub fn from_os_str(name: &std::ffi::OsStr) -> Result<Self, NotUnicode> {
        #[cfg(unix)]
        return Self::from_wtf8(std::os::unix::ffi::OsStrExt::as_bytes(name));
        #[cfg(windows)]
        return Ok(Self::from_units(std::os::windows::ffi::OsStrExt::encode_wide(name)));
    }

    /// Borrows the name.
    #[must_use]
    pub fn as_name(&self) -> Utf16Name<'_> {
        Utf16Name(&self.0)
    }
}

/// Whether the byte at `offset` is the second or third of a surrogate's three.
fn is_surrogate_tail(bytes: &[u8], offset: usize) -> bool {
    let starts_at = |start: Option<usize>| {
        let rest = start.and_then(|start| bytes.get(start..)).unwrap_or_default();
        matches!(rest, [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..])
    };
    starts_at(offset.checked_sub(1)) || starts_at(offset.checked_sub(2))
}

impl From<&str> for Utf16NameBuf {
    fn from(name: &str) -> Self {
        Self::from_units(name.encode_utf16())
    }
}

impl From<Utf16Name<'_>> for Utf16NameBuf {
    fn from(name: Utf16Name<'_>) -> Self {
        name.to_owned()
    }
}

impl fmt::Display for Utf16NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_name().fmt(f)
    }
}

impl fmt::Debug for Utf16NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_name(), f)
    }
}
