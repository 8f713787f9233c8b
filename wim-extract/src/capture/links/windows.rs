//! Links of Windows: the data of the reparse point goes to the image as it is, unless it leads into
//! the tree that is captured, which in the image is the root of a volume.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr;

use wim_format::metadata::FileAttributes;
use wim_format::metadata::reparse::{
    LinkKind, ReparsePoint, TAG_JUNCTION, junction_data, symlink_data,
};
use wim_format::name::{CaseSensitivity, Utf16Name, Utf16NameBuf};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_GET_REPARSE_POINT;

use super::{Link, impossible};
use crate::beneath::real_path;
use crate::error::{Action, Error};

/// The longest reparse point that there is, with its header.
const LONGEST: usize = 16 << 10;
/// Tag, length and two bytes that mean nothing.
const HEADER: usize = 8;

/// The directory that becomes the root of the volume, as links to it begin.
#[derive(Debug)]
pub(crate) struct LinkRoot(Utf16NameBuf);

impl LinkRoot {
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let real = real_path(directory)?;
        let text = real.to_str().ok_or(io::ErrorKind::InvalidFilename)?.trim_end_matches('\\');
        let kernel = match text.strip_prefix(r"\\") {
            Some(share) => format!(r"\??\UNC\{share}"),
            None => format!(r"\??\{text}"),
        };
        Ok(Self(Utf16NameBuf::from(kernel.as_str())))
    }

    /// What of `target` lies behind this directory, with a separator in front; `None` when it is
    /// elsewhere.
    fn within(&self, target: Utf16Name<'_>) -> Option<Vec<u16>> {
        let root = self.0.as_name();
        let units: Vec<u16> = target.units().collect();
        let (start, rest) = units.split_at_checked(root.len())?;
        let start = Utf16NameBuf::from_units(start.iter().copied());
        let is_below = rest.first().is_none_or(|&unit| unit == u16::from(b'\\'));
        let same = start.as_name().matches(root, CaseSensitivity::Insensitive);
        (same && is_below).then(|| rest.to_vec())
    }
}

/// The link at `path`.
pub(super) fn read(path: &Path, root: Option<&LinkRoot>) -> Result<Link, Error> {
    let file = OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
        .map_err(Error::io(Action::Open, path))?;
    let read = || Ok((reparse_point(&file)?, file.metadata()?.file_attributes()));
    let ((tag, data), attributes) = read().map_err(Error::io(Action::Read, path))?;
    let attributes = FileAttributes::from_bits_retain(attributes);
    let to_directory = attributes.contains(FileAttributes::DIRECTORY);
    let link =
        ReparsePoint::parse(tag, &data).map_err(|error| impossible(path, &error.to_string()))?;
    let target = match link {
        ReparsePoint::Symlink { target, relative: false, .. }
        | ReparsePoint::Junction { target, .. } => Some(target),
        _ => None,
    };
    let moved = root.zip(target).and_then(|(root, target)| root.within(target));
    let Some(rest) = moved else {
        return Ok(Link { tag, data, is_moved: false, to_directory });
    };
    let with =
        |prefix: &str| Utf16NameBuf::from_units(prefix.encode_utf16().chain(rest.iter().copied()));
    let (target, print) = (with(r"\??\C:"), with("C:"));
    let data = match tag {
        TAG_JUNCTION => junction_data(target.as_name(), print.as_name()),
        _ => symlink_data(target.as_name(), print.as_name(), LinkKind::Absolute),
    };
    let data = data.map_err(|error| impossible(path, &error.to_string()))?;
    Ok(Link { tag, data, is_moved: true, to_directory })
}

/// The tag and data of an open reparse point.
fn reparse_point(file: &File) -> io::Result<(u32, Vec<u8>)> {
    let mut bytes = vec![0; LONGEST];
    let mut len = 0;
    // SAFETY: the output is as long as is said, and nothing is put in.
    let done = unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_GET_REPARSE_POINT,
            ptr::null(),
            0,
            bytes.as_mut_ptr().cast(),
            LONGEST as u32,
            &mut len,
            ptr::null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(len as usize);
    let Some((header, data)) = bytes.split_at_checked(HEADER) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let tag = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let len = usize::from(u16::from_le_bytes([header[4], header[5]]));
    Ok((tag, data.get(..len).unwrap_or(data).to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_into_the_tree_is_known() {
        let root = LinkRoot(Utf16NameBuf::from(r"\??\D:\tree"));
        let within = |target: &str| {
            let name = Utf16NameBuf::from(target);
            root.within(name.as_name()).map(|rest| String::from_utf16(&rest).unwrap())
        };
        assert_eq!(within(r"\??\d:\Tree\sub").as_deref(), Some(r"\sub"));
        assert_eq!(within(r"\??\D:\tree").as_deref(), Some(""));
        assert_eq!(within(r"\??\D:\tree2\sub"), None);
        assert_eq!(within(r"\??\E:\tree"), None);
        assert_eq!(within("x"), None);
    }
}
