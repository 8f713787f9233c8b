use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::super::Media;
use crate::error::Kind;

/// A folder that passes for media.
fn media() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sources")).unwrap();
    fs::write(folder.path().join("setup.exe"), "exe").unwrap();
    fs::write(folder.path().join("sources/install.wim"), "wim").unwrap();
    folder
}

fn refusal(folder: &tempfile::TempDir) -> String {
    let error = Media::open(folder.path()).err().unwrap();
    assert_eq!(error.kind(), Kind::Usage);
    error.to_string()
}

#[test]
fn lists_files_and_folders_in_order() {
    let folder = media();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let media = Media::open(folder.path()).unwrap();
    let paths: Vec<_> = media.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["empty", "setup.exe", "sources", "sources/install.wim"]);
    assert_eq!(media.install_image().unwrap().path.as_str(), "sources/install.wim");
    let setup = media.find("SETUP.EXE").unwrap();
    let open = media.open_file(setup).unwrap();
    assert_eq!(&open.source.bytes(0, 3).unwrap()[..], b"exe");
    open.check_unchanged().unwrap();
}

#[test]
fn hostile_names_are_refused_all_at_once() {
    let folder = media();
    for name in [&b"not\xfftext"[..], b"line\nbreak", b"back\\slash", b"aux.txt", b"trailing."] {
        fs::write(folder.path().join(OsStr::from_bytes(name)), "").unwrap();
    }
    let message = refusal(&folder);
    for part in [
        "5 things",
        "not\\xfftext is not UTF-8",
        "line\\u{a}break contains a control character",
        "back\\slash contains a character that Windows forbids",
        "aux.txt has the name of a DOS device",
        "trailing. ends in a dot",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn names_that_windows_takes_for_one_are_refused() {
    let folder = media();
    fs::write(folder.path().join("SETUP.exe"), "").unwrap();
    assert!(refusal(&folder).contains("one name to Windows"));
}

#[test]
fn links_inside_count_as_their_file_and_others_are_refused() {
    let folder = media();
    symlink("setup.exe", folder.path().join("again.exe")).unwrap();
    let media = Media::open(folder.path()).unwrap();
    assert_eq!(media.find("again.exe").unwrap().size, Some(3));
    drop(media);

    symlink("/etc/passwd", folder.path().join("absolute")).unwrap();
    symlink("../outside", folder.path().join("climbing")).unwrap();
    symlink("missing", folder.path().join("dangling")).unwrap();
    symlink("loop", folder.path().join("loop")).unwrap();
    symlink("sources", folder.path().join("folder")).unwrap();
    let message = refusal(&folder);
    for part in [
        "absolute is a symbolic link that leads out",
        "climbing is a symbolic link that leads out",
        "dangling is a symbolic link to nothing",
        "loop is a symbolic link that never ends",
        "folder is a symbolic link to a folder",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn pipes_are_refused_and_not_opened() {
    let folder = media();
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    assert!(refusal(&folder).contains("pipe is a named pipe"));
}

#[test]
fn a_file_that_changes_is_named() {
    let folder = media();
    let media = Media::open(folder.path()).unwrap();
    let setup = media.find("setup.exe").unwrap().clone();
    let wim = media.install_image().unwrap().clone();

    let open = media.open_file(&setup).unwrap();
    fs::write(folder.path().join("setup.exe"), "longer").unwrap();
    let error = open.check_unchanged().unwrap_err();
    assert!(error.to_string().contains("setup.exe was changed"), "{error}");
    let error = media.open_file(&setup).unwrap_err();
    assert!(error.to_string().contains("setup.exe was changed"), "{error}");

    fs::remove_file(folder.path().join("sources/install.wim")).unwrap();
    symlink("/etc/passwd", folder.path().join("sources/install.wim")).unwrap();
    let error = media.open_file(&wim).unwrap_err();
    assert!(error.to_string().contains("install.wim was changed"), "{error}");
}

#[test]
fn what_is_no_media_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(&folder).contains("there is no setup.exe"));
    fs::write(folder.path().join("setup.exe"), "").unwrap();
    assert!(refusal(&folder).contains("there is no sources/install.wim"));
    let error = Media::open(&folder.path().join("nowhere")).err().unwrap();
    assert_eq!(error.kind(), Kind::Io);
}
