//! Trees that lie.

use super::*;
use crate::{FormatError, Structure};

/// Offsets of fields in a dentry.
const LENGTH: usize = 0;
const ATTRIBUTES: usize = 8;
const SECURITY_ID: usize = 0x0c;
const SUBDIR: usize = 0x10;
const EXTRA_STREAMS: usize = 0x60;
const SHORT_NAME_LEN: usize = 0x62;
const NAME_LEN: usize = 0x64;
const NAME: usize = 0x66;

fn put(bytes: &mut [u8], offset: usize, value: u64, len: usize) {
    bytes[offset..offset + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

/// [`small_tree`] with a field of the dentry at `path` replaced.
fn spoiled(path: &str, field: usize, value: u64, len: usize) -> Vec<u8> {
    let mut bytes = small_tree().to_bytes().unwrap();
    let offset = offset_of(&bytes, path);
    put(&mut bytes, offset + field, value, len);
    bytes
}

fn offset_of(bytes: &[u8], path: &str) -> usize {
    let tree = parse(bytes);
    let id = tree.lookup(path, Default::default()).expect("a path of the small tree");
    tree.nodes[id.index()].offset as usize
}

fn structure(bytes: &[u8]) -> Structure {
    match Metadata::parse(bytes) {
        Err(FormatError::Invalid { structure, .. } | FormatError::Truncated { structure, .. }) => {
            structure
        }
        other => panic!("expected an error, got {:?}", other.map(|tree| paths(&tree))),
    }
}

fn warnings(bytes: &[u8]) -> Vec<WarningKind> {
    parse(bytes).warnings().iter().map(|warning| warning.kind).collect()
}

#[test]
fn lengths_must_be_possible() {
    for length in [9, 101, 102, 103, 1 << 20, u64::MAX, u64::MAX - 6] {
        assert_eq!(structure(&spoiled("/a/x", LENGTH, length, 8)), Structure::Dentry, "{length}");
    }
    for (field, len) in [(NAME_LEN, 3), (SHORT_NAME_LEN, 1), (NAME_LEN, 0xfffe)] {
        assert_eq!(structure(&spoiled("/b", field, len, 2)), Structure::Dentry);
    }
    assert_eq!(structure(&spoiled("/b", EXTRA_STREAMS, 0xffff, 2)), Structure::ExtraStream);
}

#[test]
fn every_cut_is_noticed() {
    let bytes = small_tree().to_bytes().unwrap();
    for len in 0..bytes.len() {
        assert!(Metadata::parse(&bytes[..len]).is_err(), "cut to {len}");
    }
}

#[test]
fn a_directory_cannot_contain_itself() {
    let bytes = small_tree().to_bytes().unwrap();
    let (list, root) = (parse(&bytes).dentry(DentryId::ROOT).subdir_offset(), 8);
    for target in [list, root, offset_of(&bytes, "/b") as u64] {
        assert_eq!(structure(&spoiled("/a", SUBDIR, target, 8)), Structure::Dentry);
    }
    for target in [bytes.len() as u64, bytes.len() as u64 - 7, u64::MAX] {
        assert_eq!(structure(&spoiled("/a", SUBDIR, target, 8)), Structure::Dentry);
    }
    // An end of a list may serve several empty directories.
    let end = bytes.len() as u64 - 8;
    let shared = spoiled("/a", SUBDIR, end, 8);
    assert_eq!(paths(&parse(&shared)), ["/", "/a", "/b", "/c", "/d.txt"]);
}

/// Many directories whose lists begin at every byte of one another cannot make more dentries than
/// there is room for.
#[test]
fn overlapping_lists_are_bounded() {
    let mut image = ImageBuilder::new(Inode::directory());
    for index in 0..200 {
        image.add(ImageBuilder::ROOT, format!("{index:03}").as_str(), Inode::directory()).unwrap();
    }
    let mut bytes = image.to_bytes().unwrap();
    let offsets: Vec<_> = parse(&bytes).nodes.iter().map(|node| node.offset as usize).collect();
    for pair in offsets[1..].windows(2) {
        // Each directory lists those behind it.
        put(&mut bytes, pair[0] + SUBDIR, pair[1] as u64, 8);
    }
    assert_eq!(structure(&bytes), Structure::Dentry);
}

#[test]
fn what_is_ignored_is_reported() {
    let name = |text: &str| {
        let mut units = [0; 4];
        text.encode_utf16().zip(0..).for_each(|(unit, i)| put(&mut units, 2 * i, unit.into(), 2));
        u64::from(u32::from_le_bytes(units))
    };
    let renamed = |from: &str, to: &str| spoiled(from, NAME, name(to), 2 * to.len());
    assert_eq!(warnings(&renamed("/b", ".")), [WarningKind::DotName]);
    assert_eq!(warnings(&renamed("/b", "\0")), [WarningKind::NulInName]);
    assert_eq!(warnings(&spoiled("/b", NAME_LEN, 0, 2)), [WarningKind::EmptyName]);
    let duplicate = renamed("/b", "a");
    assert_eq!(warnings(&duplicate), [WarningKind::DuplicateName]);
    let tree = parse(&duplicate);
    assert_eq!(paths(&tree), ["/", "/a", "/a/x", "/a/y", "/c", "/d.txt"]);
    assert_eq!(tree.warnings()[0].directory, DentryId::ROOT);
    // What is written again is free of it.
    assert_eq!(warnings(&tree.to_bytes()), []);
    let unsorted = renamed("/b", "z");
    assert_eq!(paths(&parse(&unsorted)).last().map(String::as_str), Some("/z"));
    assert_eq!(parse(&unsorted).to_bytes(), unsorted, "the order in the file is kept");
    let case_only = renamed("/b", "A");
    assert_eq!(warnings(&case_only), []);
    assert_eq!(warnings(&spoiled("/b", SUBDIR, 8, 8)), [WarningKind::ChildrenOfFile]);
    assert_eq!(
        warnings(&spoiled("/b", SECURITY_ID, 0, 4)),
        [WarningKind::UnknownSecurityDescriptor]
    );
    assert_eq!(warnings(&spoiled("/b", SECURITY_ID, 0x8000_0000, 4)).len(), 1);
}

#[test]
fn the_root_must_be_a_directory() {
    assert_eq!(structure(&spoiled("/", ATTRIBUTES, 0x80, 4)), Structure::Dentry);
    assert_eq!(structure(&spoiled("/", LENGTH, 8, 8)), Structure::Dentry);
    let mut bytes = small_tree().to_bytes().unwrap();
    let root = offset_of(&bytes, "/");
    let list = parse(&bytes).dentry(DentryId::ROOT).subdir_offset();
    // Room for a name of one unit: everything behind the root moves.
    put(&mut bytes, root + LENGTH, 0x70, 8);
    put(&mut bytes, root + NAME_LEN, 2, 2);
    put(&mut bytes, root + SUBDIR, list + 8, 8);
    bytes.splice(root + 0x68..root + 0x68, [0; 8]);
    bytes[root + NAME] = b'r';
    // Only the list of the root is where it says; directories in it are cut off.
    for path in ["/a", "/c"] {
        let original = small_tree().to_bytes().unwrap();
        let offset = offset_of(&original, path) + 8;
        put(&mut bytes, offset + SUBDIR, 0, 8);
    }
    assert_eq!(warnings(&bytes), [WarningKind::NamedRoot]);
    assert_eq!(paths(&parse(&bytes)), ["/", "/a", "/b", "/c", "/d.txt"]);
}

#[test]
fn security_data_must_add_up() {
    let mut image = ImageBuilder::new(Inode::directory());
    image.add_security_descriptor(&[1; 20]).unwrap();
    image.add_security_descriptor(&[2; 3]).unwrap();
    let good = image.to_bytes().unwrap();
    assert_eq!(good[..8], [48, 0, 0, 0, 2, 0, 0, 0]);
    let cases = [(0, 7, 4), (0, 1 << 20, 4), (4, 6, 4), (4, u64::from(u32::MAX), 4)];
    let sizes = [(8, 25, 8), (16, 5, 8), (8, u64::MAX, 8), (16, u64::MAX - 19, 8)];
    for (offset, value, len) in cases.into_iter().chain(sizes) {
        let mut bad = good.clone();
        put(&mut bad, offset, value, len);
        assert_eq!(structure(&bad), Structure::SecurityData, "{offset} {value}");
    }
    // A length of zero means none at all; the root follows the eight bytes.
    let mut empty = small_tree().to_bytes().unwrap();
    put(&mut empty, 0, 0, 4);
    assert_eq!(parse(&empty).len(), 7);
}

#[test]
fn tagged_items_that_do_not_fit_end_the_list() {
    let mut tagged = TaggedItems::default();
    tagged.push(9, &[1; 5]).unwrap();
    tagged.push(8, &[2; 8]).unwrap();
    let image = ImageBuilder::new(Inode { tagged, ..Inode::directory() });
    let mut bytes = image.to_bytes().unwrap();
    let tags = |bytes: &[u8]| -> Vec<_> {
        let root = parse(bytes);
        let items = root.dentry(DentryId::ROOT).tagged_items();
        items.map(|item| (item.tag, item.data.len())).collect()
    };
    assert_eq!(tags(&bytes), [(9, 5), (8, 8)]);
    let second = 8 + 104 + 16;
    put(&mut bytes, second + 4, 9, 4);
    assert_eq!(tags(&bytes), [(9, 5)]);
    put(&mut bytes, second + 4, u64::from(u32::MAX), 4);
    assert_eq!(tags(&bytes), [(9, 5)]);
}
