//! Where a symbolic link or junction of Windows leads on a POSIX system.

use std::io;

use wim_format::metadata::{Dentry, reparse::ReparsePoint};

use crate::beneath::{Component, Dir, Made};

/// The target of a link, as bytes for `symlink(2)`.
///
/// Separators are exchanged: `\` becomes `/`, and `/`, which Windows does not take for one, `\`. An
/// absolute target loses its device (`\??\C:`, `\??\Volume{…}`, `\Device\HarddiskVolume1`), so that
/// it counts from the root. With `fix`, the absolute path of the extracted image, it is put below
/// that instead.
///
/// # Errors
/// Why there is no such link on a POSIX system.
pub(in crate::apply) fn target(
    link: &ReparsePoint<'_>,
    fix: Option<&[u8]>,
) -> Result<Vec<u8>, &'static str> {
    let (target, is_absolute) = match link {
        ReparsePoint::Symlink { target, relative, .. } => (target, !relative),
        ReparsePoint::Junction { target, .. } => (target, true),
        ReparsePoint::Wof { .. } | ReparsePoint::Other { .. } => return Err("it is no link"),
    };
    let windows = target.to_wtf8();
    if windows.contains(&0) {
        return Err("its target has a NUL");
    }
    let path = if is_absolute { without_device(&windows) } else { &windows };
    let exchange = |byte: &u8| match byte {
        b'\\' => b'/',
        b'/' => b'\\',
        other => *other,
    };
    let mut posix: Vec<u8> = path.iter().map(exchange).collect();
    // Only a path from the root can be moved; anything else was no absolute path in the first place.
    if is_absolute && (posix.is_empty() || posix[0] == b'/') {
        // Below the root of the file system nothing is to be put in front.
        let base = fix.filter(|base| *base != b"/").unwrap_or_default();
        posix.splice(0..0, base.iter().copied());
    }
    if posix.is_empty() {
        posix.push(b'/');
    }
    Ok(posix)
}

/// Makes the link `name` in `dir`; `made` says whether something may have the name.
pub(in crate::apply) fn make(
    dir: &Dir,
    name: Component<'_>,
    _: &Dentry<'_>,
    target: &[u8],
    made: Made,
) -> io::Result<()> {
    match made {
        Made::New => dir.new_symlink(target, name),
        Made::Existing => dir.symlink(target, name),
    }
}

/// `path` without `\??\` or `\Device\` and the device named behind it.
fn without_device(path: &[u8]) -> &[u8] {
    for prefix in [&b"\\??\\"[..], b"\\Device\\"] {
        if let Some((start, rest)) = path.split_at_checked(prefix.len())
            && start.eq_ignore_ascii_case(prefix)
        {
            let end = rest.iter().position(|&byte| byte == b'\\');
            return &rest[end.unwrap_or(rest.len())..];
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use wim_format::name::{Utf16Name, Utf16NameBuf};

    use super::*;

    fn symlink(windows: &str, relative: bool, fix: Option<&str>) -> String {
        let name = Utf16NameBuf::from(windows);
        let print = Utf16Name::default();
        let link = ReparsePoint::Symlink { target: name.as_name(), print, relative };
        String::from_utf8(target(&link, fix.map(str::as_bytes)).unwrap()).unwrap()
    }

    /// What wimlib makes of the same links, with and without fix-up.
    #[test]
    fn targets_as_wimlib_has_them() {
        for (windows, kept, fixed) in [
            (r"\??\C:\Users\x", "/Users/x", "/t/Users/x"),
            (r"\??\C:\", "/", "/t/"),
            (r"\??\C:", "/", "/t"),
            (r"\??\UNC\server\share\x", "/server/share/x", "/t/server/share/x"),
            (r"\rootrel\x", "/rootrel/x", "/t/rootrel/x"),
            (r"\\?\C:\abs", "//?/C:/abs", "/t//?/C:/abs"),
            (r"\??\Volume{12345678-1234-1234-1234-123456789abc}\dir\f", "/dir/f", "/t/dir/f"),
            (r"\Device\HarddiskVolume1\x", "/x", "/t/x"),
            (r"\??\C:\trail\", "/trail/", "/t/trail/"),
            (r"\??\C:rel", "/", "/t"),
            (r"\\server\share", "//server/share", "/t//server/share"),
        ] {
            assert_eq!(symlink(windows, false, None), kept);
            assert_eq!(symlink(windows, false, Some("/t")), fixed);
            assert_eq!(symlink(windows, false, Some("/")), kept, "the root needs no fix-up");
        }
        for (windows, posix) in [
            (r"rel\path", "rel/path"),
            (r"..\up", "../up"),
            (r"\rootrel\x", "/rootrel/x"),
            ("/posix/style", r"\posix\style"),
            (r"a/b\c", r"a\b/c"),
            ("", "/"),
        ] {
            assert_eq!(symlink(windows, true, None), posix);
            assert_eq!(symlink(windows, true, Some("/t")), posix);
        }
    }

    #[test]
    fn what_is_not_absolute_is_not_moved() {
        assert_eq!(symlink("plain", false, Some("/t")), "plain");
        assert_eq!(symlink(r"C:\abs", false, Some("/t")), "C:/abs");
    }

    #[test]
    fn lone_surrogates_survive_and_nul_does_not() {
        let name = Utf16NameBuf::from_units([0xd800, u16::from(b'x')]);
        let print = Utf16Name::default();
        let link = ReparsePoint::Junction { target: name.as_name(), print };
        assert_eq!(target(&link, None).unwrap(), b"\xed\xa0\x80x");
        let name = Utf16NameBuf::from("a\0b");
        let link = ReparsePoint::Junction { target: name.as_name(), print };
        assert!(target(&link, None).is_err());
    }
}
