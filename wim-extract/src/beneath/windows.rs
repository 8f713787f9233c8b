//! On Windows a directory is a handle, and a name is opened from it by `NtCreateFile` with
//! `RootDirectory`, never through a path. Names go to the file system as they are: no `CON`, no stream
//! behind a colon, no dot that is taken away at the end, because [`is_name`] takes none of them. A
//! reparse point is opened as such and never followed.

use std::{
    borrow::Cow,
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    os::windows::{
        fs::OpenOptionsExt,
        io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle},
    },
    path::{self, Path, PathBuf, Prefix},
    ptr,
};

use wim_format::{
    metadata::FileAttributes,
    name::{Utf16Name, Utf16NameBuf},
    time::FileTime,
};
use windows_sys::{
    Wdk::{
        Foundation::OBJECT_ATTRIBUTES,
        Storage::FileSystem::{
            FILE_CREATE, FILE_DIRECTORY_FILE, FILE_LINK_INFORMATION, FILE_NON_DIRECTORY_FILE,
            FILE_OPEN, FILE_OPEN_FOR_BACKUP_INTENT, FILE_OPEN_IF, FILE_OPEN_REPARSE_POINT,
            FILE_RENAME_INFORMATION, FILE_SYNCHRONOUS_IO_NONALERT, FileLinkInformation,
            FileRenameInformation, FileRenameInformationEx, NtCreateFile, NtSetInformationFile,
        },
    },
    Win32::{
        Foundation::{
            ERROR_ALREADY_EXISTS, ERROR_DIRECTORY, ERROR_FILE_EXISTS, ERROR_FILENAME_EXCED_RANGE,
            ERROR_INVALID_FUNCTION, ERROR_INVALID_NAME, ERROR_INVALID_PARAMETER,
            ERROR_NO_MORE_FILES, ERROR_NOT_SUPPORTED, ERROR_TOO_MANY_OPEN_FILES, HANDLE, NTSTATUS,
            OBJ_CASE_INSENSITIVE, RtlNtStatusToDosError, STATUS_FILE_IS_A_DIRECTORY,
            STATUS_NOT_A_DIRECTORY, STATUS_OBJECT_NAME_COLLISION, UNICODE_STRING,
        },
        Storage::FileSystem::{
            DELETE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY,
            FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TAG_INFO, FILE_BASIC_INFO,
            FILE_DISPOSITION_FLAG_DELETE, FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE,
            FILE_DISPOSITION_FLAG_POSIX_SEMANTICS, FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX,
            FILE_FLAG_BACKUP_SEMANTICS, FILE_GENERIC_READ, FILE_GENERIC_WRITE,
            FILE_ID_BOTH_DIR_INFO, FILE_INFO_BY_HANDLE_CLASS, FILE_LIST_DIRECTORY,
            FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
            FILE_TRAVERSE, FILE_WRITE_ATTRIBUTES, FileAttributeTagInfo, FileBasicInfo,
            FileDispositionInfo, FileDispositionInfoEx, FileIdBothDirectoryInfo,
            FileIdBothDirectoryRestartInfo, GetFileInformationByHandleEx, SYNCHRONIZE,
            SetFileInformationByHandle,
        },
        System::{IO::DeviceIoControl, IO::IO_STATUS_BLOCK, Ioctl::FSCTL_SET_REPARSE_POINT},
    },
};

use super::{Component, Made, Node};

/// Errors of the system that are about a name.
pub(super) const NAME_ERRORS: [i32; 3] =
    [ERROR_INVALID_NAME as i32, ERROR_FILENAME_EXCED_RANGE as i32, ERROR_DIRECTORY as i32];
/// Errors of the system that are about the number of open files.
pub(super) const TOO_MANY_OPEN: [i32; 1] = [ERROR_TOO_MANY_OPEN_FILES as i32];

/// Characters that Windows gives a meaning beside a name.
const FORBIDDEN: &[u8] = b"/\\:*?\"<>|";
/// Names of devices, whatever follows behind a dot.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Whether programs of Windows can name the file: none of the characters that mean something else, no
/// device, no dot or space at the end, and text in WTF-8.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.iter().any(|byte| *byte < 0x20 || FORBIDDEN.contains(byte))
        && !matches!(name.last(), Some(b'.' | b' '))
        && !is_device(name)
        && Utf16NameBuf::from_wtf8(name).is_ok()
}

fn is_device(name: &[u8]) -> bool {
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    let Ok(stem) = std::str::from_utf8(stem) else { return false };
    let stem = stem.trim_end_matches(' ').to_ascii_uppercase();
    let numbered = |prefix| {
        let digit = stem.strip_prefix(prefix);
        digit.is_some_and(|digit| {
            matches!(digit, "\u{b9}" | "\u{b2}" | "\u{b3}")
                || (digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit())
        })
    };
    DEVICES.contains(&stem.as_str()) || numbered("COM") || numbered("LPT")
}

pub(super) fn is_too_long(name: &[u8]) -> bool {
    Utf16NameBuf::from_wtf8(name).is_ok_and(|name| name.as_name().len() > Component::MAX_LEN)
}

/// `?` is none of the characters that a name can have here; U+FFFD says as much.
pub(super) fn cleaned(name: &str) -> String {
    let keep = |c: char| (c as u32) >= 0x20 && !(c.is_ascii() && FORBIDDEN.contains(&(c as u8)));
    let kept: String = name.chars().map(|c| if keep(c) { c } else { '\u{fffd}' }).collect();
    if is_device(kept.as_bytes()) { format!("_{kept}") } else { kept }
}

/// A path without the prefix that keeps Windows from looking at the rest.
pub(super) fn as_written(path: PathBuf) -> PathBuf {
    let mut parts = path.components();
    let Some(path::Component::Prefix(prefix)) = parts.next() else { return path };
    let plain = match prefix.kind() {
        Prefix::VerbatimDisk(letter) => format!("{}:", char::from(letter)).into(),
        Prefix::VerbatimUNC(server, share) => {
            [r"\\".as_ref(), server, r"\".as_ref(), share].into_iter().collect::<OsString>()
        }
        _ => return path,
    };
    let mut written = PathBuf::from(plain);
    written.push(parts.as_path());
    written
}

pub(super) fn path(name: &[u8]) -> Cow<'_, Path> {
    Cow::Owned(crate::text::os_string(name.to_vec()).into())
}

/// An open directory of the target.
#[derive(Debug)]
pub struct Dir(OwnedHandle);

/// What something in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A directory, and no link to one.
    Directory,
    /// A file.
    File,
    /// A symbolic link or junction.
    Link,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, WTF-8.
    pub name: Vec<u8>,
    /// What has it.
    pub sort: Sort,
}

const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
const DIR_ACCESS: u32 = FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
/// A junction or symbolic link: what leads elsewhere. Other reparse points (of deduplication, of the
/// overlay filter) are the file itself.
const NAME_SURROGATE: u32 = 0x2000_0000;
/// Replace what has the name, even where somebody has it open.
const REPLACE_POSIX: u32 = 0x1 | 0x2;
/// Bytes of names listed at a time.
const LISTING: usize = 64 << 10;

impl Dir {
    /// Opens the directory that everything will be under. Links in `path` are followed: it is the
    /// user's word and not the archive's.
    ///
    /// # Errors
    /// Those of `CreateFileW`; [`io::ErrorKind::NotADirectory`] for a file.
    pub fn open(path: &Path) -> io::Result<Dir> {
        let opened = OpenOptions::new()
            .access_mode(DIR_ACCESS)
            .share_mode(SHARE_ALL)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(path)?;
        match opened.metadata()?.is_dir() {
            true => Ok(Dir(opened.into())),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Opens the directory `name` in this one.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] where it is a link or a file, else those of `NtCreateFile`.
    pub fn open_dir(&self, name: Component<'_>) -> io::Result<Dir> {
        let opened = self.open_at(name, DIR_ACCESS, FILE_OPEN, FILE_DIRECTORY_FILE);
        let handle = opened.map_err(|error| match error {
            Failure(STATUS_NOT_A_DIRECTORY) => io::ErrorKind::NotADirectory.into(),
            error => io::Error::from(error),
        })?;
        match sort(handle.as_handle())? {
            Sort::Directory => Ok(Dir(handle)),
            Sort::File | Sort::Link => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Opens the directory that `path` leads to, down from this one.
    ///
    /// # Errors
    /// As [`open_dir`](Dir::open_dir).
    pub fn descend<'a>(&self, path: impl IntoIterator<Item = Component<'a>>) -> io::Result<Dir> {
        let here = Dir(self.0.try_clone()?);
        path.into_iter().try_fold(here, |here, name| here.open_dir(name))
    }

    /// Makes the directory `name`, unless there is one.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something else has the name, a link to a directory
    /// included; else those of `NtCreateFile`.
    pub fn make_dir(&self, name: Component<'_>) -> io::Result<Made> {
        match self.open_at(name, DIR_ACCESS, FILE_CREATE, FILE_DIRECTORY_FILE) {
            Ok(_) => Ok(Made::New),
            Err(Failure(STATUS_OBJECT_NAME_COLLISION)) => match self.sort(name)? {
                Sort::Directory => Ok(Made::Existing),
                Sort::File | Sort::Link => Err(io::ErrorKind::AlreadyExists.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the file `name` and opens it for writing and reading. A file or link that has the name is
    /// removed first (its content, if it has other names, stays as it is).
    ///
    /// # Errors
    /// [`io::ErrorKind::IsADirectory`] where a directory has the name, else those of `NtCreateFile`.
    pub fn create_file(&self, name: Component<'_>) -> io::Result<File> {
        self.replacing(name, || self.create_new_file(name))
    }

    /// Makes the file `name`, which nothing has, and opens it for writing and reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something has the name, else those of `NtCreateFile`.
    pub fn create_new_file(&self, name: Component<'_>) -> io::Result<File> {
        let access = FILE_GENERIC_READ | FILE_GENERIC_WRITE | DELETE;
        Ok(self.open_at(name, access, FILE_CREATE, FILE_NON_DIRECTORY_FILE)?.into())
    }

    /// Opens the file `name` for reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::IsADirectory`] for a directory, [`io::ErrorKind::NotADirectory`] for a link, which
    /// is not followed, else those of `NtCreateFile`.
    pub fn open_file(&self, name: Component<'_>) -> io::Result<File> {
        self.open_existing(name, FILE_GENERIC_READ, FILE_OPEN)
    }

    /// Opens the file `name` for reading and writing; made if need be, its bytes kept.
    ///
    /// # Errors
    /// As [`open_file`](Dir::open_file).
    pub fn grow_file(&self, name: Component<'_>) -> io::Result<File> {
        self.open_existing(name, FILE_GENERIC_READ | FILE_GENERIC_WRITE, FILE_OPEN_IF)
    }

    fn open_existing(&self, name: Component<'_>, access: u32, how: u32) -> io::Result<File> {
        let handle = self.open_at(name, access, how, FILE_NON_DIRECTORY_FILE)?;
        match sort(handle.as_handle())? {
            Sort::File => Ok(handle.into()),
            Sort::Directory => Err(io::ErrorKind::IsADirectory.into()),
            Sort::Link => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Makes the reparse point `name` with this tag and data: a link to a directory or to a file, as
    /// `to` says. What has the name is replaced as by [`create_file`](Dir::create_file).
    ///
    /// # Errors
    /// As [`create_file`](Dir::create_file); [`io::ErrorKind::PermissionDenied`] and the like where the
    /// account may not make symbolic links. Nothing has the name then.
    pub fn link(&self, name: Component<'_>, to: Sort, tag: u32, data: &[u8]) -> io::Result<()> {
        self.replacing(name, || self.new_link(name, to, tag, data))
    }

    /// Makes the reparse point `name`, which nothing has.
    ///
    /// # Errors
    /// As [`link`](Dir::link), and [`io::ErrorKind::AlreadyExists`].
    pub fn new_link(&self, name: Component<'_>, to: Sort, tag: u32, data: &[u8]) -> io::Result<()> {
        let kind = match to {
            Sort::Directory => FILE_DIRECTORY_FILE,
            Sort::File | Sort::Link => FILE_NON_DIRECTORY_FILE,
        };
        let access = FILE_GENERIC_WRITE | DELETE;
        let handle = self.open_at(name, access, FILE_CREATE, kind)?;
        set_reparse_point(handle.as_handle(), tag, data).inspect_err(|_| {
            // The error that is reported is the cause.
            let _ = dispose(handle.as_handle());
        })
    }

    /// Makes `name` in this directory another name of the file `of` in the directory `dir`. What has
    /// the name is replaced as by [`create_file`](Dir::create_file).
    ///
    /// # Errors
    /// As [`create_file`](Dir::create_file), and those of `NtSetInformationFile`.
    pub fn hard_link(&self, dir: &Dir, of: Component<'_>, name: Component<'_>) -> io::Result<()> {
        self.replacing(name, || self.new_hard_link(dir, of, name))
    }

    /// As [`hard_link`](Dir::hard_link), of a name that nothing has.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something has the name, else those of
    /// `NtSetInformationFile`.
    pub fn new_hard_link(
        &self,
        dir: &Dir,
        of: Component<'_>,
        name: Component<'_>,
    ) -> io::Result<()> {
        let access = FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
        let file = dir.open_at(of, access, FILE_OPEN, 0)?;
        Ok(set_name(file.as_handle(), self, name, FileLinkInformation, 0)?)
    }

    /// There are no special files on Windows.
    ///
    /// # Errors
    /// Always.
    pub fn make_node(&self, _: Component<'_>, _: Node) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has no such special files"))
    }

    /// Gives the file or directory `name` the name `to_name` in `to`, in the place of any file there.
    ///
    /// # Errors
    /// Those of `NtSetInformationFile`.
    pub fn rename(&self, name: Component<'_>, to: &Dir, to_name: Component<'_>) -> io::Result<()> {
        let handle = self.open_at(name, DELETE | SYNCHRONIZE, FILE_OPEN, 0)?;
        let moved =
            set_name(handle.as_handle(), to, to_name, FileRenameInformationEx, REPLACE_POSIX);
        match moved.map_err(io::Error::from) {
            // File systems and systems that do not know the newer call.
            Err(error) if is_unknown(&error) => {
                Ok(set_name(handle.as_handle(), to, to_name, FileRenameInformation, 1)?)
            }
            result => result,
        }
    }

    /// Runs `create`; if the name is taken, removes what has it and runs `create` once more.
    fn replacing<T>(
        &self,
        name: Component<'_>,
        create: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.remove(name)?;
                create()
            }
            result => result,
        }
    }

    /// Removes the file or link `name`.
    ///
    /// # Errors
    /// [`io::ErrorKind::IsADirectory`] for a directory, else those of the system.
    pub fn remove(&self, name: Component<'_>) -> io::Result<()> {
        let access = DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
        let handle = self.open_at(name, access, FILE_OPEN, 0)?;
        match sort(handle.as_handle())? {
            Sort::Directory => Err(io::ErrorKind::IsADirectory.into()),
            Sort::File | Sort::Link => dispose(handle.as_handle()),
        }
    }

    /// Removes the directory `name`, which is empty.
    ///
    /// # Errors
    /// [`io::ErrorKind::DirectoryNotEmpty`], [`io::ErrorKind::NotADirectory`], or those of the system.
    pub fn remove_dir(&self, name: Component<'_>) -> io::Result<()> {
        let access = DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
        let handle = self.open_at(name, access, FILE_OPEN, FILE_DIRECTORY_FILE)?;
        match sort(handle.as_handle())? {
            Sort::Directory => dispose(handle.as_handle()),
            Sort::File | Sort::Link => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// What `name` is.
    ///
    /// # Errors
    /// Those of `NtCreateFile`.
    pub fn sort(&self, name: Component<'_>) -> io::Result<Sort> {
        let handle = self.open_at(name, FILE_READ_ATTRIBUTES | SYNCHRONIZE, FILE_OPEN, 0)?;
        sort(handle.as_handle())
    }

    /// Opens `name`, whatever it is, only to look at it.
    ///
    /// # Errors
    /// Those of `NtCreateFile`.
    pub fn look(&self, name: Component<'_>) -> io::Result<File> {
        Ok(self.open_at(name, FILE_READ_ATTRIBUTES | SYNCHRONIZE, FILE_OPEN, 0)?.into())
    }

    /// Everything in this directory, in no order; an error of `visit` ends the listing.
    ///
    /// # Errors
    /// Those of listing, and of `visit`.
    pub fn list(&self, mut visit: impl FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
        // Records of a listing begin at multiples of 8.
        let mut buffer = vec![0_u64; LISTING / 8];
        let mut class = FileIdBothDirectoryRestartInfo;
        loop {
            // SAFETY: the buffer is writable and as long as is said.
            let read = unsafe {
                GetFileInformationByHandleEx(
                    raw(self.0.as_handle()),
                    class,
                    buffer.as_mut_ptr().cast(),
                    LISTING as u32,
                )
            };
            if read == 0 {
                let error = io::Error::last_os_error();
                return match error.raw_os_error().map(|code| code as u32) {
                    Some(ERROR_NO_MORE_FILES) => Ok(()),
                    _ => Err(error),
                };
            }
            class = FileIdBothDirectoryInfo;
            entries(&buffer, &mut visit)?;
        }
    }

    /// Sets attributes and times of this directory.
    ///
    /// # Errors
    /// Those of `SetFileInformationByHandle`.
    pub fn set_own_state(&self, state: &State) -> io::Result<()> {
        set_state(self.reopen_to_set_times()?.as_handle(), state)
    }

    /// Opens this directory once more, so that its times can be set.
    ///
    /// # Errors
    /// Those of `NtCreateFile`.
    pub fn reopen_to_set_times(&self) -> io::Result<File> {
        let access = FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
        let again = open(self.0.as_handle(), &mut [], access, FILE_OPEN, FILE_DIRECTORY_FILE)?;
        Ok(again.into())
    }

    /// Sets attributes and times of `name` in this directory, of the link itself if it is one.
    ///
    /// # Errors
    /// Those of opening it and of `SetFileInformationByHandle`.
    pub fn set_state(&self, name: Component<'_>, state: &State) -> io::Result<()> {
        let access = FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
        set_state(self.open_at(name, access, FILE_OPEN, 0)?.as_handle(), state)
    }

    fn open_at(
        &self,
        name: Component<'_>,
        access: u32,
        how: u32,
        kind: u32,
    ) -> Result<OwnedHandle, Failure> {
        open(self.0.as_handle(), &mut units(name), access, how, kind)
    }
}

impl AsHandle for Dir {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Attributes and times to set; 0 leaves what is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    /// Attributes, those that a program can set.
    pub attributes: FileAttributes,
    /// When it was made.
    pub creation: FileTime,
    /// When it was read last.
    pub access: FileTime,
    /// When it was written last.
    pub write: FileTime,
}

/// Sets attributes and times of an open file or directory.
///
/// # Errors
/// Those of `SetFileInformationByHandle`.
pub fn set_state(file: BorrowedHandle<'_>, state: &State) -> io::Result<()> {
    let info = FILE_BASIC_INFO {
        CreationTime: state.creation.0.cast_signed(),
        LastAccessTime: state.access.0.cast_signed(),
        LastWriteTime: state.write.0.cast_signed(),
        ChangeTime: 0,
        FileAttributes: state.attributes.bits(),
    };
    set_information(file, FileBasicInfo, &info)
}

/// An error of the kernel.
#[derive(Debug, Clone, Copy)]
struct Failure(NTSTATUS);

impl From<Failure> for io::Error {
    fn from(Failure(status): Failure) -> io::Error {
        match status {
            STATUS_FILE_IS_A_DIRECTORY => io::ErrorKind::IsADirectory.into(),
            status => {
                // SAFETY: it takes any number.
                let code = unsafe { RtlNtStatusToDosError(status) };
                match code {
                    ERROR_ALREADY_EXISTS | ERROR_FILE_EXISTS => io::ErrorKind::AlreadyExists.into(),
                    code => io::Error::from_raw_os_error(code as i32),
                }
            }
        }
    }
}

fn is_unknown(error: &io::Error) -> bool {
    let unknown = [ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED];
    error.raw_os_error().is_some_and(|code| unknown.contains(&(code as u32)))
}

fn raw(handle: BorrowedHandle<'_>) -> HANDLE {
    handle.as_raw_handle()
}

/// The name in UTF-16.
fn units(name: Component<'_>) -> Vec<u16> {
    // A component is WTF-8.
    Utf16NameBuf::from_wtf8(name.as_bytes()).unwrap_or_default().as_name().units().collect()
}

/// Opens `name` in `dir`, or `dir` itself where it is empty.
fn open(
    dir: BorrowedHandle<'_>,
    name: &mut [u16],
    access: u32,
    how: u32,
    kind: u32,
) -> Result<OwnedHandle, Failure> {
    let bytes = (name.len() * 2) as u16;
    let text = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_mut_ptr() };
    let object = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: raw(dir),
        ObjectName: &text,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let options =
        kind | FILE_OPEN_REPARSE_POINT | FILE_OPEN_FOR_BACKUP_INTENT | FILE_SYNCHRONOUS_IO_NONALERT;
    let mut handle: HANDLE = ptr::null_mut();
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: all that the pointers lead to lives until the call returns, and is of the kinds it takes.
    let status = unsafe {
        NtCreateFile(
            &mut handle,
            access | SYNCHRONIZE,
            &object,
            &mut status_block,
            ptr::null(),
            FILE_ATTRIBUTE_NORMAL,
            SHARE_ALL,
            how,
            options,
            ptr::null(),
            0,
        )
    };
    if status < 0 {
        return Err(Failure(status));
    }
    // SAFETY: the call succeeded, so the handle is a new one and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// What an open file is.
fn sort(file: BorrowedHandle<'_>) -> io::Result<Sort> {
    let mut info = FILE_ATTRIBUTE_TAG_INFO::default();
    // SAFETY: the structure is the one of this class, and as long as is said.
    let read = unsafe {
        GetFileInformationByHandleEx(
            raw(file),
            FileAttributeTagInfo,
            ptr::from_mut(&mut info).cast(),
            size_of::<FILE_ATTRIBUTE_TAG_INFO>() as u32,
        )
    };
    match read {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(sort_of(info.FileAttributes, info.ReparseTag)),
    }
}

fn sort_of(attributes: u32, tag: u32) -> Sort {
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 && tag & NAME_SURROGATE != 0 {
        Sort::Link
    } else if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        Sort::Directory
    } else {
        Sort::File
    }
}

/// Visits the records of one answer to a question for a listing.
fn entries(buffer: &[u64], visit: &mut impl FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
    use std::mem::offset_of;
    let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let number = |at: usize| {
        bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map(u32::from_ne_bytes)
    };
    let mut at = 0;
    loop {
        let field = |offset| number(at + offset).ok_or(io::ErrorKind::InvalidData);
        let next = field(offset_of!(FILE_ID_BOTH_DIR_INFO, NextEntryOffset))? as usize;
        let attributes = field(offset_of!(FILE_ID_BOTH_DIR_INFO, FileAttributes))?;
        let len = field(offset_of!(FILE_ID_BOTH_DIR_INFO, FileNameLength))? as usize;
        // Of a reparse point this field is its tag.
        let tag = field(offset_of!(FILE_ID_BOTH_DIR_INFO, EaSize))?;
        let start = at + offset_of!(FILE_ID_BOTH_DIR_INFO, FileName);
        let name = bytes.get(start..start + len).ok_or(io::ErrorKind::InvalidData)?;
        let name = Utf16Name::new(name).to_wtf8();
        if name != b"." && name != b".." {
            visit(Entry { name, sort: sort_of(attributes, tag) })?;
        }
        match next {
            0 => return Ok(()),
            next => at += next,
        }
    }
}

fn set_information<T>(
    file: BorrowedHandle<'_>,
    class: FILE_INFO_BY_HANDLE_CLASS,
    info: &T,
) -> io::Result<()> {
    // SAFETY: every caller gives the structure of the class.
    let set = unsafe {
        SetFileInformationByHandle(
            raw(file),
            class,
            ptr::from_ref(info).cast(),
            size_of::<T>() as u32,
        )
    };
    if set == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Removes what is open, at once where the system can, else when the last handle is closed.
fn dispose(file: BorrowedHandle<'_>) -> io::Result<()> {
    let now = FILE_DISPOSITION_INFO_EX {
        Flags: FILE_DISPOSITION_FLAG_DELETE
            | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS
            | FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE,
    };
    match set_information(file, FileDispositionInfoEx, &now) {
        Err(error) if is_unknown(&error) => {
            clear_read_only(file)?;
            set_information(file, FileDispositionInfo, &FILE_DISPOSITION_INFO { DeleteFile: true })
        }
        result => result,
    }
}

fn clear_read_only(file: BorrowedHandle<'_>) -> io::Result<()> {
    let mut info = FILE_BASIC_INFO::default();
    // SAFETY: the structure is the one of this class, and as long as is said.
    let read = unsafe {
        GetFileInformationByHandleEx(
            raw(file),
            FileBasicInfo,
            ptr::from_mut(&mut info).cast(),
            size_of::<FILE_BASIC_INFO>() as u32,
        )
    };
    if read == 0 {
        return Err(io::Error::last_os_error());
    }
    if info.FileAttributes & FILE_ATTRIBUTE_READONLY == 0 {
        return Ok(());
    }
    info.FileAttributes &= !FILE_ATTRIBUTE_READONLY;
    info.FileAttributes |= FILE_ATTRIBUTE_NORMAL;
    set_information(file, FileBasicInfo, &info)
}

/// Gives an open file a name in `dir`: a further one or another one, as `class` says. The structures
/// of both are the same: flags, directory, length, name.
fn set_name(
    file: BorrowedHandle<'_>,
    dir: &Dir,
    name: Component<'_>,
    class: i32,
    flags: u32,
) -> Result<(), Failure> {
    use std::mem::offset_of;
    const { assert!(size_of::<FILE_LINK_INFORMATION>() == size_of::<FILE_RENAME_INFORMATION>()) };
    const NAME: usize = offset_of!(FILE_RENAME_INFORMATION, FileName);
    let name = units(name);
    let len = size_of::<FILE_RENAME_INFORMATION>().max(NAME + name.len() * 2);
    // Aligned as the structure is.
    let mut buffer = vec![0_u64; len.div_ceil(8)];
    let info: *mut FILE_RENAME_INFORMATION = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer is aligned for the structure and holds it with the whole name behind it.
    unsafe {
        (*info).Anonymous.Flags = flags;
        (*info).RootDirectory = raw(dir.as_handle());
        (*info).FileNameLength = (name.len() * 2) as u32;
        let place: *mut u16 = buffer.as_mut_ptr().cast::<u8>().add(NAME).cast();
        ptr::copy_nonoverlapping(name.as_ptr(), place, name.len());
    }
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer holds the structure of the class, and is as long as is said.
    let status = unsafe {
        NtSetInformationFile(
            raw(file),
            &mut status_block,
            buffer.as_ptr().cast(),
            len as u32,
            class,
        )
    };
    if status < 0 { Err(Failure(status)) } else { Ok(()) }
}

/// Makes an open file or directory a reparse point.
fn set_reparse_point(file: BorrowedHandle<'_>, tag: u32, data: &[u8]) -> io::Result<()> {
    let len = u16::try_from(data.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut bytes = Vec::with_capacity(8 + data.len());
    bytes.extend(tag.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(data);
    let mut returned = 0;
    // SAFETY: the input is as long as is said, and nothing is put out.
    let done = unsafe {
        DeviceIoControl(
            raw(file),
            FSCTL_SET_REPARSE_POINT,
            bytes.as_ptr().cast(),
            bytes.len() as u32,
            ptr::null_mut(),
            0,
            &mut returned,
            ptr::null_mut(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
