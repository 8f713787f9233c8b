//! Lists of paths, one a line: the files that `extract … @LIST` reads.
//!
//! A list is UTF-8 or UTF-16LE text, told apart by its first bytes. White space around a line, and
//! a pair of quotes around what is left, do not count; empty lines and lines that begin with `#`
//! or `;` are passed over.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use wim_extract::text::{os_string, to_wtf8};

/// Reads the list in a file; `-` is standard input.
///
/// # Errors
/// What the operating system says.
pub(crate) fn read(path: &Path) -> io::Result<Vec<OsString>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(path)?;
    }
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Vec<OsString> {
    let text = to_wtf8(bytes);
    let lines = text.split(|&byte| matches!(byte, b'\n' | b'\r' | 0));
    lines.filter_map(path_in).map(|path| os_string(path.to_vec())).collect()
}

/// The path that a line gives, if it gives one.
fn path_in(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    match line {
        [] | [b'#' | b';', ..] => None,
        [b'"', path @ .., b'"'] | [b'\'', path @ .., b'\''] => Some(path),
        path => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> Vec<String> {
        parse(bytes).into_iter().map(|path| path.into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn lines_as_wimlib_reads_them() {
        for (text, paths) in [
            ("/a\n/b", vec!["/a", "/b"]),
            ("; c\n  # c\r\n\r\n  \\a b  \r\n", vec!["\\a b"]),
            ("\"/a\" \n'/b'\n\"/c\n/d\"", vec!["/a", "/b", "\"/c", "/d\""]),
            ("\"\"\n\"  /a \"", vec!["", "  /a "]),
            ("/a ; c\n[x]", vec!["/a ; c", "[x]"]),
            ("", vec![]),
        ] {
            assert_eq!(parsed(text.as_bytes()), paths, "{text:?}");
        }
    }

    #[test]
    fn encodings() {
        let utf16: Vec<u8> = "/ü\n/𝄞".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parsed(&utf16), ["/ü", "/𝄞"]);
        assert_eq!(parsed(&[b"\xff\xfe", utf16.as_slice()].concat()), ["/ü", "/𝄞"]);
        assert_eq!(parsed("\u{feff}/ü".as_bytes()), ["/ü"]);
        assert_eq!(parse(b"/\xff"), [os_string(b"/\xff".to_vec())]);
    }
}
