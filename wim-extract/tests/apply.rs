//! Applying images to directories: what is made, replaced, left out and told.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use support::{
    Found, Heard, Image, ROOT, TIME, TIME_FOUND, apply, apply_cleanly, found_in, link_data,
    names_in, noise, open, time_of,
};
use wim_extract::{
    Cancel, Error,
    apply::{InvalidNames, LinkTargets, Options, Outcome, UnixData, Unsupported},
    pipeline::{DamagedData, Threads},
};
use wim_format::{
    Codec, Sha1Hash,
    header::HeaderFlags,
    metadata::{ExtendedAttribute, FileAttributes, Inode, UnixData as Unix},
    testing::{Chunks, TinyWim},
};

fn threads(count: usize) -> Options {
    Options { threads: Threads::new(count), ..Options::default() }
}

/// Everything that a plain image has: files of all sizes, some equal, some with several names.
fn fill(image: &mut Image) -> Vec<(&'static str, Vec<u8>)> {
    let sub = image.dir(ROOT, "sub");
    let deep = image.dir(sub, "deep");
    image.dir(ROOT, "empty dir");
    let files = vec![
        ("empty", Vec::new()),
        ("one", vec![1]),
        ("small", noise(3000, 1)),
        ("batch", noise(100_000, 2)),
        ("large", noise(700_000, 3)),
        ("giant", noise(9_000_000, 4)),
    ];
    for (name, data) in &files {
        let entry = image.file(ROOT, name, data);
        image.tree.link(deep, format!("{name} again").as_str(), entry).unwrap();
        image.tree.link(sub, format!("{name} once more").as_str(), entry).unwrap();
        // The same data in another file.
        image.file(sub, &format!("{name} copy"), data);
    }
    image.symlink(sub, "link", "deep\\one again");
    image.symlink(deep, "up", "..\\..\\small");
    files
}

#[test]
fn every_thread_count_gives_the_same_tree() {
    let mut image = Image::default();
    let files = fill(&mut image);
    let wim = image.open();
    let temp = tempfile::tempdir().unwrap();
    let mut trees = Vec::new();
    for count in [1, 2, 5] {
        let target = temp.path().join(count.to_string());
        let outcome = apply_cleanly(&wim, &target, &threads(count));
        let bytes = 2 * files.iter().map(|(_, data)| data.len() as u64).sum::<u64>();
        assert_eq!(outcome, Outcome { directories: 3, files: 14, hard_links: 12, bytes });
        trees.push(found_in(&target));
        for path in trees[0].keys() {
            assert_eq!(time_of(&target.join(path)), TIME_FOUND, "{}", path.display());
        }
        assert_eq!(time_of(&target), TIME_FOUND);
    }
    for (name, data) in files {
        let (linked, alone) = (Found::File(data.clone(), 3), Found::File(data, 1));
        assert!(trees[0][Path::new(name)] == linked, "{name}");
        assert!(trees[0][&Path::new("sub").join(format!("{name} copy"))] == alone, "{name}");
        assert!(trees[0][&Path::new("sub/deep").join(format!("{name} again"))] == linked);
    }
    assert_eq!(trees[0][Path::new("sub/link")], Found::Link("deep/one again".into()));
    assert_eq!(trees[0][Path::new("sub/deep/up")], Found::Link("../../small".into()));
    assert!(trees[0] == trees[1] && trees[0] == trees[2]);
}

#[test]
fn solid_and_chunked_archives_give_the_same_tree() {
    let temp = tempfile::tempdir().unwrap();
    let mut plain = Image::default();
    let files = fill(&mut plain);
    apply_cleanly(&plain.open(), &temp.path().join("plain"), &Options::default());
    let expected = found_in(&temp.path().join("plain"));

    let mut chunked = Image::new(TinyWim::new(Some(Codec::Lzx), 32768));
    fill(&mut chunked);
    // Chunks that are shorter than 32 KiB and a pipable layout: every blob comes in pieces.
    let mut solid = Image::new(TinyWim::new(None, 0));
    let mut tree = Image::default();
    fill(&mut tree);
    solid.tree = tree.tree;
    let link_targets = ["deep\\one again", "..\\..\\small"].map(|t| link_data(t, Some(1)));
    let mut blobs: Vec<&[u8]> = files.iter().map(|(_, data)| data.as_slice()).collect();
    blobs.extend(link_targets.iter().map(Vec::as_slice));
    blobs.retain(|blob| !blob.is_empty());
    // Chunks so small that even links straddle them.
    solid.wim.solid(Some(Codec::Xpress), 4096, &blobs, None);
    for (name, image) in [("chunked", chunked), ("solid", solid)] {
        let target = temp.path().join(name);
        apply_cleanly(&image.open(), &target, &threads(3));
        assert!(found_in(&target) == expected, "{name}");
    }
}

#[test]
fn links_are_fixed_up_where_they_should_be() {
    let mut image = Image::default();
    let dir = image.dir(ROOT, "dir");
    image.absolute(ROOT, "fixed", r"\??\C:\dir\x", 0);
    image.absolute(ROOT, "foreign", r"\??\C:\dir\x", 1);
    image.reparse(dir, "junction", 0xa000_0003, 0, &link_data(r"\??\D:\dir", None));
    image.symlink(dir, "relative", r"..\dir");
    let plain = image.bytes();
    let temp = tempfile::tempdir().unwrap();
    let real = temp.path().canonicalize().unwrap();
    let run = |name: &str, bytes: &[u8], links: LinkTargets| {
        let target = temp.path().join(name);
        let options = Options { links, ..Options::default() };
        apply_cleanly(&open(bytes.to_vec()), &target, &options);
        ["fixed", "foreign", "dir/junction", "dir/relative"]
            .map(|path| fs::read_link(target.join(path)).unwrap())
    };
    let mut marked = plain.clone();
    marked[0x10] |= HeaderFlags::RP_FIX.bits() as u8;
    let kept = ["/dir/x", "/dir/x", "/dir", "../dir"].map(std::path::PathBuf::from);
    assert_eq!(run("keep", &marked, LinkTargets::Keep), kept);
    assert_eq!(run("unmarked", &plain, LinkTargets::AsArchiveSays), kept);
    for (name, bytes, links) in
        [("fix", &plain, LinkTargets::Fix), ("marked", &marked, LinkTargets::AsArchiveSays)]
    {
        let found = run(name, bytes, links);
        assert_eq!(found[0], real.join(name).join("dir/x"));
        assert_eq!(found[1], Path::new("/dir/x"));
        assert_eq!(found[2], real.join(name).join("dir"));
        assert_eq!(found[3], Path::new("../dir"));
    }
}

#[test]
fn what_is_in_the_way_is_replaced_and_the_rest_stays() {
    let mut image = Image::default();
    let dir = image.dir(ROOT, "dir");
    let file = image.file(dir, "file", b"new");
    image.tree.link(dir, "other name", file).unwrap();
    image.symlink(dir, "link", "file");
    let wim = image.open();
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("target");
    fs::create_dir_all(target.join("dir")).unwrap();
    let outside = temp.path().join("outside");
    fs::write(&outside, "outside").unwrap();
    fs::write(target.join("dir/kept"), "kept").unwrap();
    fs::hard_link(&outside, target.join("dir/file")).unwrap();
    symlink(&outside, target.join("dir/other name")).unwrap();
    symlink(&outside, target.join("dir/link")).unwrap();
    apply_cleanly(&wim, &target, &Options::default());
    assert_eq!(fs::read(&outside).unwrap(), b"outside");
    assert_eq!(fs::read(target.join("dir/kept")).unwrap(), b"kept");
    assert_eq!(fs::read(target.join("dir/other name")).unwrap(), b"new");
    assert_eq!(fs::metadata(target.join("dir/file")).unwrap().nlink(), 2);
    assert_eq!(fs::read_link(target.join("dir/link")).unwrap(), Path::new("file"));
    // Once more, over its own result.
    apply_cleanly(&wim, &target, &Options::default());
    assert_eq!(names_in(&target).len(), 5);
}

#[test]
fn what_cannot_be_replaced_is_an_error_with_its_path() {
    let mut image = Image::default();
    let dir = image.dir(ROOT, "dir");
    image.file(dir, "file", b"new");
    let wim = image.open();
    for (obstacle, code) in [("dir/file/x", 47), ("dir", 37)] {
        let temp = tempfile::tempdir().unwrap();
        let obstacle = temp.path().join(obstacle);
        fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
        fs::write(&obstacle, "in the way").unwrap();
        let error = apply(&wim, temp.path(), &Options::default()).0.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains("dir"), "{error}");
    }
}

#[test]
fn targets_that_cannot_be_used() {
    let wim = Image::default().open();
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), "").unwrap();
    for (target, code) in [("file", 68), ("none/dir", 37), ("file/dir", 37)] {
        let target = temp.path().join(target);
        let error = apply(&wim, &target, &Options::default()).0.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(&target.display().to_string()), "{error}");
    }
}

#[test]
fn sparse_files_take_no_space_for_zeros() {
    let mut image = Image::default();
    let mut data = vec![0; 6_000_000];
    data[3_000_000..3_000_100].fill(7);
    let hash = image.blob(&data);
    let small = image.blob(&[0; 20_000]);
    for (name, hash, attributes) in [
        ("plain", hash, FileAttributes::NORMAL),
        ("sparse", hash, FileAttributes::SPARSE_FILE),
        ("sparse copy", hash, FileAttributes::SPARSE_FILE),
        ("sparse small", small, FileAttributes::SPARSE_FILE),
    ] {
        let inode = Inode { attributes, ..Inode::file(hash).at(TIME) };
        image.tree.add(ROOT, name, inode).unwrap();
    }
    let wim = image.open();
    let temp = tempfile::tempdir().unwrap();
    for count in [1, 3] {
        let target = temp.path().join(count.to_string());
        apply_cleanly(&wim, &target, &threads(count));
        for name in ["plain", "sparse", "sparse copy"] {
            assert!(fs::read(target.join(name)).unwrap() == data, "{name}");
        }
        assert!(fs::read(target.join("sparse small")).unwrap() == [0; 20_000]);
        for name in ["sparse", "sparse copy", "sparse small"] {
            let blocks = fs::metadata(target.join(name)).unwrap().blocks();
            assert!(blocks * 512 <= 64 << 10, "{name} takes {blocks} blocks");
        }
    }
}

#[test]
fn a_file_with_very_many_names() {
    // More than ext4 (65,000) lets a file have.
    const NAMES: usize = 70_000;
    let mut image = Image::default();
    let entry = image.file(ROOT, "0", b"content");
    for i in 1..NAMES {
        image.tree.link(ROOT, i.to_string().as_str(), entry).unwrap();
    }
    let temp = tempfile::tempdir().unwrap();
    let outcome = apply_cleanly(&image.open(), temp.path(), &Options::default());
    assert_eq!((outcome.files, outcome.hard_links), (1, NAMES as u64 - 1));
    let files: Vec<_> = fs::read_dir(temp.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), NAMES);
    let of_one = |path: &Path| fs::metadata(path).unwrap().nlink() as usize;
    let least = if of_one(&temp.path().join("0")) == NAMES { NAMES } else { 1 };
    for file in files {
        assert!(of_one(&file.path()) >= least);
        assert_eq!(file.metadata().unwrap().len(), 7);
        assert_eq!(time_of(&file.path()), TIME_FOUND);
    }
}

/// Breaks the stored bytes of the blob that begins with `data`.
fn spoil(bytes: &mut [u8], data: &[u8]) {
    let at = bytes.windows(16).position(|window| window == &data[..16]).unwrap();
    bytes[at + data.len() - 1] ^= 1;
}

#[test]
fn damaged_data_is_an_error_and_leaves_no_file() {
    for len in [1000, 400_000, 9_000_000] {
        let mut image = Image::default();
        let data = noise(len, 7);
        image.file(ROOT, "damaged", &data);
        image.file(ROOT, "second", &data);
        let mut bytes = image.bytes();
        spoil(&mut bytes, &data);
        let temp = tempfile::tempdir().unwrap();
        let error = apply(&open(bytes), temp.path(), &Options::default()).0.unwrap_err();
        assert!(matches!(&error, Error::Damaged { path: Some(path), .. } if path == "/damaged"));
        assert_eq!(error.code(), 28);
        assert_eq!(names_in(temp.path()), Vec::<String>::new(), "{len}");
    }
}

#[test]
fn damaged_data_is_recovered_when_asked_for() {
    for len in [1000, 400_000, 9_000_000] {
        let mut image = Image::default();
        let data = noise(len, 7);
        image.file(ROOT, "damaged", &data);
        image.file(ROOT, "second", &data);
        image.file(ROOT, "sound", b"sound");
        let mut bytes = image.bytes();
        spoil(&mut bytes, &data);
        let temp = tempfile::tempdir().unwrap();
        let options = Options { damaged: DamagedData::Deliver, ..Options::default() };
        let (result, warnings) = apply(&open(bytes), temp.path(), &options);
        result.unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("damaged"), "{warnings:?}");
        let mut expected = data;
        *expected.last_mut().unwrap() ^= 1;
        for name in ["damaged", "second"] {
            assert!(fs::read(temp.path().join(name)).unwrap() == expected, "{name} {len}");
            assert_eq!(time_of(&temp.path().join(name)), TIME_FOUND);
        }
        assert_eq!(fs::read(temp.path().join("sound")).unwrap(), b"sound");
    }
}

#[test]
fn data_that_cannot_be_decoded_is_zeros_when_recovered() {
    // A second chunk that is no LZX, and a blob whose chunk table leads nowhere.
    let mut image = Image::new(TinyWim::new(Some(Codec::Lzx), 32768));
    let data = noise(40_000, 9);
    let chunks = Chunks::Compressed(vec![data[..32768].to_vec(), vec![0xff; 100]]);
    let hash = image.wim.blob(&data, chunks);
    image.tree.add(ROOT, "partly", Inode::file(hash).at(TIME)).unwrap();
    let lost = noise(50_000, 10);
    let chunks = Chunks::Compressed(vec![vec![1; 10], vec![2; 10]]);
    let hash = image.wim.blob(&lost, chunks);
    image.tree.add(ROOT, "wholly", Inode::file(hash).at(TIME)).unwrap();
    let wim = image.open();
    let temp = tempfile::tempdir().unwrap();
    let error = apply(&wim, &temp.path().join("strict"), &Options::default()).0.unwrap_err();
    assert_eq!(error.code(), 2, "{error}");
    let options = Options { damaged: DamagedData::Deliver, ..Options::default() };
    let target = temp.path().join("recovered");
    let (result, warnings) = apply(&wim, &target, &options);
    result.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let partly = fs::read(target.join("partly")).unwrap();
    assert!(partly[..32768] == data[..32768] && partly[32768..] == [0; 40_000 - 32768]);
    assert!(fs::read(target.join("wholly")).unwrap() == [0; 50_000]);
}

#[test]
fn a_missing_blob_is_found_before_anything_is_touched() {
    let mut image = Image::default();
    image.file(ROOT, "a", b"a");
    image.tree.add(ROOT, "gone", Inode::file(Sha1Hash([7; 20]))).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("target");
    let error = apply(&image.open(), &target, &Options::default()).0.unwrap_err();
    assert_eq!(error.code(), 55);
    assert!(error.to_string().contains("/gone"), "{error}");
    assert!(!target.exists());
}

#[test]
fn a_cancelled_run_leaves_no_half_file() {
    let mut image = Image::default();
    image.file(ROOT, "giant", &noise(20_000_000, 4));
    let wim = image.open();
    /// Cancels as soon as data arrives.
    struct Impatient<'a>(&'a Cancel);
    impl wim_extract::Progress for Impatient<'_> {
        fn advance(&self, done: wim_extract::progress::Amount) {
            if done.bytes > 0 {
                self.0.cancel();
            }
        }
    }
    let temp = tempfile::tempdir().unwrap();
    let (cancel, image) = (Cancel::new(), wim.image(1).unwrap());
    let impatient = Impatient(&cancel);
    let options = threads(2);
    let result = wim_extract::apply::run(&wim, image, temp.path(), &options, &impatient, &cancel);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert_eq!(names_in(temp.path()), Vec::<String>::new());
}

#[test]
fn what_is_lost_is_told_once_for_each_kind() {
    let mut image = Image::default();
    let security = image.tree.add_security_descriptor(&[1, 0, 4, 128]).unwrap();
    let stream = image.blob(b"stream");
    for i in 0..3 {
        let entry = image.file(ROOT, &format!("file {i}"), b"data");
        image.tree.set_short_name(entry, format!("FILE~{i}").as_str()).unwrap();
        let inode = image.tree.inode_mut(entry);
        inode.attributes = FileAttributes::READONLY | FileAttributes::HIDDEN;
        inode.security = Some(security);
        inode.named = vec![("s".into(), stream)];
    }
    image.reparse(ROOT, "wof", 0x8000_0017, 0, &[1; 24]);
    let wim = image.open();
    let temp = tempfile::tempdir().unwrap();
    let (result, warnings) = apply(&wim, &temp.path().join("all"), &Options::default());
    result.unwrap();
    let expected = [
        "ignoring named data streams of 3 files",
        "ignoring the Windows attribute \"read-only\" of 3 files",
        "ignoring the Windows attribute \"hidden\" of 3 files",
        "ignoring reparse points that are neither links nor junctions of 1 file",
        "ignoring Windows security descriptors of 3 files",
        "ignoring short (8.3) names of 3 files",
    ];
    assert_eq!(warnings, expected);
    let ignore = Options {
        security: Unsupported::Ignore,
        attributes: Unsupported::Ignore,
        ..Options::default()
    };
    let (_, warnings) = apply(&wim, &temp.path().join("ignore"), &ignore);
    assert_eq!(warnings, [expected[0], expected[3], expected[5]]);
    let refuse = Options { security: Unsupported::Refuse, ..Options::default() };
    let error = apply(&wim, &temp.path().join("refuse"), &refuse).0.unwrap_err();
    assert_eq!(error.code(), 68, "{error}");
    assert!(!temp.path().join("refuse").exists());
}

#[test]
fn malformed_links_are_left_out_and_told() {
    let mut image = Image::default();
    image.reparse(ROOT, "short", 0xa000_000c, 0, &[1, 2]);
    image.reparse(ROOT, "none", 0xa000_000c, 0, b"");
    image.reparse(ROOT, "huge", 0xa000_000c, 0, &vec![0; 16_377]);
    image.symlink(ROOT, "long", &"x".repeat(5000));
    image.symlink(ROOT, "nul", "a\0b");
    image.symlink(ROOT, "good", "a");
    let temp = tempfile::tempdir().unwrap();
    let (result, warnings) = apply(&image.open(), temp.path(), &Options::default());
    result.unwrap();
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert_eq!(names_in(temp.path()), ["good"]);
}

fn unix_image() -> Image {
    let mut image = Image::default();
    let unix = |mode, rdev| Unix { uid: 1000, gid: 1001, mode, rdev };
    let attribute = ExtendedAttribute { name: b"user.key", value: b"value", flags: 0 };
    let dir = image.dir(ROOT, "dir");
    image.tree.inode_mut(dir).tagged.push_unix_data(unix(0o040_500, 0));
    let file = image.file(dir, "file", b"data");
    let tagged = &mut image.tree.inode_mut(file).tagged;
    tagged.push_unix_data(unix(0o104_750, 0));
    tagged.push_extended_attributes([attribute]).unwrap();
    let fifo = image.file(dir, "fifo", b"");
    image.tree.inode_mut(fifo).tagged.push_unix_data(unix(0o010_640, 0));
    let link = image.symlink(dir, "link", "file");
    image.tree.inode_mut(link).tagged.push_unix_data(unix(0o120_777, 0));
    image
}

#[test]
fn unix_data_is_restored_when_asked_for() {
    let wim = unix_image().open();
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("target");
    let options = Options { unix_data: UnixData::Restore, ..Options::default() };
    let (result, warnings) = apply(&wim, &target, &options);
    result.unwrap();
    let stat = |path: &str| fs::symlink_metadata(target.join(path)).unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(warnings, Vec::<String>::new());
        for path in ["dir", "dir/file", "dir/fifo", "dir/link"] {
            assert_eq!((stat(path).uid(), stat(path).gid()), (1000, 1001), "{path}");
        }
    } else {
        assert_eq!(warnings.len(), 4, "others cannot give files away: {warnings:?}");
    }
    let mode = |path| stat(path).permissions().mode();
    assert_eq!(mode("dir"), 0o040_500);
    assert_eq!(mode("dir/file"), 0o104_750);
    assert_eq!(mode("dir/fifo"), 0o010_640);
    assert!(stat("dir/fifo").file_type().is_fifo());
    let mut value = [0; 10];
    let len = rustix::fs::getxattr(target.join("dir/file"), "user.key", &mut value).unwrap();
    assert_eq!(&value[..len], b"value");
    for path in ["dir", "dir/file", "dir/fifo", "dir/link"] {
        assert_eq!(time_of(&target.join(path)), TIME_FOUND);
    }
    // Makes room for the clean-up of the temporary directory.
    fs::set_permissions(target.join("dir"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn unix_data_is_left_out_by_default() {
    let temp = tempfile::tempdir().unwrap();
    let (result, warnings) = apply(&unix_image().open(), temp.path(), &Options::default());
    result.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("--unix-data")));
    let found = found_in(temp.path());
    assert_eq!(found[Path::new("dir/fifo")], Found::File(Vec::new(), 1));
    let mode = fs::metadata(temp.path().join("dir/file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7000, 0);
}

#[test]
fn names_that_do_not_fit_are_left_out_or_escaped() {
    let build = || {
        let mut image = Image::default();
        // U+F02F stands for a slash, see `Image`.
        image.file(ROOT, "a\u{f02f}b", b"slash");
        image.file(ROOT, "a?b (invalid filename #1)", b"taken");
        let dir = image.dir(ROOT, &"ü".repeat(200));
        image.file(dir, "inside", b"inside");
        image.file(ROOT, "back\u{f05c}slash", b"fine");
        image.open()
    };
    let temp = tempfile::tempdir().unwrap();
    let (result, warnings) = apply(&build(), &temp.path().join("skip"), &Options::default());
    result.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("--include-invalid-names")));
    assert_eq!(names_in(&temp.path().join("skip")), ["a?b (invalid filename #1)", r"back\\slash"]);
    let options = Options { invalid_names: InvalidNames::Escape, ..Options::default() };
    let target = temp.path().join("escape");
    let (result, warnings) = apply(&build(), &target, &options);
    result.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(fs::read(target.join("a?b (invalid filename #2)")).unwrap(), b"slash");
    assert_eq!(fs::read(target.join("a?b (invalid filename #1)")).unwrap(), b"taken");
    let long = format!("{} (invalid filename #3)", "ü".repeat(116));
    assert_eq!(fs::read(target.join(long).join("inside")).unwrap(), b"inside");
}

#[test]
fn all_images_go_to_directories_of_their_own() {
    let mut wim = TinyWim::new(None, 0);
    for (number, name) in ["one", "", "..", "a/b", "4", "five"].iter().enumerate() {
        let mut image = Image::new(wim);
        image.file(ROOT, "file", &[number as u8]);
        let metadata = image.tree.to_bytes().unwrap();
        wim = image.wim;
        wim.image(name, metadata, Chunks::Stored);
    }
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("target");
    let run = |wim: &TinyWim| {
        let (heard, cancel) = (Heard::default(), Cancel::new());
        let wim = open(wim.build());
        wim_extract::apply::run_all(&wim, &target, &Options::default(), &heard, &cancel)
    };
    // The fourth goes to "4", so the fifth, whose name that is, goes to "5".
    run(&wim).unwrap();
    let names = ["one", "2", "3", "4", "5", "five"];
    for (number, name) in names.iter().enumerate() {
        assert_eq!(fs::read(target.join(name).join("file")).unwrap(), [number as u8]);
    }
    assert_eq!(fs::read_dir(&target).unwrap().count(), 6);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}
