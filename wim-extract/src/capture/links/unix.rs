//! UNIX links as Windows links: `../a` is `..\a`, and `/a` is `C:\a`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use wim_format::metadata::reparse::{LinkKind, TAG_SYMLINK, symlink_data};
use wim_format::name::Utf16NameBuf;

use super::{Link, impossible};
use crate::error::{Action, Error};
use crate::status::{FileId, Status};

/// The directory that becomes the root of the volume.
#[derive(Debug)]
pub(crate) struct LinkRoot(FileId);

impl LinkRoot {
    pub(crate) fn of(directory: &Path) -> std::io::Result<Self> {
        Ok(Self(Status::at(directory)?.id()))
    }

    fn is(&self, path: &Path) -> bool {
        Status::at(path).is_ok_and(|found| found.id() == self.0)
    }

    /// What of the absolute path `target` lies behind this directory, as it is written, with a slash
    /// in front if it is anything; `None` when it is elsewhere.
    fn within(&self, target: &Path) -> Option<PathBuf> {
        if self.is(Path::new("/")) {
            return Some(target.to_owned());
        }
        let target = target.as_os_str().as_bytes();
        let is_slash = |at: usize| target.get(at).is_none_or(|&byte| byte == b'/');
        let ends = (1..=target.len()).filter(|&at| is_slash(at) && !is_slash(at - 1));
        // A link or `..` on the way may lead anywhere; a comparison of each step does not care.
        let mut splits = ends.map(|at| target.split_at(at));
        let (_, rest) = splits.find(|(above, _)| self.is(Path::new(OsStr::from_bytes(above))))?;
        Some(OsStr::from_bytes(rest).into())
    }
}

/// The link at `path`.
pub(super) fn read(path: &Path, root: Option<&LinkRoot>) -> Result<Link, Error> {
    let target = fs::read_link(path).map_err(Error::io(Action::Read, path))?;
    let (data, is_moved) =
        link_data(&target, root).map_err(|problem| impossible(path, &problem))?;
    let to_directory = fs::metadata(path).is_ok_and(|target| target.is_dir());
    Ok(Link { tag: TAG_SYMLINK, data, is_moved, to_directory })
}

/// The reparse point of a link to `target`, and whether the target had to be changed because it is
/// absolute and lies in `root`.
///
/// # Errors
/// The target is no text, or longer than Windows can have it; in words.
fn link_data(target: &Path, root: Option<&LinkRoot>) -> Result<(Vec<u8>, bool), String> {
    let within = match root {
        Some(root) if target.is_absolute() => root.within(target),
        _ => None,
    };
    let is_moved = within.is_some();
    let shown = within.as_deref().unwrap_or(target);
    let text = Utf16NameBuf::from_os_str(shown.as_os_str())
        .map_err(|_| "is no UTF-8, so an image cannot hold it".to_owned())?;
    // What is a separator here is none there, and the other way round.
    let turned = text.as_name().units().map(|unit| match u8::try_from(unit) {
        Ok(b'/') => u16::from(b'\\'),
        Ok(b'\\') => u16::from(b'/'),
        _ => unit,
    });
    let data = if target.is_absolute() {
        let with =
            |prefix: &str| Utf16NameBuf::from_units(prefix.encode_utf16().chain(turned.clone()));
        let (target, print) = (with(r"\??\C:"), with("C:"));
        symlink_data(target.as_name(), print.as_name(), LinkKind::Absolute)
    } else {
        let target = Utf16NameBuf::from_units(turned);
        symlink_data(target.as_name(), target.as_name(), LinkKind::Relative)
    };
    let data = data.map_err(|error| error.to_string())?;
    Ok((data, is_moved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wim_format::metadata::reparse::ReparsePoint;

    fn names(target: &str, root: Option<&LinkRoot>) -> (String, String, bool, bool) {
        let (data, is_moved) = link_data(Path::new(target), root).expect("a target");
        match ReparsePoint::parse(TAG_SYMLINK, &data).expect("a link") {
            ReparsePoint::Symlink { target, print, relative } => {
                let text = |name: wim_format::name::Utf16Name<'_>| {
                    String::from_utf8(name.to_wtf8()).expect("UTF-8")
                };
                (text(target), text(print), relative, is_moved)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn targets_as_wimlib_stores_them() {
        for (target, stored) in [
            ("../a.txt", r"..\a.txt"),
            (".", "."),
            ("a//b/./c/", r"a\\b\.\c\"),
            (r"we\ird", "we/ird"),
        ] {
            assert_eq!(names(target, None), (stored.into(), stored.into(), true, false));
        }
        for (target, print) in [("/usr/bin", r"C:\usr\bin"), ("/", r"C:\")] {
            let stored = format!(r"\??\{print}");
            assert_eq!(names(target, None), (stored, print.into(), false, false));
        }
    }

    fn directory_name(path: &str) -> &str {
        path.rsplit('/').next().expect("a name")
    }

    #[test]
    fn absolute_targets_in_the_root() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_str().expect("UTF-8");
        let root = LinkRoot::of(directory.path()).expect("a directory");
        let inside = names(&format!("{path}/sub"), Some(&root));
        assert_eq!(inside, (r"\??\C:\sub".into(), r"C:\sub".into(), false, true));
        for (behind, stored) in [
            ("", ""),
            ("/", r"\"),
            ("//", r"\\"),
            ("/sub/", r"\sub\"),
            ("//sub//", r"\\sub\\"),
            ("/./sub/../x", r"\.\sub\..\x"),
        ] {
            let found = names(&format!("{path}{behind}"), Some(&root));
            let expected = (format!(r"\??\C:{stored}"), format!("C:{stored}"), false, true);
            assert_eq!(found, expected, "{behind}");
        }
        let detour = names(&format!("/{path}/../{}/x", directory_name(path)), Some(&root));
        assert_eq!(detour.1, r"C:\..\".to_owned() + directory_name(path) + r"\x");
        let outside = names("/usr/bin", Some(&root));
        assert_eq!(outside, (r"\??\C:\usr\bin".into(), r"C:\usr\bin".into(), false, false));
    }
}
