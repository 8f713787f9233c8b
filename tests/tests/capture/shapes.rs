//! Trees of every shape with every codec, chunk size and level.

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, inotify};

use osupg_tests::corpus::noise;
use osupg_tests::tree::assert_same;

use crate::{Scratch, seen, trees};

const CHUNKS: [&str; 23] = [
    "--compress=none",
    "--compress=xpress --chunk-size=4K",
    "--compress=xpress --chunk-size=8K",
    "--compress=xpress --chunk-size=16K",
    "--compress=xpress --chunk-size=64K",
    "--compress=xpress:1",
    "--compress=fast:20",
    "--compress=xpress:50",
    "--compress=xpress:100",
    "--compress=lzx --chunk-size=64K",
    "--compress=lzx --chunk-size=128K",
    "--compress=lzx --chunk-size=256K",
    "--compress=lzx --chunk-size=512K",
    "--compress=lzx --chunk-size=1M",
    "--compress=maximum:20 --chunk-size=2M",
    "--compress=lzx:1",
    "--compress=lzx:35",
    "--compress=lzx:1000",
    "--compress=lzms",
    "--compress=lzms:20 --chunk-size=32K",
    "--compress=lzms --chunk-size=1M",
    "--compress=lzms:100 --chunk-size=16M",
    "--compress=LZMS:1000 --chunk-size=64M",
];

/// Captured by wimx: accepted and applied by others, and the same image that wimlib makes.
fn round_trip(scratch: &Scratch, options: &[&str]) {
    let tree = seen(&scratch.path("tree"));
    scratch.wimlib("capture tree theirs.wim --quiet --compress=none").ok();
    for options in options {
        let line = format!("capture tree ours.wim --quiet {options}");
        scratch.wimx(&line).ok();
        scratch.accepted("ours.wim");
        scratch.holds("ours.wim", 1, &tree);
        let same = scratch.metadata("ours.wim", 1) == scratch.metadata("theirs.wim", 1);
        assert!(same, "{options}: the metadata is not wimlib's");
        assert!(scratch.blobs("ours.wim") == scratch.blobs("theirs.wim"), "{options}: blobs");
        assert_eq!(counts(scratch, "ours.wim"), counts(scratch, "theirs.wim"), "{options}");
    }
}

/// What the XML says of how much there is.
fn counts(scratch: &Scratch, wim: &str) -> Vec<String> {
    let info = scratch.wimlib(&format!("info {wim} 1")).ok().text();
    let is_count = |line: &&str| line.contains("Count:") || line.contains("Bytes:");
    info.lines().filter(is_count).map(str::to_owned).collect()
}

#[test]
fn every_chunk_size_and_level() {
    let scratch = Scratch::new();
    trees::small_sizes(&scratch.path("tree"));
    round_trip(&scratch, &CHUNKS);
}

#[test]
fn files_around_and_beyond_a_batch() {
    let scratch = Scratch::new();
    trees::large_sizes(&scratch.path("tree"));
    round_trip(&scratch, &["--threads=2 --compress=xpress:1", "--compress=none"]);
}

/// Of several large files of one length only those that something before them might equal are hashed before
/// they are packed, and opened again if they are new.
#[test]
fn a_large_file_is_read_once() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    let data = noise(20_000_000, 1);
    trees::write(&tree, &[("a", &data), ("b", &data), ("c", &noise(20_000_000, 2))]);
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
    // Equal events that follow each other are one; with the closing of files between them they do not.
    let flags = inotify::WatchFlags::OPEN | inotify::WatchFlags::CLOSE_NOWRITE;
    inotify::add_watch(&watch, &tree, flags).expect("a watch");
    scratch.wimx("capture tree a.wim --quiet --compress=xpress:1").ok();

    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let mut opened = Vec::new();
    while let Ok(event) = events.next() {
        if event.events().contains(inotify::ReadFlags::OPEN) {
            opened.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    opened.sort();
    assert_eq!(opened, ["a", "b", "c", "c"]);
    scratch.holds("a.wim", 1, &seen(&tree));
}

#[test]
fn an_empty_tree() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[]);
    round_trip(&scratch, &["--compress=none", "--compress=xpress", "--compress=lzx --check"]);
}

#[test]
fn nothing_but_empty_files() {
    let scratch = Scratch::new();
    trees::write(&scratch.path("tree"), &[("a", b""), ("b/c", b""), ("b/d", b"")]);
    round_trip(&scratch, &["--compress=lzx"]);
}

#[test]
fn five_hundred_levels() {
    let scratch = Scratch::new();
    trees::deep(&scratch.path("tree"), 500);
    round_trip(&scratch, &["--compress=none --threads=1", "--compress=lzx --threads=4"]);
}

#[test]
fn many_small_files() {
    let scratch = Scratch::new();
    trees::many(&scratch.path("tree"), 20_000);
    round_trip(&scratch, &["--compress=xpress"]);
}

/// A tree as large as an install image's, both ways: what one captures, the other applies.
#[test]
#[ignore = "takes a minute over 100,000 files: tests/run"]
fn a_hundred_thousand_small_files() {
    let scratch = Scratch::new();
    trees::many(&scratch.path("tree"), 100_000);
    let tree = seen(&scratch.path("tree"));
    scratch.wimlib("capture tree theirs.wim --quiet --compress=xpress").ok();
    scratch.wimx("capture tree ours.wim --quiet --compress=xpress").ok();
    scratch.accepted("ours.wim");
    scratch.holds("ours.wim", 1, &tree);
    let same = scratch.metadata("ours.wim", 1) == scratch.metadata("theirs.wim", 1);
    assert!(same, "the metadata is not wimlib's");
    assert!(scratch.blobs("ours.wim") == scratch.blobs("theirs.wim"), "blobs");
    scratch.wimx("apply theirs.wim 1 applied --quiet").ok();
    assert_same("applied by wimx", &tree, &seen(&scratch.path("applied")));
}

#[test]
fn odd_names() {
    let scratch = Scratch::new();
    trees::odd_names(&scratch.path("tree"));
    round_trip(&scratch, &["--compress=lzx"]);
}

#[test]
fn hard_and_symbolic_links() {
    let scratch = Scratch::new();
    trees::links(&scratch.path("tree"));
    round_trip(&scratch, &["--compress=none", "--compress=lzx"]);
}

#[test]
fn files_with_holes() {
    let scratch = Scratch::new();
    trees::holes(&scratch.path("tree"), 9_000_000);
    round_trip(&scratch, &["--compress=none", "--compress=lzx:1"]);
    // What is a hole in the tree is one in what is applied.
    scratch.wimx("apply ours.wim 1 applied --quiet").ok();
    let blocks = |file: &str| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(scratch.path(file)).expect("a file").blocks()
    };
    assert!(blocks("applied/all") <= blocks("tree/all"), "{} blocks", blocks("applied/all"));
}

/// The offsets of such a file's chunks take eight bytes each.
#[test]
#[ignore = "takes a minute over more than 4 GiB: tests/run"]
fn a_file_beyond_4_gib() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    fs::create_dir(&tree).expect("a folder");
    let file = File::create(tree.join("large")).expect("a file");
    let len = (4 << 30) + 100_001;
    file.set_len(len).expect("a length");
    for at in [0, 1 << 31, (4 << 30) - 5, len - 20] {
        file.write_all_at(b"here is something", at).expect("it can be written");
    }
    trees::settle(&tree);
    let expected = seen(&tree);
    for options in ["--compress=xpress:1", "--compress=lzx:1 --chunk-size=2M"] {
        scratch.wimx(&format!("capture tree ours.wim --quiet {options}")).ok();
        scratch.accepted("ours.wim");
        scratch.holds("ours.wim", 1, &expected);
    }
}

/// Owners, modes, pipes, sockets and extended attributes.
#[test]
fn what_unix_has_beyond_windows() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    trees::write(&tree, &[("plain", b"plain"), ("dir/setuid", b"s"), ("attributes", b"a")]);
    let set_mode = |name: &str, mode| {
        use std::os::unix::fs::PermissionsExt;
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(tree.join(name), permissions).expect("a mode can be set");
    };
    set_mode("dir/setuid", 0o4751);
    set_mode("plain", 0o604);
    set_mode("dir", 0o1775);
    rustix::fs::mknodat(CWD, tree.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0)
        .expect("a pipe");
    let _socket = UnixListener::bind(tree.join("socket")).expect("a socket");
    std::os::unix::fs::symlink("plain", tree.join("link")).expect("a link");
    let set = |name: &str, attribute: &str, value: &[u8]| {
        let path = tree.join(name);
        rustix::fs::setxattr(path, attribute, value, XattrFlags::empty()).expect("an attribute");
    };
    set("attributes", "user.b", b"value");
    set("plain", "user.a", b"");
    set("dir/setuid", "user.\u{fc}", &[0xff; 1000]);
    set("dir", "user.of a folder", b"value");
    trees::settle(&tree);

    scratch.wimlib("capture tree theirs.wim --quiet --unix-data").ok();
    scratch.wimx("capture tree ours.wim --quiet --unix-data").ok();
    scratch.accepted("ours.wim");
    for tool in ["ours", "theirs"] {
        let apply = format!("apply {tool}.wim 1 {tool} --quiet --unix-data");
        match tool {
            "ours" => scratch.wimlib(&apply),
            _ => scratch.wimx(&apply),
        }
        .ok();
        assert_eq!(unix(&scratch.path(tool)), unix(&tree), "{apply}");
    }
    assert!(scratch.metadata("ours.wim", 1) == scratch.metadata("theirs.wim", 1), "metadata");
    // Without the option they are left out, and said to be.
    let said = scratch.wimx("capture tree without.wim").ok().stderr;
    assert!(said.contains("tree/pipe") && said.contains("tree/socket"), "{said}");
    scratch.wimlib("capture tree theirs.wim --quiet").ok();
    assert!(scratch.metadata("without.wim", 1) == scratch.metadata("theirs.wim", 1), "metadata");
}

/// Kind, mode, owner and extended attributes of all in a tree.
fn unix(root: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut lines = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let found = fs::symlink_metadata(&path).expect("it is there");
        if found.is_dir() {
            let entries = fs::read_dir(&path).expect("a listing");
            pending.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        let mut names = vec![0; 4096];
        let len = rustix::fs::llistxattr(&path, &mut names[..]).expect("attributes are listed");
        let names = names[..len].split(|&byte| byte == 0).filter(|name| !name.is_empty());
        let mut attributes: Vec<_> = names
            .map(|name| {
                let mut value = vec![0; 4096];
                let len = rustix::fs::lgetxattr(&path, name, &mut value[..]).expect("a value");
                (String::from_utf8_lossy(name).into_owned(), value[..len].to_vec())
            })
            .collect();
        attributes.sort();
        let within = path.strip_prefix(root).expect("it is below").display();
        let (mode, uid, gid) = (found.mode(), found.uid(), found.gid());
        lines.push(format!("{within} {mode:o} {uid} {gid} {attributes:?}"));
    }
    lines.sort();
    lines
}

/// What is written at once when it is long, and gathered when it is not.
#[test]
fn lengths_around_what_is_gathered() {
    let scratch = Scratch::new();
    let tree = scratch.path("tree");
    fs::create_dir(&tree).expect("a folder");
    for (number, len) in (0u64..).zip([1, 1 << 20, 1, (1 << 20) - 300, 1_500_000, 2, 2 << 20, 5]) {
        let len = len as usize;
        fs::write(tree.join(format!("{number}.noise")), osupg_tests::corpus::noise(len, number))
            .expect("a file");
        let mut mixed = osupg_tests::corpus::noise(len, 20 + number);
        mixed.extend_from_slice(&osupg_tests::corpus::text(len / 4, 40 + number));
        fs::write(tree.join(format!("{number}.mixed")), mixed).expect("a file");
    }
    trees::settle(&tree);
    round_trip(&scratch, &["--compress=none", "--compress=xpress:1", "--compress=lzx:1"]);
}

/// The same with any number of threads, and on every run.
#[test]
fn captures_are_reproducible() {
    let scratch = Scratch::new();
    trees::small_sizes(&scratch.path("tree/sizes"));
    trees::links(&scratch.path("tree/links"));
    fs::write(scratch.path("tree/long"), osupg_tests::corpus::text(30_000_000, 9)).expect("a file");
    trees::settle(&scratch.path("tree"));
    for compress in ["none", "xpress:20", "lzx:20"] {
        let all = ["1", "2", "4", "4"].map(|threads| {
            let guid = "--guid=00112233-4455-6677-8899-aabbccddeeff";
            let options = format!("--compress={compress} --threads={threads} {guid}");
            scratch.wimx(&format!("capture tree {threads}.wim name --quiet {options}")).ok();
            let bytes = scratch.read(&format!("{threads}.wim"));
            let wim = scratch.open(&format!("{threads}.wim"));
            // The XML says when it was captured, and has the same length each time.
            let xml = wim.header().xml.offset as usize..;
            [&bytes[..xml.start], &bytes[xml.start + wim.header().xml.size as usize..]].concat()
        });
        assert!(all.iter().all(|bytes| *bytes == all[0]), "{compress} differs");
    }
}

/// What is captured on one side is the same image on the other, at each place on the disk.
#[test]
fn a_link_to_a_tree_and_a_tree_with_a_slash_behind() {
    let scratch = Scratch::new();
    trees::links(&scratch.path("tree"));
    std::os::unix::fs::symlink("tree", scratch.path("link")).expect("a link");
    for source in ["link", "tree/", "./tree"] {
        scratch.wimx(&format!("capture {source} ours.wim --quiet")).ok();
        scratch.wimlib(&format!("capture {source} theirs.wim --quiet")).ok();
        let same = scratch.metadata("ours.wim", 1) == scratch.metadata("theirs.wim", 1);
        assert!(same, "{source}: the metadata is not wimlib's");
        let names = ["ours", "theirs"].map(|wim| {
            let info = scratch.wimlib(&format!("info {wim}.wim"));
            info.text().lines().find(|line| line.starts_with("Name:")).map(str::to_owned)
        });
        assert_eq!(names[0], names[1], "{source}");
    }
}
