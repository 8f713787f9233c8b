use std::fs::{create_dir, read, read_dir, write};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use wim_format::metadata::reparse::{TAG_JUNCTION, junction_data};

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
    create_dir(temp.path().join("target")).unwrap();
    create_dir(temp.path().join("outside")).unwrap();
    write(temp.path().join("outside/secret"), "secret").unwrap();
    let dir = Dir::open(&temp.path().join("target")).unwrap();
    Target { temp, dir }
}

impl Target {
    fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join("target").join(path)
    }

    /// Makes `name` a junction to the directory outside.
    fn junction(&self, name: &str) {
        let outside = self.temp.path().join("outside");
        let shown = Utf16NameBuf::from_os_str(outside.as_os_str()).unwrap();
        let kernel = r"\??\".encode_utf16().chain(shown.as_name().units());
        let kernel = Utf16NameBuf::from_units(kernel);
        let data = junction_data(kernel.as_name(), shown.as_name()).unwrap();
        self.dir.new_link(component(name), Sort::Directory, TAG_JUNCTION, &data).unwrap();
    }
}

#[test]
fn what_is_no_name() {
    for name in [
        "",
        ".",
        "..",
        "/",
        "a/b",
        r"a\b",
        r"\a",
        "C:",
        "a:b",
        "a:",
        "*",
        "a?",
        "a.",
        "a ",
        "...",
        "\0",
        "\n",
        "con",
        "CON",
        "nul.txt",
        "Com1",
        "lpt9.x.y",
        "COM\u{b2}",
        "conin$",
        "aux .txt",
        "<",
        "|",
    ] {
        assert_eq!(Component::new(name.as_bytes()), None, "{name:?}");
    }
    assert_eq!(Component::new(b"\xff"), None);
    for name in
        ["a", " a", ".a", "con1", "console", "com", "com10", "lpt", "a.con", "\u{fffd}", "ü"]
    {
        assert!(Component::new(name.as_bytes()).is_some(), "{name:?}");
    }
    for name in ["a:b", "con", "nul.txt", "x\n"] {
        let escaped = format!("{} (invalid filename #1)", Component::cleaned(name));
        assert!(Component::new(escaped.as_bytes()).is_some(), "{escaped:?}");
    }
    assert!(!component(&"ü".repeat(255)).is_too_long());
    assert!(component(&"a".repeat(256)).is_too_long());
}

#[test]
fn paths_are_written_without_what_the_kernel_puts_in_front() {
    for (given, written) in [
        (r"\\?\C:\a\b", r"C:\a\b"),
        (r"\\?\C:\", r"C:\"),
        (r"\\?\UNC\server\share\a", r"\\server\share\a"),
        (r"C:\a", r"C:\a"),
        (r"\\?\Volume{1}\a", r"\\?\Volume{1}\a"),
    ] {
        assert_eq!(as_written(PathBuf::from(given)), Path::new(written), "{given}");
    }
}

#[test]
fn files_directories_and_further_names_are_made() {
    let t = target();
    assert_eq!(t.dir.make_dir(component("d")).unwrap(), Made::New);
    assert_eq!(t.dir.make_dir(component("D")).unwrap(), Made::Existing);
    let d = t.dir.open_dir(component("d")).unwrap();
    d.create_file(component("f")).unwrap().write_all(b"content").unwrap();
    t.dir.hard_link(&d, component("f"), component("g")).unwrap();
    assert_eq!(read(t.path("g")).unwrap(), b"content");
    t.dir.rename(component("g"), &d, component("h")).unwrap();
    let mut names = Vec::new();
    d.list(|entry| {
        names.push((String::from_utf8(entry.name).unwrap(), entry.sort));
        Ok(())
    })
    .unwrap();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(names, [("f".into(), Sort::File), ("h".into(), Sort::File)]);
    assert_eq!(t.dir.remove_dir(component("d")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    for name in ["f", "h"] {
        d.remove(component(name)).unwrap();
    }
    drop(d);
    t.dir.remove_dir(component("d")).unwrap();
    assert_eq!(read_dir(t.path("")).unwrap().count(), 0);
}

#[test]
fn what_exists_is_replaced_and_not_written_through() {
    let t = target();
    std::fs::hard_link(t.temp.path().join("outside/secret"), t.path("f")).unwrap();
    t.dir.create_file(component("f")).unwrap().write_all(b"new").unwrap();
    assert_eq!(read(t.path("f")).unwrap(), b"new");
    assert_eq!(read(t.temp.path().join("outside/secret")).unwrap(), b"secret");
    write(t.path("g"), "old").unwrap();
    t.dir.rename(component("f"), &t.dir, component("g")).unwrap();
    assert_eq!(read(t.path("g")).unwrap(), b"new");
    let taken = t.dir.create_new_file(component("g")).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    t.dir.make_dir(component("d")).unwrap();
    assert_eq!(t.dir.create_file(component("d")).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(t.dir.remove(component("d")).unwrap_err().kind(), ErrorKind::IsADirectory);
}

#[test]
fn a_junction_is_no_directory() {
    let t = target();
    t.junction("out");
    let out = component("out");
    assert_eq!(t.dir.sort(out).unwrap(), Sort::Link);
    assert_eq!(t.dir.make_dir(out).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(t.dir.open_dir(out).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert!(t.dir.descend([out, component("x")]).is_err());
    t.dir.create_file(out).unwrap();
    assert_eq!(t.dir.sort(out).unwrap(), Sort::File);
    assert_eq!(read(t.temp.path().join("outside/secret")).unwrap(), b"secret");
}

#[test]
fn attributes_and_times_are_set() {
    use std::os::windows::fs::MetadataExt;
    let t = target();
    drop(t.dir.create_file(component("f")).unwrap());
    let at = |seconds| FileTime::from_unix(seconds, 123_456_700);
    let state = State {
        attributes: FileAttributes::READONLY | FileAttributes::HIDDEN,
        creation: at(1000),
        access: at(2000),
        write: at(3000),
    };
    t.dir.set_state(component("f"), &state).unwrap();
    let found = t.path("f").metadata().unwrap();
    assert_eq!(found.last_write_time(), at(3000).0);
    assert_eq!(found.file_attributes() & FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_READONLY);
    t.dir.set_own_state(&State { write: at(4000), ..State::default() }).unwrap();
    assert_eq!(t.path("").metadata().unwrap().last_write_time(), at(4000).0);
    t.dir.remove(component("f")).unwrap();
    assert!(!t.path("f").exists());
}
