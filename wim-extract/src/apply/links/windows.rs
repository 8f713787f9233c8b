//! Links on Windows: the data of the reparse point as it is in the image, unless it is to lead below
//! the target.

use std::io;

use wim_format::{
    metadata::{
        Dentry,
        reparse::{LinkKind, ReparsePoint, TAG_JUNCTION, TAG_SYMLINK, junction_data, symlink_data},
    },
    name::Utf16NameBuf,
};

use crate::beneath::{Component, Dir, Made, Sort};

/// A link to be made.
pub(in crate::apply) struct Target {
    tag: u32,
    data: Vec<u8>,
}

/// The link that stands for `link`. With `fix`, the absolute path of the extracted image, an absolute
/// target is put below that in place of its device.
///
/// # Errors
/// Why it is no link.
pub(in crate::apply) fn target(
    link: &ReparsePoint<'_>,
    fix: Option<&[u8]>,
) -> Result<Target, &'static str> {
    let (tag, target, print) = match *link {
        ReparsePoint::Symlink { target, print, relative: true } => {
            let data = symlink_data(target, print, LinkKind::Relative);
            return Ok(Target { tag: TAG_SYMLINK, data: data.map_err(|_| "it is too long")? });
        }
        ReparsePoint::Symlink { target, print, .. } => (TAG_SYMLINK, target, print),
        ReparsePoint::Junction { target, print } => (TAG_JUNCTION, target, print),
        ReparsePoint::Wof { .. } | ReparsePoint::Other { .. } => return Err("it is no link"),
    };
    let moved = fix.and_then(|fix| Some((fix, within_device(&target.to_wtf8())?.to_vec())));
    let (target, print) = match moved {
        None => (target.to_owned(), print.to_owned()),
        Some((root, rest)) => {
            let root = root.strip_suffix(b"\\").unwrap_or(root);
            let name = |parts: [&[u8]; 3]| {
                Utf16NameBuf::from_wtf8(&parts.concat()).map_err(|_| "its target is no text")
            };
            let kernel = match root.strip_prefix(br"\\") {
                Some(share) => name([br"\??\UNC\", share, &rest])?,
                None => name([br"\??\", root, &rest])?,
            };
            (kernel, name([b"", root, &rest])?)
        }
    };
    let data = match tag {
        TAG_JUNCTION => junction_data(target.as_name(), print.as_name()),
        _ => symlink_data(target.as_name(), print.as_name(), LinkKind::Absolute),
    };
    Ok(Target { tag, data: data.map_err(|_| "it is too long")? })
}

/// What of an absolute target lies behind its device (`\??\C:`, `\??\Volume{…}`).
fn within_device(target: &[u8]) -> Option<&[u8]> {
    let rest = target.strip_prefix(br"\??\")?;
    let end = rest.iter().position(|&byte| byte == b'\\').unwrap_or(rest.len());
    let device = &rest[..end];
    let is_drive = matches!(device, [letter, b':'] if letter.is_ascii_alphabetic());
    let is_volume = device.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"Volume"));
    (is_drive || is_volume).then_some(&rest[end..])
}

/// Makes the link `name` in `dir`; `made` says whether something may have the name.
pub(in crate::apply) fn make(
    dir: &Dir,
    name: Component<'_>,
    dentry: &Dentry<'_>,
    target: &Target,
    made: Made,
) -> io::Result<()> {
    let to = if dentry.is_directory() { Sort::Directory } else { Sort::File };
    match made {
        Made::New => dir.new_link(name, to, target.tag, &target.data),
        Made::Existing => dir.link(name, to, target.tag, &target.data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(data: &[u8], tag: u32) -> (String, String) {
        match ReparsePoint::parse(tag, data).unwrap() {
            ReparsePoint::Symlink { target, print, .. }
            | ReparsePoint::Junction { target, print } => (target.to_string(), print.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn absolute_targets_are_put_below_the_target_and_others_stay() {
        let root = br"D:\out";
        for (given, fixed) in [
            (r"\??\C:\Users\x", r"\??\D:\out\Users\x"),
            (r"\??\C:", r"\??\D:\out"),
            (r"\??\Volume{12345678-1234-1234-1234-123456789abc}\f", r"\??\D:\out\f"),
            (r"\??\UNC\server\share", r"\??\UNC\server\share"),
        ] {
            let (target_name, print) = (Utf16NameBuf::from(given), Utf16NameBuf::from("shown"));
            let link =
                ReparsePoint::Junction { target: target_name.as_name(), print: print.as_name() };
            let kept = target(&link, None).unwrap();
            assert_eq!(names(&kept.data, kept.tag), (given.into(), "shown".into()));
            let moved = target(&link, Some(root)).unwrap();
            assert_eq!(names(&moved.data, moved.tag).0, fixed);
        }
        let up = Utf16NameBuf::from(r"..\up");
        let link =
            ReparsePoint::Symlink { target: up.as_name(), print: up.as_name(), relative: true };
        let kept = target(&link, Some(root)).unwrap();
        assert_eq!(names(&kept.data, kept.tag).0, r"..\up");
    }
}
