use super::reparse::{LinkKind, ReparsePoint, TAG_SYMLINK, symlink_data};
use super::*;
use crate::time::FileTime;

#[test]
fn everything_that_is_put_in_comes_out() {
    let mut image = ImageBuilder::new(Inode::directory().at(FileTime(1)));
    let root = ImageBuilder::ROOT;
    let security = image.add_security_descriptor(b"descriptor").unwrap();
    assert_eq!(image.add_security_descriptor(b"other").unwrap(), SecurityId(1));
    assert_eq!(image.add_security_descriptor(b"descriptor").unwrap(), security);
    let mut tagged = TaggedItems::default();
    let unix = UnixData { uid: 1, gid: 2, mode: 0o100_644, rdev: 3 };
    tagged.push_unix_data(unix);
    let attribute = ExtendedAttribute { name: b"user.a", value: b"value", flags: 0x80 };
    tagged.push_extended_attributes([attribute]).unwrap();
    let file = Inode {
        attributes: FileAttributes::HIDDEN | FileAttributes::ARCHIVE,
        security: Some(security),
        creation_time: FileTime(2),
        access_time: FileTime(3),
        write_time: FileTime(4),
        data: hash(1),
        named: vec![(name("stream"), hash(2)), (name("empty"), Sha1Hash::ZERO)],
        tagged,
        ..Inode::default()
    };
    let entry = image.add(root, "file", file).unwrap();
    image.set_short_name(entry, "FILE~1").unwrap();
    let bytes = image.to_bytes().unwrap();
    let tree = parse(&bytes);
    assert!(tree.warnings().is_empty());
    assert_eq!(tree.to_bytes(), bytes);
    let security: Vec<_> = tree.security().iter().collect();
    assert_eq!(security, [&b"descriptor"[..], b"other"]);
    let dentry = tree.dentry(DentryId(1));
    assert_eq!(tree.security().get(dentry.security_id()), Some(&b"descriptor"[..]));
    assert_eq!(
        (dentry.name().to_string(), dentry.short_name().to_string()),
        ("file".into(), "FILE~1".into())
    );
    assert_eq!(dentry.attributes(), FileAttributes::HIDDEN | FileAttributes::ARCHIVE);
    assert_eq!(
        [dentry.creation_time(), dentry.access_time(), dentry.write_time()],
        [2, 3, 4].map(FileTime)
    );
    assert_eq!(dentry.unix_data(), Some(unix));
    assert_eq!(dentry.extended_attributes().collect::<Vec<_>>(), [attribute]);
    assert_eq!((dentry.hard_link_group(), dentry.reparse_tag()), (0, None));
    let streams: Vec<_> = dentry.streams().map(|stream| stream.hash).collect();
    assert_eq!(streams, [hash(1), hash(2), Sha1Hash::ZERO]);
    assert_eq!(tree.dentry(DentryId::ROOT).write_time(), FileTime(1));
    assert_eq!(tree.security().get(tree.dentry(DentryId::ROOT).security_id()), None);
}

#[test]
fn links_to_directories_hold_nothing() {
    let mut image = ImageBuilder::new(Inode::directory());
    let reparse = Reparse { tag: TAG_SYMLINK, flags: 1, hash: hash(1), ..Reparse::default() };
    let mut inode = Inode::reparse_point(reparse);
    let link = image.add(ImageBuilder::ROOT, "file link", inode.clone()).unwrap();
    inode.attributes |= FileAttributes::DIRECTORY;
    let dir_link = image.add(ImageBuilder::ROOT, "dir link", inode).unwrap();
    let child = image.add(dir_link, "x", Inode::directory());
    assert!(matches!(child, Err(BuildError::NotADirectory { .. })));
    let second = image.link(ImageBuilder::ROOT, "x", link);
    assert!(matches!(second, Err(BuildError::NotAFile { .. })));
    let bytes = image.to_bytes().unwrap();
    let tree = parse(&bytes);
    let [dir_link, link] = [1, 2].map(|id| tree.dentry(DentryId(id)));
    assert_eq!((dir_link.main_hash(), dir_link.subdir_offset()), (hash(1), 0));
    assert_eq!((link.main_hash(), link.extra_streams().count()), (Sha1Hash::ZERO, 2));
    for dentry in [dir_link, link] {
        assert_eq!(dentry.reparse_tag(), Some(TAG_SYMLINK));
        assert_eq!(dentry.reparse_flags(), (0, 1));
        assert_eq!(dentry.reparse_hash(), Some(hash(1)));
    }
}

/// The symbolic link of the vector v1.wim.
#[test]
fn link_data_is_as_wimlib_writes_it() {
    let target = name("a.txt");
    let data = symlink_data(target.as_name(), target.as_name(), LinkKind::Relative).unwrap();
    assert_eq!(data.len(), 36);
    assert_eq!(data[..12], [0, 0, 10, 0, 12, 0, 10, 0, 1, 0, 0, 0]);
    let (target, print) = (target.as_name(), target.as_name());
    let expected = ReparsePoint::Symlink { target, print, relative: true };
    assert_eq!(ReparsePoint::parse(TAG_SYMLINK, &data), Ok(expected));
    let long = Utf16NameBuf::from_units(std::iter::repeat_n(0x61, 20_000));
    assert!(symlink_data(long.as_name(), long.as_name(), LinkKind::Absolute).is_err());
}

#[test]
fn impossible_names_are_refused() {
    let mut image = small_tree();
    let root = ImageBuilder::ROOT;
    for bad in ["", ".", "..", "a\0", "a/b"] {
        let result = image.add(root, bad, Inode::file(hash(1)));
        assert!(matches!(result, Err(BuildError::BadName { .. })), "{bad:?}");
    }
    let long = |units| Utf16NameBuf::from_units(std::iter::repeat_n(0x61, units));
    assert!(image.add(root, long(32_767), Inode::file(hash(1))).is_ok());
    let too_long = image.add(root, long(32_768), Inode::file(hash(1)));
    assert_eq!(too_long, Err(BuildError::LongName { units: 32_768 }));
    assert_eq!(parse(&image.to_bytes().unwrap()).len(), 8);
    image.add(root, "B", Inode::file(hash(1))).unwrap();
    assert!(image.to_bytes().is_ok(), "case makes a difference");
    image.add(root, "b", Inode::file(hash(1))).unwrap();
    assert_eq!(image.to_bytes(), Err(BuildError::DuplicateName { name: name("b") }));
}

#[test]
fn depth_is_bounded_where_readers_bound_it() {
    let mut image = ImageBuilder::new(Inode::directory());
    let mut deepest = ImageBuilder::ROOT;
    for _ in 1..16_384 {
        deepest = image.add(deepest, "d", Inode::directory()).unwrap();
    }
    assert_eq!(image.add(deepest, "d", Inode::directory()), Err(BuildError::TooDeep));
    let bytes = image.to_bytes().unwrap();
    let tree = parse(&bytes);
    assert_eq!(tree.len(), 16_384);
    assert_eq!(tree.to_bytes(), bytes);
    assert_eq!(tree.path(DentryId(16_383)).len(), 2 * 16_383);
    assert_eq!(paths(&tree).len(), 16_384);
}

#[test]
fn an_encrypted_file_has_one_stream() {
    let mut inode = Inode::file(hash(1));
    inode.attributes = FileAttributes::ENCRYPTED;
    inode.named = vec![(name("n"), hash(2))];
    let mut image = ImageBuilder::new(Inode::directory());
    image.add(ImageBuilder::ROOT, "f", inode).unwrap();
    let bytes = image.to_bytes().unwrap();
    let streams: Vec<_> = parse(&bytes).dentry(DentryId(1)).streams().map(|s| s.hash).collect();
    assert_eq!(streams, [hash(1)]);
}

#[test]
fn too_large_attributes_are_refused() {
    let mut items = TaggedItems::default();
    let (long_name, long_value) = (vec![b'n'; 256], vec![0; 65_536]);
    for (name, value) in [(&long_name[..], &[][..]), (b"n", &long_value[..])] {
        let attribute = ExtendedAttribute { name, value, flags: 0 };
        assert!(items.push_extended_attributes([attribute]).is_err());
    }
    items.push_extended_attributes([]).unwrap();
    assert!(items.as_bytes().is_empty());
}
