//! Names in OSTA compressed Unicode, which is Latin-1 or UTF-16 with a byte in front.

/// The text of `bytes`: the first is 8 for one byte a character or 16 for two, highest byte first.
fn text(bytes: &[u8]) -> Option<String> {
    match bytes.split_first()? {
        (8, characters) => Some(characters.iter().map(|&byte| char::from(byte)).collect()),
        (16, units) if units.len() % 2 == 0 => {
            let units = units.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// The name of a file or directory. `None` for what is no name on any system: empty, `.` or `..`,
/// with a separator or NUL, or not Unicode.
pub(super) fn identifier(bytes: &[u8]) -> Option<String> {
    let name = text(bytes)?;
    let usable = !name.is_empty() && name != "." && name != "..";
    (usable && !name.contains(['/', '\\', '\0'])).then_some(name)
}

/// The text of a field of fixed length whose last byte is the number of bytes used; empty where it
/// holds no text.
pub(super) fn dstring(field: &[u8]) -> String {
    let Some((&used, bytes)) = field.split_last() else { return String::new() };
    bytes.get(..usize::from(used)).and_then(text).unwrap_or_default()
}

/// Whether two names are equal but for upper and lower case.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let upper = |name: &str| name.chars().flat_map(char::to_uppercase).collect::<String>();
    a == b || upper(a) == upper(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_widths() {
        assert_eq!(identifier(b"\x08caf\xE9").as_deref(), Some("café"));
        assert_eq!(identifier(b"\x10\x00a\x20\xAC").as_deref(), Some("a€"));
        assert_eq!(identifier(b"\x10\xD8\x3D\xDE\x00").as_deref(), Some("😀"));
    }

    #[test]
    fn what_is_no_name() {
        let bad: [&[u8]; 10] = [
            b"",
            b"\x08",
            b"\x08.",
            b"\x08..",
            b"\x08a/b",
            b"\x08a\\b",
            b"\x08a\0",
            b"\x10\x00",
            b"\x10\xD8\x3D",
            b"\xFEdeleted",
        ];
        for bytes in bad {
            assert_eq!(identifier(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn fields_with_a_length() {
        assert_eq!(dstring(b"\x08CCCOMA\0\0\x07"), "CCCOMA");
        assert_eq!(dstring(b"\0\0\0\0"), "");
        assert_eq!(dstring(b"\x08ab\xFF"), "");
        assert_eq!(dstring(b""), "");
    }

    #[test]
    fn case_is_ignored() {
        assert!(alike("SOURCES", "sources") && alike("Ä.txt", "ä.TXT"));
        assert!(!alike("install.wim", "install.esd"));
    }
}
