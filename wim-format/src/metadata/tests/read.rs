use super::*;
use crate::name::CaseSensitivity::{Insensitive, Sensitive};

fn id<B: AsRef<[u8]>>(tree: &Metadata<B>, path: &str) -> DentryId {
    tree.lookup(path, Sensitive).unwrap_or_else(|| panic!("no {path}"))
}

#[test]
fn walks_meet_parents_first_and_names_in_order() {
    let bytes = small_tree().to_bytes().unwrap();
    let tree = parse(&bytes);
    assert_eq!(paths(&tree), ["/", "/a", "/a/x", "/a/y", "/b", "/c", "/d.txt"]);
    let mut below = Vec::new();
    tree.walk(id(&tree, "a"), |step| below.push(step.path.to_vec()));
    assert_eq!(below, [&b"/a"[..], b"/a/x", b"/a/y"]);
    assert_eq!(tree.path(id(&tree, "/a/x")), b"/a/x");
    assert_eq!(tree.path(DentryId::ROOT), b"/");
    assert_eq!(tree.depth(id(&tree, "/a/x")), 2);
}

#[test]
fn paths_are_looked_up() {
    let mut image = small_tree();
    let root = ImageBuilder::ROOT;
    for name in ["ä", "Ä", "readme", "ReadMe"] {
        image.add(root, name, Inode::file(hash(9))).unwrap();
    }
    let tree = Metadata::parse(image.to_bytes().unwrap()).unwrap();
    let find = |path: &str, case| {
        let found = tree.lookup(path, case)?;
        Some(tree.dentry(found).name().to_string())
    };
    for path in ["", "/", "//"] {
        assert_eq!(tree.lookup(path, Sensitive), Some(DentryId::ROOT));
    }
    assert_eq!(find("//a/x/", Sensitive).as_deref(), Some("x"));
    assert_eq!(find("/A/X", Sensitive), None);
    assert_eq!(find("/A/X", Insensitive).as_deref(), Some("x"));
    assert_eq!(find("readme", Insensitive).as_deref(), Some("readme"));
    assert_eq!(find("README", Insensitive).as_deref(), Some("ReadMe"));
    assert_eq!(find("ä", Insensitive).as_deref(), Some("ä"));
    assert_eq!(find("/b/x", Insensitive), None);
    assert_eq!(find("/zz", Insensitive), None);
    assert_eq!(tree.lookup(b"\xff", Insensitive), None);
}

#[test]
fn hard_links_need_group_and_contents() {
    let mut image = small_tree();
    let root = ImageBuilder::ROOT;
    let first = image.add(root, "l1", Inode::file(hash(7))).unwrap();
    image.link(root, "l3", first).unwrap();
    let mut bytes = image.to_bytes().unwrap();
    let tree = parse(&bytes);
    let (one, three, b) = (id(&tree, "l1"), id(&tree, "l3"), id(&tree, "b"));
    let links = tree.hard_links();
    assert_eq!(links.links(three), [one, three]);
    assert_eq!((links.first(three), links.count(one), links.count(b)), (one, 2, 1));
    assert_eq!(links.links(b), [b]);
    let stats = tree.stats(|hash| Some(u64::from(hash.0[0])));
    let expected =
        ImageStats { dir_count: 3, file_count: 6, total_bytes: 10 + 14, hard_link_bytes: 7 };
    assert_eq!(stats, expected);
    // The same group number with other contents is another file.
    let main_hash = tree.nodes[three.index()].offset as usize + 0x40;
    bytes[main_hash] ^= 1;
    let links = parse(&bytes).hard_links();
    assert_eq!((links.count(one), links.count(three)), (1, 1));
}

/// The rules of [`super::super::streams`], case by case.
#[test]
fn streams_are_found_where_readers_look() {
    use StreamKind::{Data, Efs, Named, Reparse as R};
    let zero = Sha1Hash::ZERO;
    let (file, link, dir) = (0x80, 0x400, 0x10);
    let named = name("n");
    let n = Named(named.as_name());
    // Attributes, main hash, extra entries (1 = unnamed); then what they mean.
    type Case<'a> = (u32, Sha1Hash, Vec<(&'a str, Sha1Hash)>, Vec<(StreamKind<'a>, Sha1Hash)>);
    let cases: Vec<Case<'_>> = vec![
        (file, zero, vec![], vec![(Data, zero)]),
        (file, hash(1), vec![], vec![(Data, hash(1))]),
        (file, zero, vec![("", hash(1))], vec![(Data, hash(1))]),
        (file, zero, vec![("n", hash(2)), ("", hash(1))], vec![(Data, hash(1)), (n, hash(2))]),
        (file, hash(1), vec![("", hash(2))], vec![(Data, hash(1))]),
        (file, zero, vec![("n", hash(2))], vec![(Data, zero), (n, hash(2))]),
        (file, zero, vec![("", zero)], vec![(Data, zero)]),
        (link, hash(1), vec![], vec![(R, hash(1))]),
        (link, zero, vec![], vec![(R, zero)]),
        (link, zero, vec![("", hash(1)), ("", zero)], vec![(R, hash(1)), (Data, zero)]),
        (link, hash(1), vec![("", hash(2))], vec![(R, hash(1)), (Data, hash(2))]),
        (dir, zero, vec![], vec![]),
        (dir, zero, vec![("n", hash(2))], vec![(n, hash(2))]),
        (dir | link, hash(1), vec![], vec![(R, hash(1))]),
        (0x4000, hash(1), vec![], vec![(Efs, hash(1))]),
    ];
    for (attributes, main, extra, expected) in cases {
        let bytes = raw_tree(attributes, main, &extra);
        let tree = parse(&bytes);
        let streams: Vec<_> = tree.dentry(DentryId(1)).streams().collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(kind, hash)| Stream { kind, hash }).collect();
        assert_eq!(streams, expected, "{attributes:#x} {main} {extra:?}");
        assert_eq!(tree.to_bytes(), bytes);
    }
}

/// A root with one child `f`, its dentry put together field by field.
fn raw_tree(attributes: u32, main: Sha1Hash, extra: &[(&str, Sha1Hash)]) -> Vec<u8> {
    let mut image = ImageBuilder::new(Inode::directory());
    image.add(ImageBuilder::ROOT, "f", Inode::file(main)).unwrap();
    let mut bytes = image.to_bytes().unwrap();
    let child = parse(&bytes).nodes[1].offset as usize;
    bytes[child + 8..child + 12].copy_from_slice(&attributes.to_le_bytes());
    bytes[child + 0x60] = extra.len() as u8;
    let entries: Vec<u8> =
        extra.iter().flat_map(|(name, hash)| extra_stream(name, *hash)).collect();
    let end = bytes.len() - 8;
    bytes.splice(end..end, entries);
    bytes
}

fn extra_stream(text: &str, hash: Sha1Hash) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut entry = vec![0; 16];
    entry.extend(hash.0);
    entry.extend((units.len() as u16).to_le_bytes());
    entry.extend(units);
    entry.resize((entry.len() + if text.is_empty() { 0 } else { 2 }).next_multiple_of(8), 0);
    entry[0] = entry.len() as u8;
    entry
}

#[test]
fn old_linux_attributes_are_read() {
    let mut items = TaggedItems::default();
    let data = b"\x03\0\0\0\x02\0\0\0abcxy\0\0\0\x01\0\0\0\x01\0\0\0dz\0\0";
    items.push(tagged::TAG_OLD_LINUX_XATTRS, data).unwrap();
    items.push(tagged::TAG_OBJECT_ID, &[5; 20]).unwrap();
    let mut image = ImageBuilder::new(Inode { tagged: items, ..Inode::directory() });
    image.set_short_name(ImageBuilder::ROOT, "SHORT").unwrap();
    let bytes = image.to_bytes().unwrap();
    let tree = parse(&bytes);
    let root = tree.dentry(DentryId::ROOT);
    let attributes: Vec<_> =
        root.extended_attributes().map(|attribute| (attribute.name, attribute.value)).collect();
    assert_eq!(attributes, [(&b"abc"[..], &b"xy"[..]), (b"d", b"z")]);
    assert_eq!(root.object_id(), Some(ObjectId { id: [5; 16], birth: &[] }));
    assert_eq!(root.short_name().to_string(), "SHORT");
}
