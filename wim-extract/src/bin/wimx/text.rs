//! Bytes and names as text.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

/// Bytes in hexadecimal, two lower-case digits each.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Whole lines at a time: a security descriptor can be kilobytes long.
        let mut buffer = [0; 256];
        for bytes in self.0.chunks(buffer.len() / 2) {
            for (pair, byte) in buffer.chunks_exact_mut(2).zip(bytes) {
                pair.copy_from_slice(&[
                    DIGITS[usize::from(byte >> 4)],
                    DIGITS[usize::from(byte & 15)],
                ]);
            }
            let digits = buffer.get(..2 * bytes.len()).unwrap_or_default();
            f.write_str(std::str::from_utf8(digits).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Serialises by `Display`; for `serialize_with`.
pub(crate) fn display<T: fmt::Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A path or name of an image for JSON, which knows Unicode only: lone surrogates become U+FFFD.
pub(crate) fn lossy(wtf8: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(wtf8) {
        Cow::Borrowed(text) => Cow::Borrowed(text),
        // A surrogate takes three bytes, each of which becomes a U+FFFD of its own.
        Cow::Owned(_) => {
            let name = wim_format::name::Utf16NameBuf::from_wtf8(wtf8);
            Cow::Owned(name.map_or_else(
                |_| String::from_utf8_lossy(wtf8).into_owned(),
                |name| name.to_string(),
            ))
        }
    }
}

/// The bytes that [`lossy`] had to change, `None` when it changed nothing.
pub(crate) fn lost(wtf8: &[u8]) -> Option<Hex<'_>> {
    std::str::from_utf8(wtf8).is_err().then_some(Hex(wtf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal() {
        assert_eq!(Hex(&[0, 0x5a, 0xff]).to_string(), "005aff");
        let long: Vec<u8> = (0..1000u32).map(|n| n as u8).collect();
        let text = Hex(&long).to_string();
        assert_eq!(text.len(), 2000);
        assert!(text.starts_with("000102") && text.ends_with("e6e7"));
    }

    #[test]
    fn lone_surrogates_become_one_replacement_character() {
        assert_eq!(lossy(b"/a\xed\xa0\x80b"), "/a\u{fffd}b");
        assert_eq!(lossy("/\u{1d11e}".as_bytes()), "/\u{1d11e}");
        assert!(lost(b"/a").is_none());
        assert_eq!(lost(b"\xed\xa0\x80").map(|hex| hex.to_string()).as_deref(), Some("eda080"));
    }
}
