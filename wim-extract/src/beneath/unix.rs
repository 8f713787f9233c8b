//! On UNIX a directory is a descriptor. Several levels at once go through `openat2(2)` with
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`; where the kernel has no such call
//! or a sandbox forbids it, level by level.

use std::{
    borrow::Cow,
    ffi::{CString, OsStr},
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, RawMode, Timestamps, Uid, XattrFlags},
    io::{Errno, retry_on_intr},
};

use super::{Component, Made, Node};

/// Errors of the system that are about a name.
pub(super) const NAME_ERRORS: [i32; 3] =
    [Errno::NAMETOOLONG.raw_os_error(), Errno::ILSEQ.raw_os_error(), Errno::INVAL.raw_os_error()];
/// Errors of the system that are about the number of open files.
pub(super) const TOO_MANY_OPEN: [i32; 2] =
    [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];

/// Whether it holds neither a separator nor NUL.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

pub(super) fn is_too_long(name: &[u8]) -> bool {
    name.len() > Component::MAX_LEN
}

pub(super) fn cleaned(name: &str) -> String {
    name.replace(['/', '\0'], "?")
}

/// A path has one form.
pub(super) fn as_written(path: PathBuf) -> PathBuf {
    path
}

pub(super) fn path(name: &[u8]) -> Cow<'_, Path> {
    Cow::Borrowed(Path::new(OsStr::from_bytes(name)))
}

/// Bytes of a path given to the kernel at once; it takes 4096 with the NUL.
const MAX_PATH: usize = 4000;

/// Whether this process may use `openat2`; learnt at the first refusal.
static OPENAT2: AtomicBool = AtomicBool::new(cfg!(target_os = "linux"));

/// An open directory of the target.
#[derive(Debug)]
pub struct Dir(OwnedFd);

const OPEN_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Dir {
    /// Opens the directory that everything will be under. Links in `path` are followed: it is the
    /// user's word and not the archive's.
    ///
    /// # Errors
    /// Those of `open(2)`.
    pub fn open(path: &Path) -> io::Result<Dir> {
        let flags = OPEN_DIR.difference(OFlags::NOFOLLOW);
        Ok(Dir(retry_on_intr(|| fs::openat(CWD, path, flags, Mode::empty()))?))
    }

    /// Opens the directory `name` in this one.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] where it is a link or a file, else those of `openat(2)`.
    pub fn open_dir(&self, name: Component<'_>) -> io::Result<Dir> {
        match retry_on_intr(|| fs::openat(&self.0, name.0, OPEN_DIR, Mode::empty())) {
            Ok(fd) => Ok(Dir(fd)),
            // Which of the two a link gives depends on the system.
            Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the directory that `path` leads to, down from this one.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] where a part is a link or a file, else those of
    /// `openat2(2)`.
    pub fn descend<'a>(&self, path: impl IntoIterator<Item = Component<'a>>) -> io::Result<Dir> {
        let mut here = Dir(self.0.try_clone()?);
        let mut piece: Vec<Component<'a>> = Vec::new();
        let mut len = 0;
        for component in path {
            if len + component.0.len() >= MAX_PATH && !piece.is_empty() {
                here = here.descend_piece(&piece)?;
                piece.clear();
                len = 0;
            }
            len += component.0.len() + 1;
            piece.push(component);
        }
        if piece.is_empty() { Ok(here) } else { here.descend_piece(&piece) }
    }

    fn descend_piece(&self, piece: &[Component<'_>]) -> io::Result<Dir> {
        if piece.len() > 1
            && OPENAT2.load(Ordering::Relaxed)
            && let Some(result) = self.open_beneath(piece)
        {
            return result;
        }
        let mut here = None;
        for &component in piece {
            here = Some(here.as_ref().unwrap_or(self).open_dir(component)?);
        }
        here.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Opens several levels at once; `None` where this process cannot.
    #[cfg(target_os = "linux")]
    fn open_beneath(&self, piece: &[Component<'_>]) -> Option<io::Result<Dir>> {
        use rustix::fs::{ResolveFlags, openat2};
        let names: Vec<&[u8]> = piece.iter().map(|component| component.0).collect();
        // Components hold no NUL.
        let path = CString::new(names.join(&b'/')).ok()?;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: something was renamed meanwhile, and the kernel could not be sure.
        for _ in 0..16 {
            match openat2(&self.0, &path, OPEN_DIR, Mode::empty(), resolve) {
                Ok(fd) => return Some(Ok(Dir(fd))),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::PERM) => {
                    OPENAT2.store(false, Ordering::Relaxed);
                    return None;
                }
                Err(Errno::LOOP) => return Some(Err(Errno::NOTDIR.into())),
                Err(error) => return Some(Err(error.into())),
            }
        }
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn open_beneath(&self, _: &[Component<'_>]) -> Option<io::Result<Dir>> {
        None
    }

    /// Makes the directory `name`, unless there is one.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something else has the name, a link to a directory
    /// included; else those of `mkdirat(2)`.
    pub fn make_dir(&self, name: Component<'_>) -> io::Result<Made> {
        match fs::mkdirat(&self.0, name.0, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(Made::New),
            Err(Errno::EXIST) => match self.file_type(name)? {
                FileType::Directory => Ok(Made::Existing),
                _ => Err(Errno::EXIST.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the file `name` and opens it for writing and reading. A file, link or special file that has the
    /// name is removed first (its content, if it has other names, stays as it is).
    ///
    /// # Errors
    /// [`io::ErrorKind::IsADirectory`] where a directory has the name, else those of `openat(2)`.
    pub fn create_file(&self, name: Component<'_>) -> io::Result<File> {
        match self.create_new_file(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.remove(name)?;
                self.create_new_file(name)
            }
            result => result,
        }
    }

    /// Makes the file `name`, which nothing has, and opens it for writing and reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something has the name, else those of `openat(2)`.
    pub fn create_new_file(&self, name: Component<'_>) -> io::Result<File> {
        let flags = OFlags::RDWR
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        let mode = Mode::from_raw_mode(0o666);
        Ok(File::from(retry_on_intr(|| fs::openat(&self.0, name.0, flags, mode))?))
    }

    /// Makes the symbolic link `name`, which leads to `target`; any bytes but NUL will do. What has
    /// the name is replaced as by [`create_file`](Dir::create_file).
    ///
    /// # Errors
    /// As [`create_file`](Dir::create_file), and those of `symlinkat(2)`.
    pub fn symlink(&self, target: &[u8], name: Component<'_>) -> io::Result<()> {
        self.replacing(name, || fs::symlinkat(target, &self.0, name.0))
    }

    /// Makes the symbolic link `name`, which nothing has.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something has the name, else those of
    /// `symlinkat(2)`.
    pub fn new_symlink(&self, target: &[u8], name: Component<'_>) -> io::Result<()> {
        Ok(fs::symlinkat(target, &self.0, name.0)?)
    }

    /// Makes `name` in this directory another name of the file `of` in the directory `dir`, which
    /// is not followed if it is a symbolic link. What has the name is replaced as by
    /// [`create_file`](Dir::create_file).
    ///
    /// # Errors
    /// As [`create_file`](Dir::create_file), and those of `linkat(2)`.
    pub fn hard_link(&self, dir: &Dir, of: Component<'_>, name: Component<'_>) -> io::Result<()> {
        self.replacing(name, || fs::linkat(&dir.0, of.0, &self.0, name.0, AtFlags::empty()))
    }

    /// As [`hard_link`](Dir::hard_link), of a name that nothing has.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something has the name, else those of `linkat(2)`.
    pub fn new_hard_link(
        &self,
        dir: &Dir,
        of: Component<'_>,
        name: Component<'_>,
    ) -> io::Result<()> {
        Ok(fs::linkat(&dir.0, of.0, &self.0, name.0, AtFlags::empty())?)
    }

    /// Makes the special file `name`. What has the name is replaced as by
    /// [`create_file`](Dir::create_file).
    ///
    /// # Errors
    /// As [`create_file`](Dir::create_file), and those of `mknodat(2)`.
    pub fn make_node(&self, name: Component<'_>, node: Node) -> io::Result<()> {
        let (kind, device) = match node {
            Node::Fifo => (FileType::Fifo, 0),
            Node::Socket => (FileType::Socket, 0),
            Node::CharacterDevice(device) => (FileType::CharacterDevice, device),
            Node::BlockDevice(device) => (FileType::BlockDevice, device),
        };
        let mode = Mode::from_raw_mode(0o666);
        self.replacing(name, || fs::mknodat(&self.0, name.0, kind, mode, device))
    }

    /// Runs `create`; if the name is taken, removes what has it and runs `create` once more.
    fn replacing<T>(
        &self,
        name: Component<'_>,
        create: impl Fn() -> Result<T, Errno>,
    ) -> io::Result<T> {
        match create() {
            Err(Errno::EXIST) => {
                self.remove(name)?;
                Ok(create()?)
            }
            result => Ok(result?),
        }
    }

    /// Removes the file, link or special file `name`.
    ///
    /// # Errors
    /// [`io::ErrorKind::IsADirectory`] for a directory, else those of `unlinkat(2)`.
    pub fn remove(&self, name: Component<'_>) -> io::Result<()> {
        match fs::unlinkat(&self.0, name.0, AtFlags::empty()) {
            Ok(()) => Ok(()),
            // The standard's answer for a directory; Linux gives EISDIR by itself.
            Err(Errno::PERM) if self.file_type(name)? == FileType::Directory => {
                Err(Errno::ISDIR.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the times of this directory.
    ///
    /// # Errors
    /// Those of `futimens(2)`.
    pub fn set_own_times(&self, times: &Timestamps) -> io::Result<()> {
        Ok(fs::futimens(&self.0, times)?)
    }

    /// Sets the times of `name` in this directory, of the link itself if it is one.
    ///
    /// # Errors
    /// Those of `utimensat(2)`.
    pub fn set_times(&self, name: Component<'_>, times: &Timestamps) -> io::Result<()> {
        Ok(fs::utimensat(&self.0, name.0, times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Sets the owner of `name` in this directory, of the link itself if it is one.
    ///
    /// # Errors
    /// Those of `fchownat(2)`.
    pub fn set_owner(&self, name: Component<'_>, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        Ok(fs::chownat(&self.0, name.0, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Sets the permission bits of `name` in this directory, which is not a symbolic link.
    ///
    /// # Errors
    /// [`io::ErrorKind::FilesystemLoop`] for a symbolic link, which has no permissions;
    /// [`io::ErrorKind::NotFound`] where `/proc` is not mounted; else those of `chmod(2)`.
    pub fn set_mode(&self, name: Component<'_>, mode: u32) -> io::Result<()> {
        // `fchmodat` follows links before Linux 6.6; so get hold of the very file first.
        let flags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
        let file = retry_on_intr(|| fs::openat(&self.0, name.0, flags, Mode::empty()))?;
        match FileType::from_raw_mode(fs::fstat(&file)?.st_mode) {
            FileType::Symlink => Err(Errno::LOOP.into()),
            _ => Ok(fs::chmod(own_path(&file), mode_bits(mode))?),
        }
    }

    /// Sets the extended attribute `key` of `name` in this directory, of the link itself if it is
    /// one.
    ///
    /// # Errors
    /// Those of `lsetxattr(2)`, and [`io::ErrorKind::NotFound`] where `/proc` is not mounted.
    pub fn set_xattr(&self, name: Component<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
        // The call takes a path; this one leads through the open directory.
        let path = own_path(&self.0).join(name.to_path());
        Ok(fs::lsetxattr(path, key, value, XattrFlags::empty())?)
    }

    fn file_type(&self, name: Component<'_>) -> io::Result<FileType> {
        let stat = fs::statat(&self.0, name.0, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path to what this process has open as `fd`, for calls that take only paths.
fn own_path(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// The permission bits of a mode, those for set-user-id and the like included.
pub fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as RawMode)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{read, read_link, symlink_metadata, write},
        io::{ErrorKind, Write},
        os::unix::fs::{FileTypeExt, MetadataExt, symlink},
    };

    use super::*;

    fn component(name: &str) -> Component<'_> {
        Component::new(name.as_bytes()).unwrap()
    }

    struct Target {
        temp: tempfile::TempDir,
        dir: Dir,
    }

    /// An empty target beside a directory `outside` with a file `secret`.
    fn target() -> Target {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("target")).unwrap();
        std::fs::create_dir(temp.path().join("outside")).unwrap();
        write(temp.path().join("outside/secret"), "secret").unwrap();
        let dir = Dir::open(&temp.path().join("target")).unwrap();
        Target { temp, dir }
    }

    impl Target {
        fn path(&self, path: &str) -> PathBuf {
            self.temp.path().join("target").join(path)
        }

        fn assert_outside_untouched(&self) {
            let outside = self.temp.path().join("outside");
            assert_eq!(read(outside.join("secret")).unwrap(), b"secret");
            assert_eq!(std::fs::read_dir(outside).unwrap().count(), 1);
            assert_eq!(std::fs::read_dir(self.temp.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn what_is_no_component() {
        for name in ["", ".", "..", "/", "a/b", "/a", "a/", "../a", "a\0", "\0"] {
            assert_eq!(Component::new(name.as_bytes()), None, "{name:?}");
        }
        for name in ["...", "a", " ", "\\", "..\\a", "C:", "\u{1}", "\u{FEFF}"] {
            assert!(Component::new(name.as_bytes()).is_some(), "{name:?}");
        }
    }

    #[test]
    fn files_links_and_directories_are_made() {
        let t = target();
        assert_eq!(t.dir.make_dir(component("d")).unwrap(), Made::New);
        assert_eq!(t.dir.make_dir(component("d")).unwrap(), Made::Existing);
        let d = t.dir.open_dir(component("d")).unwrap();
        d.create_file(component("f")).unwrap().write_all(b"content").unwrap();
        t.dir.hard_link(&d, component("f"), component("g")).unwrap();
        t.dir.symlink(b"d/f", component("s")).unwrap();
        d.make_node(component("pipe"), Node::Fifo).unwrap();
        d.set_mode(component("pipe"), 0o600).unwrap();
        assert!(t.dir.set_mode(component("s"), 0o600).is_err());
        assert_eq!(read(t.path("g")).unwrap(), b"content");
        assert_eq!(read_link(t.path("s")).unwrap(), Path::new("d/f"));
        assert!(symlink_metadata(t.path("d/pipe")).unwrap().file_type().is_fifo());
        assert_eq!(symlink_metadata(t.path("d/pipe")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_exists_is_replaced_and_not_written_through() {
        let t = target();
        symlink("../outside/secret", t.path("f")).unwrap();
        std::fs::hard_link(t.temp.path().join("outside/secret"), t.path("g")).unwrap();
        for name in ["f", "g"] {
            t.dir.create_file(component(name)).unwrap().write_all(b"new").unwrap();
            assert_eq!(read(t.path(name)).unwrap(), b"new");
        }
        t.dir.symlink(b"x", component("g")).unwrap();
        t.dir.hard_link(&t.dir, component("f"), component("g")).unwrap();
        assert_eq!(symlink_metadata(t.path("f")).unwrap().nlink(), 2);
        t.assert_outside_untouched();
    }

    #[test]
    fn a_directory_is_never_replaced() {
        let t = target();
        t.dir.make_dir(component("d")).unwrap();
        let d = component("d");
        assert_eq!(t.dir.create_file(d).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(t.dir.symlink(b"x", d).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(t.dir.remove(d).unwrap_err().kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn a_link_to_a_directory_is_no_directory() {
        for openat2 in [true, false] {
            OPENAT2.store(openat2, Ordering::Relaxed);
            let t = target();
            symlink("../outside", t.path("out")).unwrap();
            std::fs::create_dir(t.path("in")).unwrap();
            symlink("/", t.path("in/root")).unwrap();
            let out = component("out");
            assert_eq!(t.dir.make_dir(out).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!(t.dir.open_dir(out).unwrap_err().kind(), ErrorKind::NotADirectory);
            for path in [["in", "root"], ["in/root", "etc"], ["out", "x"]] {
                let path = path.iter().flat_map(|part| part.split('/')).map(component);
                assert_eq!(t.dir.descend(path).unwrap_err().kind(), ErrorKind::NotADirectory);
            }
            t.assert_outside_untouched();
        }
        OPENAT2.store(cfg!(target_os = "linux"), Ordering::Relaxed);
    }

    #[test]
    fn a_path_longer_than_the_kernel_takes() {
        let t = target();
        let name = "n".repeat(200);
        let mut here = t.dir.descend([]).unwrap();
        for _ in 0..60 {
            here.make_dir(component(&name)).unwrap();
            here = here.open_dir(component(&name)).unwrap();
        }
        here.create_file(component("deep")).unwrap();
        let again = t.dir.descend(std::iter::repeat_n(component(&name), 60)).unwrap();
        again.remove(component("deep")).unwrap();
        let too_deep = t.dir.descend(std::iter::repeat_n(component(&name), 61)).unwrap_err();
        assert_eq!(too_deep.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn times_are_those_of_the_link_itself() {
        let t = target();
        symlink("../outside/secret", t.path("s")).unwrap();
        let at = |seconds| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 123_456_700 };
        let times = Timestamps { last_access: at(1000), last_modification: at(2000) };
        let before = symlink_metadata(t.temp.path().join("outside/secret")).unwrap().mtime();
        t.dir.set_times(component("s"), &times).unwrap();
        let found = symlink_metadata(t.path("s")).unwrap();
        assert_eq!((found.mtime(), found.mtime_nsec()), (2000, 123_456_700));
        let after = symlink_metadata(t.temp.path().join("outside/secret")).unwrap().mtime();
        assert_eq!(before, after);
    }
}
