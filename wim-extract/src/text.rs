//! Text files that people write: lists of paths, configurations.

use wim_format::name::Utf16Name;

/// The text without its byte order mark, in the encoding of paths: UTF-8 or UTF-16LE, told apart by
/// the first bytes.
#[must_use]
pub fn to_wtf8(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [0xff, 0xfe, utf16 @ ..] => Utf16Name::new(utf16).to_wtf8(),
        // An ASCII character in two bytes: no UTF-8 text holds a NUL.
        [ascii, 0, ..] if *ascii != 0 => Utf16Name::new(bytes).to_wtf8(),
        [0xef, 0xbb, 0xbf, utf8 @ ..] => utf8.to_vec(),
        utf8 => utf8.to_vec(),
    }
}
