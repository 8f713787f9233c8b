//! The status of a file on Windows: it is opened to be looked at, for only an open file says its number
//! and how many names it has.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr;

use wim_format::metadata::FileAttributes;
use wim_format::time::FileTime;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_BASIC_INFO, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_ID_INFO, FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_STANDARD_INFO, FileBasicInfo, FileIdInfo,
    FileStandardInfo, GetFileInformationByHandle, GetFileInformationByHandleEx,
};

use super::{FileId, UnixTime};

/// Attributes that an image keeps: those that say something of the file, not of how this disk stores
/// it. Compression and encryption are undone when the file is read.
const KEPT: FileAttributes = FileAttributes::READONLY
    .union(FileAttributes::HIDDEN)
    .union(FileAttributes::SYSTEM)
    .union(FileAttributes::DIRECTORY)
    .union(FileAttributes::ARCHIVE)
    .union(FileAttributes::SPARSE_FILE)
    .union(FileAttributes::NOT_CONTENT_INDEXED);

/// What a file is and in which state.
#[derive(Debug, Clone)]
pub struct Status {
    kind: FileType,
    attributes: FileAttributes,
    id: FileId,
    links: u64,
    len: u64,
    allocated: u64,
    created: FileTime,
    accessed: FileTime,
    written: FileTime,
    changed: FileTime,
}

impl Status {
    /// Of an open file.
    ///
    /// # Errors
    /// Those of `GetFileInformationByHandle`.
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let handle = file.as_raw_handle();
        let mut info = BY_HANDLE_FILE_INFORMATION::default();
        // SAFETY: the handle is open and the structure is the one that the call fills.
        if unsafe { GetFileInformationByHandle(handle, &mut info) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut basic = FILE_BASIC_INFO::default();
        let mut standard = FILE_STANDARD_INFO::default();
        let mut id = FILE_ID_INFO::default();
        // SAFETY: the handle is open; each structure is the one of its class, and as long as is said.
        let read = unsafe {
            GetFileInformationByHandleEx(
                handle,
                FileBasicInfo,
                ptr::from_mut(&mut basic).cast(),
                size_of::<FILE_BASIC_INFO>() as u32,
            ) != 0
                && GetFileInformationByHandleEx(
                    handle,
                    FileStandardInfo,
                    ptr::from_mut(&mut standard).cast(),
                    size_of::<FILE_STANDARD_INFO>() as u32,
                ) != 0
        };
        if !read {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        let has_id = unsafe {
            GetFileInformationByHandleEx(
                handle,
                FileIdInfo,
                ptr::from_mut(&mut id).cast(),
                size_of::<FILE_ID_INFO>() as u32,
            ) != 0
        };
        let wide = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let time = |ticks: i64| FileTime(ticks.cast_unsigned());
        Ok(Self {
            kind: metadata.file_type(),
            attributes: FileAttributes::from_bits_retain(metadata.file_attributes()),
            // Numbers of 64 bits are not unique on every file system; old ones have no others.
            id: match has_id {
                true => FileId {
                    volume: id.VolumeSerialNumber,
                    number: u128::from_le_bytes(id.FileId.Identifier),
                },
                false => FileId {
                    volume: info.dwVolumeSerialNumber.into(),
                    number: wide(info.nFileIndexHigh, info.nFileIndexLow).into(),
                },
            },
            links: info.nNumberOfLinks.into(),
            len: wide(info.nFileSizeHigh, info.nFileSizeLow),
            allocated: standard.AllocationSize.cast_unsigned(),
            created: time(basic.CreationTime),
            accessed: time(basic.LastAccessTime),
            written: time(basic.LastWriteTime),
            changed: time(basic.ChangeTime),
        })
    }

    /// Of what a path leads to.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn at(path: &Path) -> io::Result<Self> {
        Self::opened(path, FILE_FLAG_BACKUP_SEMANTICS)
    }

    /// Of what has a name; of the link itself if it is one.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn of_link(path: &Path) -> io::Result<Self> {
        Self::opened(path, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
    }

    fn opened(path: &Path, flags: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .access_mode(FILE_READ_ATTRIBUTES)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
            .custom_flags(flags)
            .open(path)?;
        Self::of(&file)
    }

    /// What tells it from all others.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.id
    }

    /// How many names it has.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.links
    }

    /// Its length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "directories have a length too")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that it takes on the disk.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.allocated
    }

    /// What kind of file it is.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.kind
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind.is_dir()
    }

    /// Whether it is a file with data.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind.is_file()
    }

    /// When its data was written last.
    #[must_use]
    pub fn written(&self) -> UnixTime {
        self.written.to_unix()
    }

    /// When it was read last.
    #[must_use]
    pub fn accessed(&self) -> UnixTime {
        self.accessed.to_unix()
    }

    /// When anything of it was changed last.
    #[must_use]
    pub fn changed(&self) -> UnixTime {
        self.changed.to_unix()
    }

    /// When it was made.
    #[must_use]
    pub fn created(&self) -> UnixTime {
        self.created.to_unix()
    }

    /// Its attributes, as far as an image keeps them.
    #[must_use]
    pub fn attributes(&self) -> FileAttributes {
        let kept = self.attributes & KEPT;
        if kept.is_empty() { FileAttributes::NORMAL } else { kept }
    }
}
