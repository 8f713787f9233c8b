//! Text files that people write (lists of paths, configurations), and the system's own strings, as WTF-8.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use wim_format::name::Utf16Name;
#[cfg(windows)]
use wim_format::name::Utf16NameBuf;

/// A string of the system as WTF-8; on UNIX its bytes, whatever they are.
#[must_use]
pub fn os_bytes(text: &OsStr) -> Cow<'_, [u8]> {
    #[cfg(unix)]
    return Cow::Borrowed(std::os::unix::ffi::OsStrExt::as_bytes(text));
    #[cfg(windows)]
    match text.to_str() {
        Some(text) => Cow::Borrowed(text.as_bytes()),
        None => {
            let units = std::os::windows::ffi::OsStrExt::encode_wide(text);
            Cow::Owned(Utf16NameBuf::from_units(units).as_name().to_wtf8())
        }
    }
}

/// A string of the system of WTF-8. On UNIX any bytes will do; elsewhere what is no WTF-8 becomes
/// U+FFFD.
#[must_use]
pub fn os_string(bytes: Vec<u8>) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes);
    #[cfg(windows)]
    match Utf16NameBuf::from_wtf8(&bytes) {
        Ok(name) => name.as_name().to_os_string(),
        Err(_) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

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
